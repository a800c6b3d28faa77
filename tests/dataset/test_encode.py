"""Images in memory become files that decode to the very same pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.encode import encoded
from tests.dataset.images import encoded as file_of
from tests.dataset.images import jpeg, picture


@settings(deadline=None)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_no_pixel_changes(mode: str, width: int, height: int, seed: int) -> None:
    """In any mode, as it is and as RGB."""
    image = picture(seed, (width, height)).convert(mode)
    again = decode(encoded(image, "x"))
    assert again.mode in (mode, "L" if mode == "1" else mode)
    assert np.array_equal(np.asarray(again.convert("RGB")), np.asarray(image.convert("RGB")))
    if mode != "P":
        assert np.array_equal(np.asarray(again.convert(mode)), np.asarray(image))


def test_sixteen_bit_grey_is_what_its_file_is() -> None:
    """The policy of ``decode`` reduces it, not the encoding."""
    grey = Image.fromarray(
        (np.arange(70_000 // 100 * 100, dtype=np.uint32) % 65_536).astype(np.uint16).reshape(-1, 100)
    )
    assert np.array_equal(np.asarray(decode(encoded(grey, "x"))), np.asarray(grey) >> 8)


def test_rgb_is_the_same_file_under_every_library() -> None:
    """A header and the pixels: nothing is compressed, so no version of zlib moves the fingerprint."""
    image = picture(3, (5, 4))
    assert encoded(image, "x") == b"P6\n5 4\n255\n" + image.tobytes()
    assert encoded(image.convert("L"), "x") == b"P5\n5 4\n255\n" + image.convert("L").tobytes()


def test_arrays_bytes_and_paths(tmp_path: Path) -> None:
    """Arrays are pixels, bytes and paths are files as they are."""
    pixels = np.asarray(picture(1))
    assert encoded(pixels, "x") == encoded(picture(1), "x")
    assert encoded(pixels[..., 0], "x") == encoded(Image.fromarray(pixels[..., 0]), "x")
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    for same in (
        jpeg(1),
        bytearray(jpeg(1)),
        memoryview(jpeg(1)),
        tmp_path / "a.jpg",
        str(tmp_path / "a.jpg"),
    ):
        assert encoded(same, "x") == jpeg(1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            torch.zeros(3, 4, 4),
            r"item 0 has a Tensor of torch.float32 \(3, 4, 4\) for an image: .*transform = None",
        ),
        (np.zeros((4, 4, 3)), r"has a ndarray of float64 \(4, 4, 3\) for an image: expected"),
        (np.zeros((3, 4, 4), np.uint8), r"uint8 \(3, 4, 4\)"),
        (np.zeros(4, np.uint8), r"uint8 \(4,\)"),
        (None, "has a NoneType for an image"),
        (picture().convert("F"), "item 0 is of PIL mode F: expected one of L, RGB"),
    ],
)
def test_what_is_no_image(image: object, message: str) -> None:
    """Floats have no defined range, and channels come last."""
    with pytest.raises(DatasetError, match=message):
        encoded(image, "item 0")


def test_orientation_of_an_image_in_memory() -> None:
    """With ``exif`` it would have to be turned, and its file is not at hand."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(BytesIO(file_of(picture(), "JPEG", exif=exif)))
    assert decode(encoded(image, "x")).size == image.size
    with pytest.raises(UsageError, match="exif: x is a PIL image in memory: turn it"):
        encoded(image, "x", exif=True)
    assert encoded(picture(), "x", exif=True) == encoded(picture(), "x")
