"""open_clip's preprocessing as one of our transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform


def transform_of(config: Mapping[str, Any], rgb: Literal["first", "last"] = "first") -> ImageTransform:
    """The transform of a ``preprocess_cfg``: size, mean, std, interpolation, resize_mode, fill_color.

    Bit for bit that of ``open_clip.image_transform_v2(cfg, is_train=False)`` on an RGB image. On
    others open_clip resizes first and converts last, as the paper did: that is ``rgb="last"``.
    """
    height, width = size_of(config)
    # Anything but "bilinear" is bicubic there, "random" as well.
    interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
    mean, std = _triple(config["mean"]), _triple(config["std"])
    mode = config.get("resize_mode") or "shortest"
    if mode == "squash":
        return Transform((height, width), None, interpolation, mean, std, rgb)
    if mode == "shortest" and height == width:
        return Transform(height, (height, width), interpolation, mean, std, rgb)
    # Padding with a fill colour and a shorter side that fits a rectangle: open_clip's own code does these.
    from open_clip.transform import PreprocessCfg, image_transform_v2

    described = {"function": "open_clip.image_transform_v2", **config, "size": [height, width]}
    described |= {"mean": list(mean), "std": list(std)}
    return CallableTransform(image_transform_v2(PreprocessCfg(**config), is_train=False), described)


def size_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width in pixels."""
    size = config["size"]
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _triple(value: Any) -> tuple[float, float, float]:
    values = value if isinstance(value, list | tuple) else (value,) * 3
    return float(values[0]), float(values[1]), float(values[2])
