"""An enlarged image's crops against Pillow's own resize of the whole image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_hard.imagenet import resizing
from imagenet_hard.imagenet.resizing import MOST_PIXELS, Enlarged, resize_shorter, resized_size

FILTERS = [Image.Resampling.NEAREST, *resizing.FILTERS]  # Pillow 13 has more, which no transform asks for
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Noise in every band; a palette of noise."""
    bands = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    if mode in ("L", "P"):
        image = Image.fromarray(bands[..., 0])
    elif mode in ("LA", "PA"):
        image = Image.merge(mode, [Image.fromarray(bands[..., i]) for i in (0, 1)])
    else:
        image = Image.fromarray(bands) if mode == "RGBA" else Image.fromarray(bands[..., :3]).convert(mode)
    if mode in ("P", "PA"):
        image.putpalette(np.random.default_rng(seed).integers(0, 256, 768, np.uint8).tolist())
    return image


def assert_same(got: Image.Image, expected: Image.Image) -> None:
    """Mode, size, every band of every pixel, and what colours they are."""
    assert (got.mode, got.size) == (expected.mode, expected.size)
    assert got.tobytes() == expected.tobytes()
    assert got.convert("RGB").tobytes() == expected.convert("RGB").tobytes()


@settings(max_examples=150, deadline=None)
@given(
    short=st.integers(1, 12),
    long=st.integers(1, 900),
    upright=st.booleans(),
    more=st.integers(1, 250),
    mode=st.sampled_from(MODES),
    resampling=st.sampled_from(FILTERS),
    place=st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1)),
    crop=st.tuples(st.integers(1, 230), st.integers(1, 230)),
    seed=st.integers(0, 99),
)
def test_crops_equal_pillows(short, long, upright, more, mode, resampling, place, crop, seed):
    """Any aspect ratio, mode, filter and box, also one that reaches beyond the image or lies outside."""
    image = noise(*((short, long) if upright else (long, short)), mode, seed)
    size = resized_size(image.size, min(image.size) + more)
    if size[0] * size[1] > 4_000_000:  # the whole would take too long
        return
    left, top = (int(p * (s + c)) - c for p, s, c in zip(place, size, crop, strict=True))
    box = (left, top, left + crop[0], top + crop[1])
    expected = image.resize(size, resampling).crop(box)
    assert_same(Enlarged(image, size, resampling).crop(box), expected)


@pytest.mark.parametrize("resampling", FILTERS, ids=lambda each: each.name)
def test_far_along_a_long_side(resampling):
    """Where Pillow's steps have added up for 40,000 pixels, with a tie in the middle."""
    for image in (noise(3, 3000, "L"), noise(7, 7000, "L"), noise(7, 6999, "P")):
        size = resized_size(image.size, 40)
        whole = image.resize(size, resampling)
        for top in (0, size[1] // 2 - 112, size[1] - 200):
            box = (2, top, 50, top + 224)
            assert_same(Enlarged(image, size, resampling).crop(box), whole.crop(box))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 60), height=st.integers(1, 60), shorter=st.integers(1, 90), most=st.integers(1, 9000)
)
def test_the_size_decides_only_how_it_is_made(width, height, shorter, most):
    """As a whole where that is small or smaller than the image, else in parts; the pixels are the same."""
    image = noise(width, height)
    found = resize_shorter(image, shorter, Image.Resampling.BICUBIC, most)
    whole = image.resize(found.size, Image.Resampling.BICUBIC)
    pixels = whole.width * whole.height
    assert isinstance(found, Enlarged) == (pixels > max(most, width * height))
    box = (whole.width // 3 - 9, -2, whole.width // 3 + 20, 30)
    assert_same(found.crop(box), whole.crop(box))


def test_ordinary_images_are_resized_by_pillow():
    """Up to 10 : 1 at the largest of the paper's scales, whatever only gets smaller, and other than bytes."""
    bicubic = Image.Resampling.BICUBIC
    assert MOST_PIXELS > 10 * 1024 * 1024
    assert isinstance(resize_shorter(noise(10, 100), 1024, bicubic), Image.Image)
    assert isinstance(resize_shorter(noise(2, 40_000), 1, bicubic), Image.Image)
    for mode in ("I", "I;16", "F"):
        assert isinstance(resize_shorter(Image.new(mode, (2, 9)), 4, bicubic, most=1), Image.Image)
    for mode in MODES:
        assert isinstance(resize_shorter(noise(2, 9, mode), 4, bicubic, most=1), Enlarged)


CODE = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20, 700 * 2**20))
from PIL import Image
from imagenet_hard.imagenet.zoom import ZoomGrid
for size in ((1, 30_000), (30_000, 1), (3, 65_000)):
    print(len(list(ZoomGrid().crops(Image.new("RGB", size), [0, 40, 112, 315, 323]))))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_zooms_of_a_line_within_700_mb():
    """The whole would take 126 GB at scale 1024."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["5"] * 3, done.stderr
