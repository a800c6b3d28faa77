"""Bytes to a PIL image, by one policy for every source of images.

``datasets.Image`` rotates by EXIF, torchvision's and timm's loaders do not, and the published
numbers predate the rotation: so the raw bytes are decoded here, and every result records
``DECODE_POLICY``. The conversion to RGB belongs to the transform (``classifiers.transform``).
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from imagenet_hard.base.errors import ImageError, UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.dataset.exif import UPRIGHT, orientation

MAX_PIXELS = 89_478_485
"""Largest image that is decoded, in pixels. PIL's own threshold, above which it warns of a bomb."""

# A short list keeps out the parsers that run other programs (EPS) and those no benchmark needs.
# The first five are the ones that PIL loads at once; the others cost an import on first use.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000")
MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"))
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

DECODE_POLICY: Mapping[str, Any] = MappingProxyType(
    {
        "version": 1,
        "library": "Pillow",
        "formats": list(FORMATS),
        "max_pixels": MAX_PIXELS,
        "exif": "the orientation is ignored unless exif=True; a broken EXIF block counts as none",
        "frames": "first",
        "sixteen_bit": "high byte",
        "float": "refused",
        "icc_profile": "ignored",
        "alpha": "dropped by the conversion to RGB",
        "truncated": "refused",
    }
)
"""How bytes become pixels, as data for the result."""


def decode(data: bytes, *, id: str = "", exif: bool = False) -> Image.Image:
    """The first frame of an encoded image, fully loaded, in the mode of its file.

    16-bit grey is reduced to 8 bit ("L") by its high byte, because PIL's own conversion clips it
    to white. ``exif=True`` turns the image as its EXIF orientation says. No global setting is
    touched, so any number of threads may decode at once.

    Raises:
        ImageError: the bytes are no image in ``FORMATS``, truncated, larger than ``MAX_PIXELS``,
            or have pixels without a defined 8-bit range; the message names ``id``.
        UsageError: PIL was told elsewhere in the process to fill truncated images with grey.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on in this process, so truncated images would be scored "
            "half grey: set it to False (some library or your own code has set it)"
        )
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
        # Only the header has been read: a bomb goes no further.
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
    except MemoryError:
        raise
    except UnidentifiedImageError:
        seen = f"{len(data)} bytes that start with {data[:8]!r}" if data else "an empty file"
        raise _bad(id, f"got {seen}, expected one of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bad(
            id, f"its header announces more than {MAX_PIXELS:,} pixels, the limit against decompression bombs"
        ) from None
    except Exception as error:  # PIL's parsers raise OSError, SyntaxError, ValueError, struct.error, ...
        raise _bad(id, reason(error)) from error
    if image.mode not in MODES:
        image = _eight_bit(image, id)
    elif image.mode == "P":
        # Transparency changes no pixel of the RGB conversion, but makes PIL warn at each one.
        image.info.pop("transparency", None)
    return _turned(image) if exif else image


def is_turned(data: bytes) -> bool:
    """Whether an encoded image carries an EXIF orientation that turns it; what is no image carries none."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            return orientation(image) != UPRIGHT
    except Exception:  # whatever PIL's parsers raise
        return False


def too_large(id: str) -> ImageError:
    """An image for which memory does not suffice: not the others' fault."""
    return ImageError(f"image {id!r} does not fit into the memory that is left")


def is_image(path: str) -> bool:
    """Whether the file's header is that of an image in ``FORMATS``; no pixel is decoded.

    Raises:
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - PIL's own errors of a path are hard to tell apart
        try:
            Image.open(file, formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return True  # for ``decode`` to refuse by name
        except Exception:  # UnidentifiedImageError, and whatever PIL's parsers raise on other files
            return False
        return True


def _eight_bit(image: Image.Image, id: str) -> Image.Image:
    """Integer grey above 8 bit as "L"; every other unusual mode is refused."""
    if not image.mode.startswith("I"):
        raise _bad(
            id, f"got pixels of mode {image.mode}, expected one of {', '.join(sorted(MODES))} or 16-bit grey"
        )
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 0xFFFF:
        raise _bad(
            id, f"got integer pixels in {pixels.min()}..{pixels.max()}, expected the 16-bit range 0..65535"
        )
    return Image.fromarray((pixels >> 8).astype(np.uint8))


def _turned(image: Image.Image) -> Image.Image:
    """The image turned upright; an EXIF block that cannot be read turns nothing.

    ``ImageOps.exif_transpose`` also rewrites the block, and fails on some that ImageNet has.
    """
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _bad(id: str, what: str) -> ImageError:
    return ImageError(
        f"image {id!r} cannot be decoded: {what}. Replace the file, or leave it out and say so."
    )
