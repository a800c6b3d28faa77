"""A timm model's evaluation transform as data.

The transform is that of timm's published numbers: ``test_input_size`` and ``test_crop_pct`` where a
model has them, as ``validate.py`` takes them unless told ``--use-train-size``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform


def transform_of(config: Mapping[str, Any]) -> ImageTransform:
    """The evaluation transform of a ``pretrained_cfg``, bit for bit timm's ``create_transform``.

    Raises:
        ClassifierError: for a model that does not take RGB images.
    """
    from timm.data import create_transform, resolve_data_config

    data = resolve_data_config(pretrained_cfg=dict(config), use_test_size=True)
    channels, height, width = data["input_size"]
    if channels != 3:
        raise ClassifierError(f"the model takes {channels} channels: expected 3, for RGB images")
    scaled = math.floor(height / data["crop_pct"]), math.floor(width / data["crop_pct"])
    standard = {
        "interpolation": data["interpolation"],
        "mean": tuple(float(v) for v in data["mean"]),
        "std": tuple(float(v) for v in data["std"]),
    }
    if data["crop_mode"] == "squash":
        return Transform(scaled, (height, width), **standard)
    if data["crop_mode"] == "center" and scaled[0] == scaled[1]:
        return Transform(scaled[0], (height, width), **standard)
    description = {k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}
    return CallableTransform(
        create_transform(**data, is_training=False), {"name": "timm.data.create_transform", **description}
    )


def input_size(config: Any) -> tuple[int, int]:
    """Height and width in pixels of what the model is evaluated on."""
    from timm.data import resolve_data_config

    as_dict = config if isinstance(config, dict) else config.to_dict()
    height, width = resolve_data_config(pretrained_cfg=as_dict, use_test_size=True)["input_size"][1:]
    return int(height), int(width)
