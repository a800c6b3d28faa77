"""A checkpoint's own mean and std: taken where they are unmistakable, refused where they are not."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.classifiers.checkpoint import load_checkpoint
from imagenet_hard.classifiers.normalisation import Normalisation, find_normalisation, normalised
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import CallableTransform, Transform, fixed_images
from imagenet_hard.classifiers.transform_policy import with_policy

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
STATE = {"conv.weight": torch.ones(4, 3, 1, 1), "head.weight": torch.ones(1000, 4)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in STATE.items()}


LAYOUTS: dict[str, dict[str, Any]] = {
    "beside the network": {**prefixed("model."), "mu": MEAN.view(1, 3, 1, 1), "sigma": STD.view(1, 3, 1, 1)},
    "among its keys": {**STATE, "mean": MEAN, "std": STD},
    "a layer in front": {**prefixed("1."), "0.mean": MEAN.view(3, 1, 1), "0.std": STD.view(3, 1, 1)},
    "a named layer": {"state_dict": {**prefixed("net."), "normalize.mean": MEAN, "normalize.std": STD}},
    "an attacker's as well": {
        "model": {
            **prefixed("module.model."), **prefixed("module.attacker.model."),
            "module.normalizer.new_mean": MEAN, "module.normalizer.new_std": STD,
            "module.attacker.normalize.new_mean": MEAN, "module.attacker.normalize.new_std": STD,
        },
    },
    "in 0 to 255": {**STATE, "pixel_mean": 255 * MEAN, "pixel_std": 255 * STD},
    "outside the state dict": {"model": STATE, "mean": MEAN, "std": STD},
    "numbers": {"model": STATE, "normalization": {"mean": MEAN.tolist(), "std": STD.tolist()}},
    "arrays": {"model": STATE, "hyper_parameters": {"img_mean": MEAN.numpy(), "img_std": STD.numpy()}},
    "arguments": {"state_dict": STATE, "args": argparse.Namespace(mean=MEAN.tolist(), std=STD.tolist())},
    "a pipeline": {
        "model": STATE,
        "cfg": {"a": {"b": {"c": [{"type": "Resize"}, {"mean": MEAN.tolist(), "std": STD.tolist()}]}}},
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_gives_the_constants(layout: str, tmp_path: Path) -> None:
    """Wherever a script keeps them, and in either unit; the weights come without them."""
    torch.save(LAYOUTS[layout], path := tmp_path / "w.pth")
    found = load_checkpoint(path, STATE)
    assert found.state.keys() == STATE.keys()
    assert found.normalisation is not None
    assert found.normalisation.mean == pytest.approx((0.5, 0.4, 0.3), abs=1e-7)
    assert found.normalisation.std == pytest.approx((0.2, 0.25, 0.3), abs=1e-7)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": STATE, "args": argparse.Namespace(mean=None, std=None), "std": 0.1, "mean": 76.3},
        {**STATE, "bn.running_mean": MEAN},
        {"model": STATE, "config": {"mean": "imagenet"}},
    ],
)
def test_other_means_are_none(content: Any, tmp_path: Path) -> None:
    """Of a metric, of a batch norm, of a setting that was left open."""
    torch.save(content, path := tmp_path / "w.pth")
    assert load_checkpoint(path, STATE).normalisation is None


def test_a_modules_own_constants_stay_its_own(tmp_path: Path) -> None:
    """A module with such buffers loads them itself."""
    own = {**STATE, "normalize.mean": MEAN, "normalize.std": STD}
    torch.save(prefixed("model.") | {f"model.{k}": v for k, v in own.items()}, path := tmp_path / "w.pth")
    found = load_checkpoint(path, own)
    assert (found.normalisation, found.state.keys()) == (None, own.keys())


@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.01, 1)] * 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_constants_are_those_of_the_file_to_the_bit(mean: Any, std: Any, dtype: torch.dtype) -> None:
    """As float32, which is what they are used as: from a buffer in [0, 1] or a list of numbers."""
    if all(abs(m - b) < 0.01 for m, b in zip(mean, (0.406, 0.456, 0.485), strict=True)):
        return
    for entries in (
        {"mean": torch.tensor(mean, dtype=dtype), "std": torch.tensor(std, dtype=dtype)},
        {"mean": list(mean), "std": list(std)},
    ):
        found = find_normalisation(entries, "w.pth")
        assert found is not None
        assert torch.equal(torch.tensor(found.mean), torch.tensor(mean))
        assert torch.equal(torch.tensor(found.std), torch.tensor(std))


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ([127.5] * 3, [127.5] * 3, ((0.5,) * 3, (0.5,) * 3)),
        ([127.5] * 3, [1.0] * 3, ((0.5,) * 3, (round(1 / 255, 14),) * 3)),
        ([0, 0, 0], [255, 255, 255], ((0.0,) * 3, (1.0,) * 3)),
        ([0.0] * 3, [1.0] * 3, ((0.0,) * 3, (1.0,) * 3)),
    ],
)
def test_units(mean: list[float], std: list[float], expected: Any) -> None:
    """Pixels of 0 to 255 are told by values above 1."""
    for kind in (torch.tensor, np.array, list):
        found = find_normalisation({"mean": kind(mean), "std": kind(std)}, "w.pth")
        assert found is not None
        assert found.mean == pytest.approx(expected[0], abs=1e-12)
        assert found.std == pytest.approx(expected[1], abs=1e-12)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"mean": MEAN}, "and none for the std"),
        ({"net.sigma": STD}, "and none for the mean"),
        ({"a.mean": MEAN, "b.mean": STD, "a.std": STD}, "and several that differ for the mean"),
        ({"mean": 255 * MEAN, "std": STD}, r"not understood: mean \(127.5, 102, 76.5\), std \(0.2"),
        ({"mean": MEAN, "std": 255 * STD}, "not understood"),
        ({"mean": -MEAN, "std": STD}, "not understood"),
        ({"mean": MEAN, "std": 0 * STD}, "not understood"),
        ({"mean": MEAN * float("nan"), "std": STD}, "not understood"),
        ({"mean": 1000 * MEAN, "std": 100 * STD}, "not understood"),
        (
            {"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]},
            "the order blue, green, red",
        ),
    ],
)
def test_what_is_not_understood_is_refused(entries: dict[str, Any], message: str) -> None:
    """Scored with other constants it would be a wrong number."""
    with pytest.raises(WeightsError, match=rf"w\.pth holds a normalisation of its own \(.*{message}"):
        find_normalisation(entries, "w.pth")


def test_a_list_of_one_is_for_all_channels(tmp_path: Path) -> None:
    """Among a script's settings, as ``Normalize([0.5], [0.25])`` takes it; one alone is refused."""
    net = nn.Linear(2, 2)
    settings = {"data": {"mean": [0.5], "std": (0.25,)}}
    torch.save({"model": net.state_dict(), "args": settings}, path := tmp_path / "w.pth")
    found = load_checkpoint(path, net.state_dict()).normalisation
    assert found == Normalisation((0.5,) * 3, (0.25,) * 3, ("args.data.mean", "args.data.std"))
    with pytest.raises(WeightsError, match="and none for the std"):
        find_normalisation({"mean": [0.5]}, "w.pth")


