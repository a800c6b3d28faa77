"""Images as an endpoint takes them: the file's own bytes in a data URL, or a PNG of what few servers read."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from imagenet_hard.base import web
from imagenet_hard.base.errors import ImageError
from imagenet_hard.dataset.decode import FORMATS, decode

ENCODING = {"version": 1, "sent": "JPEG, PNG, WEBP and GIF byte for byte, others as PNG"}
"""As data, for the record of the model."""

_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


def data_url(data: bytes, *, id: str = "") -> tuple[str, bool]:
    """The URL, and whether the image was encoded anew. What it is, its bytes say, and no file name.

    Raises:
        ImageError: it is no image that is read here.
    """
    try:
        form = Image.open(BytesIO(data), formats=FORMATS).format
    except Exception:  # ``decode`` has a word for each
        form = None
    if form in _AS_THEY_ARE:
        return web.data_url(_AS_THEY_ARE[form], data), False
    png = BytesIO()
    try:
        decode(data, id=id).convert("RGB").save(png, "PNG")
    except OSError as error:
        raise ImageError(f"image {id!r} cannot be encoded as PNG: {error}") from None
    return web.data_url("image/png", png.getvalue()), True
