"""Our transforms give bit for bit what torchvision gives on PIL images."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.classifiers.transform import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CallableTransform,
    Transform,
    paper_transform,
)
from imagenet_hard.imagenet.resizing import resize_shorter


def image(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return picture.quantize(64) if mode == "P" else picture.convert(mode)


def torchvision_transform(resize: int, crop: int, interpolation: str, rgb: str) -> transforms.Compose:
    to_rgb = transforms.Lambda(lambda x: x.convert("RGB"))
    geometry = [
        transforms.Resize(resize, InterpolationMode(interpolation)),
        transforms.CenterCrop(crop),
    ]
    return transforms.Compose(
        [
            *([to_rgb, *geometry] if rgb == "first" else [*geometry, to_rgb]),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    resize=st.integers(1, 60),
    crop=st.integers(1, 60),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    mode=st.sampled_from(["RGB", "L", "P"]),
    rgb=st.sampled_from(["first", "last"]),
)
def test_equals_torchvision(width, height, resize, crop, interpolation, mode, rgb):
    """Any size, also images smaller than the crop, any order of conversion."""
    picture = image(width, height, mode)
    ours = Transform(resize, (crop, crop), interpolation, rgb=rgb)
    expected = torchvision_transform(resize, crop, interpolation, rgb)(picture)
    got = ours.batch([ours.pixels(picture)], "cpu")[0]
    assert torch.equal(got, expected)


@settings(deadline=None)
@given(
    short=st.integers(1, 9),
    long=st.integers(1, 400),
    upright=st.booleans(),
    resize=st.integers(1, 60),
    crop=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
    mode=st.sampled_from(["RGB", "L", "P", "RGBA", "LA", "1", "CMYK"]),
    rgb=st.sampled_from(["first", "last"]),
)
def test_a_narrow_image_made_in_parts_equals_torchvision(
    short, long, upright, resize, crop, interpolation, mode, rgb
):
    """Of what would be huge only the crop is made: here of everything that grows."""
    picture = image(*((short, long) if upright else (long, short)), mode)
    ours = Transform(resize, crop, interpolation, rgb=rgb)
    with patch("imagenet_hard.classifiers.transform.resize_shorter", partial(resize_shorter, most=0)):
        pixels = ours.pixels(picture)
    expected = picture.convert("RGB") if rgb == "first" else picture
    expected = transforms.Resize(resize, InterpolationMode(interpolation))(expected)
    expected = transforms.CenterCrop(crop)(expected).convert("RGB")
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_the_middle_of_a_line_of_30_000_pixels():
    """Resize(256) would make two billion pixels of it. As it is one pixel wide, one column tells them all."""
    line = image(1, 30_000)
    column = np.asarray(line.resize((1, 256 * 30_000), Image.Resampling.BILINEAR))
    middle = column[(len(column) - 224) // 2 :][:224]
    pixels = paper_transform(IMAGENET_MEAN, IMAGENET_STD).pixels(line)
    np.testing.assert_array_equal(pixels, np.broadcast_to(middle, (224, 224, 3)))


def test_a_batch_is_channels_last_and_in_order():
    """The memory format that convolutions are fastest on, without a copy."""
    t = Transform(32, (24, 20))
    batch = t.batch([t.pixels(image(50, 40, seed=s)) for s in range(3)], "cpu")
    assert batch.shape == (3, 3, 24, 20)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch[2], t.batch([t.pixels(image(50, 40, seed=2))], "cpu")[0])


def test_paper_transform_converts_palette_images_last():
    """The paper's pipeline resizes a palette image before it has colours; the default doesn't."""
    picture = image(300, 260, "P")
    paper = paper_transform(IMAGENET_MEAN, IMAGENET_STD)
    first = Transform(256, (224, 224), "bilinear")
    assert not np.array_equal(paper.pixels(picture), first.pixels(picture))
    assert np.array_equal(paper.pixels(image(300, 260)), first.pixels(image(300, 260)))


def test_a_fixed_size_squashes():
    """(height, width) ignores the aspect ratio, as timm's crop_mode="squash"."""
    t = Transform((30, 20), None, "bicubic")
    expected = np.asarray(image(50, 40).resize((20, 30), Image.Resampling.BICUBIC))
    assert np.array_equal(t.pixels(image(50, 40)), expected)


def test_the_hash_tells_transforms_apart():
    """Any parameter that changes pixels changes the hash; the same transform repeats it."""
    base = Transform(40, (32, 32), "bicubic")
    others = [
        Transform(41, (32, 32), "bicubic"),
        Transform(40, (32, 32), "bilinear"),
        Transform(40, (32, 32), "bicubic", std=(0.5, 0.5, 0.5)),
    ]
    assert base.sha256() == Transform(40, (32, 32), "bicubic").sha256()
    assert len({t.sha256() for t in (base, *others)}) == 4
    assert base.describe()["crop"] == [32, 32]


def test_ragged_batches_and_unknown_filters_are_refused():
    """A transform that can't make batches is refused where it is made."""
    with pytest.raises(UsageError, match="ragged"):
        Transform(256, None)
    with pytest.raises(UsageError, match="unknown interpolation 'cubic': expected one of"):
        Transform(256, (224, 224), "cubic")


def test_ones_own_transform_must_give_a_tensor():
    """A callable gets an RGB image and must give (3, H, W)."""
    good = CallableTransform(transforms.ToTensor(), {"name": "mine"})
    batch = good.batch([good.pixels(image(8, 6, "L"))], "cpu")
    assert batch.shape == (1, 3, 6, 8)
    bad = CallableTransform(np.asarray, {"name": "array"})
    with pytest.raises(
        ClassifierError,
        match=r"gave ndarray \(6, 8, 3\): expected a float tensor \(3, H, W\): its channels come last",
    ):
        bad.pixels(image(8, 6))