@pytest.mark.parametrize(
    ("mean", "told"),
    [(0.5, True), ("0.5,0.4,0.3", True), ({"r": 0.5}, True), ([0.5] * 4, True), (None, False)],
)
def test_settings_that_are_not_read_are_told(
    mean: Any, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be a normalisation or not: nobody has to guess that they were left out."""
    content = {"model": STATE, "config": {"mean": mean}, "metrics": {"mean": 0.7}}
    torch.save(content, path := tmp_path / "w.pth")
    assert load_checkpoint(path, STATE).normalisation is None
    assert ("w.pth: config.mean among its settings is not read as mean or std" in caplog.text) == told
    assert "metrics" not in caplog.text


def test_the_transform_takes_them_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The same constants change nothing; a transform that cannot show its own is refused."""
    own = Transform(256, (224, 224))
    assert normalised(own, None, "net") is own
    same = Normalisation(own.mean, (0.2290000007, 0.224, 0.225), ("mean", "std"))
    assert normalised(own, same, "net") is own
    assert normalised(own, same, "net", given=True) is own
    assert not caplog.records
    other = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), ("mu", "sigma"))
    assert normalised(own, other, "net") == Transform(256, (224, 224), mean=other.mean, std=other.std)
    assert (
        "net: mean (0.5, 0.4, 0.3) and std (0.2, 0.25, 0.3) come from the weights file (mu, sigma)"
        in caplog.text
    )
    with pytest.raises(WeightsError, match=r"net come with a mean and a std of their .*transform has others"):
        normalised(own, other, "net", given=True)
    with pytest.raises(WeightsError, match="its transform is one where these can't be seen"):
        normalised(CallableTransform(lambda image: None, {}), other, "net")


def test_a_model_is_scored_under_its_checkpoints_constants(tmp_path: Path) -> None:
    """Its logits are those of the normalising layer in front of the network; paper and mappings keep them."""
    torch.manual_seed(0)
    net = timm.create_model("test_vit", num_classes=1000).eval()

    class Normalise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", MEAN)
            self.register_buffer("std", STD)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)

    whole = nn.Sequential(OrderedDict(normalize=Normalise(), model=net)).eval()
    torch.save({"state_dict": whole.state_dict()}, path := tmp_path / "w.pth")
    found = load_classifier("timm:test_vit", weights=str(path))
    plain = load_classifier("timm:test_vit", weights=str(_bare(net, tmp_path)))
    image = fixed_images()[0]
    transform = found.transform
    assert isinstance(transform, Transform)
    pixels = transform.pixels(image)
    in_units = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = whole(in_units)
        torch.testing.assert_close(
            found.module(transform.batch([pixels], "cpu")), expected, rtol=0, atol=1e-5
        )
        assert not torch.allclose(plain.module(plain.transform.batch([pixels], "cpu")), expected, atol=1e-2)
    assert found.spec.transform["mean"] == pytest.approx([0.5, 0.4, 0.3], abs=1e-7)
    assert found.spec.transform_sha256 != plain.spec.transform_sha256
    assert found.spec.weights_sha256 == plain.spec.weights_sha256
    for policy in ({"resize": 160, "crop": 160}, {"crop": 160}):
        assert with_policy(found, policy).spec.transform["std"] == found.spec.transform["std"]


def _bare(net: nn.Module, folder: Path) -> Path:
    torch.save(net.state_dict(), path := folder / "bare.pth")
    return path
