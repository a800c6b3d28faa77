"""Hashes of views: what a copy shares with its original, and what is left without a border."""

from __future__ import annotations

import hashlib
import sys

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from imagenet_hard.base.errors import ImageError, UsageError
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.dataset.perceptual import (
    CONTENT,
    FIRST_PART,
    HASH_BYTES,
    MIRRORED,
    SIDE,
    VIEWS,
    WHOLE,
    content_box,
    hash_images,
    hashes,
    image_hash,
    reduced,
    view_box,
)
from tests.dataset.images import encoded, picture


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A real photograph, in RGB."""
    from io import BytesIO

    return Image.open(BytesIO(load_dataset("sample")[0].image)).convert("RGB")


def views(image: Image.Image) -> np.ndarray:
    """uint8 (VIEWS, HASH_BYTES)."""
    found = hashes(reduced(encoded(image), "x"))
    return np.frombuffer(found, np.uint8).reshape(VIEWS, HASH_BYTES)


def apart(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.bitwise_count(a ^ b).sum())


def test_the_bits_are_those_of_imagehash(photo):
    """Of the whole image, all of them, and the first 64 those of the lowest frequencies."""
    image = reduced(encoded(photo), "x").resize((64, 64), Image.Resampling.LANCZOS)
    bits = imagehash.phash(image, hash_size=16).hash
    ours = np.unpackbits(views(photo)[WHOLE])
    assert ours.sum() == bits.sum()
    np.testing.assert_array_equal(ours[:64].reshape(8, 8), bits[:8, :8])


def test_a_mirror_image_has_the_mirrored_views_hash(photo):
    assert apart(views(ImageOps.mirror(photo))[WHOLE], views(photo)[MIRRORED]) <= 4


def test_a_part_is_what_a_crop_shows(photo):
    left, top = round(0.1 * photo.width), round(0.1 * photo.height)
    crop = photo.crop((left, top, photo.width, photo.height))
    assert apart(views(crop)[WHOLE], views(photo)[VIEWS - 1]) <= 20
    assert apart(views(crop)[WHOLE], views(photo)[FIRST_PART]) > 60


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (60, 130, 60)])
def test_a_border_is_left_out(photo, colour):
    assert apart(views(ImageOps.expand(photo, 30, colour))[CONTENT], views(photo)[WHOLE]) <= 30


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.tuples(*[st.integers(0, 9)] * 4),
    st.tuples(*[st.integers(0, 9)] * 4),
)
def test_borders_in_borders(width, height, inner, outer):
    """A picture in a white border in a black one comes out alone, unless the borders are all there is."""
    noise = np.random.default_rng(0).integers(60, 190, (height, width), dtype=np.uint8)
    image = Image.fromarray(noise)
    bordered = ImageOps.expand(ImageOps.expand(image, inner, 255), outer, 0)
    left, top, right, bottom = content_box(bordered)
    assert 0 <= left < right <= bordered.width
    assert 0 <= top < bottom <= bordered.height
    sides = (inner[0] + outer[0], inner[1] + outer[1])
    assert left <= sides[0] + width
    assert top <= sides[1] + height


def test_every_view_lies_in_the_image():
    image = reduced(encoded(picture(0, (700, 300))), "x")
    assert image.size == (SIDE, 110)
    for view in range(VIEWS):
        left, top, right, bottom = view_box(image, view)
        assert 0 <= left < right <= image.width + 1e-9
        assert 0 <= top < bottom <= image.height + 1e-9


@pytest.mark.parametrize("colour", [0, 255])
def test_an_image_of_one_colour_is_hashed(colour):
    assert len(hashes(Image.new("L", (40, 30), colour))) == VIEWS * HASH_BYTES


def test_what_is_no_image_has_the_hash_of_its_bytes():
    assert image_hash("a", lambda: b"text") == ("a", hashlib.sha256(b"text").hexdigest(), b"")


def test_what_cannot_be_read_has_none():
    def gone() -> bytes:
        raise ImageError("gone")

    assert image_hash("a", gone) == ("a", "", b"")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(UsageError, match=r'pip install "imagenet-hard\[copies\]"'):
        hashes(Image.new("L", (8, 8)))


def test_the_order_is_that_of_the_images():
    images = load_dataset("sample")
    rows = list(hash_images(images, range(3, 7)))
    assert [row.id for row in rows] == list(images.ids[3:7])
    assert rows[0] == image_hash(images.ids[3], lambda: images[3].image)
