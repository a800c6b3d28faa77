"""What an endpoint is sent of an image."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from imagenet_hard.base.errors import ImageError
from imagenet_hard.evaluation.generative.images import data_url

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def encoded(form: str, mode: str = "RGB") -> bytes:
    file = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_bytes_go_as_they_are_by_what_they_are(form):
    data = encoded(form)
    url, anew = data_url(data)
    head, _, rest = url.partition(",")
    assert (head, anew) == (f"data:image/{form.lower()};base64", False)
    assert base64.b64decode(rest) == data


@pytest.mark.parametrize(("form", "mode"), [("BMP", "RGB"), ("TIFF", "RGB"), ("PPM", "L")])
def test_what_few_servers_read_goes_as_png(form, mode):
    url, anew = data_url(encoded(form, mode))
    assert anew
    image = Image.open(BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    expected = Image.fromarray(PIXELS).convert(mode).convert("RGB")
    assert np.array_equal(np.asarray(image), np.asarray(expected))


def test_no_image_is_named():
    with pytest.raises(ImageError, match="'cat' cannot be decoded: got 5 bytes"):
        data_url(b"hello", id="cat")
