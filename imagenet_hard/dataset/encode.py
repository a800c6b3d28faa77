"""Images that a program holds, as the bytes of a file: its own, or one without loss."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imagenet_hard.base.errors import DatasetError, UsageError

TAKEN = (
    "expected a data set's name, a folder, what load_dataset returns, a torchvision ImageFolder, a "
    "datasets.Dataset with image and label columns, or a sequence of (image, label) with PIL images, the "
    "bytes or paths of image files, or uint8 arrays (height, width, 3)"
)
_FORMATS = {"L": "PPM", "RGB": "PPM", "CMYK": "TIFF"}
"""Mode -> a format that holds it without loss; PNG holds the others that are taken."""
_MODES = (*_FORMATS, "1", "LA", "P", "RGBA", "I;16")
_ARRAYS = ((np.uint8, 2), (np.uint8, 3, 3))
"""dtype, dimensions, channels."""
_ORIENTATION = 0x0112


def encoded(image: Any, where: str, *, exif: bool = False) -> bytes:
    """An image as the bytes of a file: its own, or one without loss.

    Raises:
        DatasetError: it is none of the accepted kinds.
        UsageError: a PIL image that ``exif`` would have to turn.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    if isinstance(image, np.ndarray) and (image.dtype, image.ndim, *image.shape[2:]) in _ARRAYS:
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        raise DatasetError(f"{where} has {_described(image)} for an image: {TAKEN}{_hint(image)}")
    if image.mode not in _MODES:
        raise DatasetError(f"{where} is of PIL mode {image.mode}: expected one of {', '.join(_MODES)}")
    if exif and image.getexif().get(_ORIENTATION, 1) != 1:
        raise UsageError(
            f"exif: {where} is a PIL image in memory: turn it (ImageOps.exif_transpose) or give its file"
        )
    buffer = BytesIO()
    image.save(buffer, _FORMATS.get(image.mode, "PNG"))
    return buffer.getvalue()


def _described(image: Any) -> str:
    known = hasattr(image, "shape") and hasattr(image, "dtype")
    return f"a {type(image).__name__}" + (f" of {image.dtype} {tuple(image.shape)}" if known else "")


def _hint(image: Any) -> str:
    if is_of(image, "torch", "Tensor"):
        return (
            ". A tensor is what a transform has made, and images are scored under the classifier's own: take "
            "the transform out of the data set (dataset.transform = None), or give it as transform="
        )
    return ""


def is_of(data: Any, module: str, *names: str) -> bool:
    """Whether it is of one of these classes, without importing what nobody has imported."""
    there = sys.modules.get(module)
    return there is not None and any(isinstance(data, getattr(there, name)) for name in names)
