"""Perceptual hashes of an image, of its mirror image and of parts of it: ImageHash's ``phash``.

A copy that was resized or compressed has nearly the same hash; one that was flipped, cropped or put into a
border has nearly the hash of one of the image's other views.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageOps

from imagenet_hard.base.errors import ImageError, UsageError
from imagenet_hard.base.runtime import available_cores
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.decode import decode

SIDE = 256
"""Longest side of the reduced image, in pixels."""

BITS = 256
HASH_BYTES = BITS // 8
_SIDE = int(BITS**0.5)

INSTALL = 'pip install "imagenet-hard[copies]"'

# The order of the 16 x 16 frequencies that puts the lowest 8 x 8 first.
_LOW_FIRST = np.argsort(np.indices((_SIDE, _SIDE)).max(axis=0).ravel() >= 8, kind="stable")

KEPT = 0.9
"""Of width and height, in a part: what was cropped by a tenth is near to one of nine."""

_ANCHORS = (0.0, 0.5, 1.0)
PARTS = tuple((x, y) for y in _ANCHORS for x in _ANCHORS)

WHOLE, MIRRORED, CONTENT, FIRST_PART = 0, 1, 2, 3
VIEWS = FIRST_PART + len(PARTS)
"""Of each image: the whole, its mirror image, what a border leaves of it, and its parts."""

BORDER = 24
"""Grey levels that a border may differ from its corner: JPEG does that to it."""

LEAST = 0.3
"""Of width and of height: no border is as wide as to leave less."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of a reduced image."""


def reduced(data: bytes, id: str) -> Image.Image:
    """An encoded image in grey, its longest side ``SIDE`` at most; the EXIF orientation is ignored.

    Raises:
        ImageError: it cannot be decoded.
    """
    image = decode(data, id=id)
    if image.mode != "L":
        image = image.convert("RGB").convert("L")
    scale = SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(scale * length)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return image


def content_box(image: Image.Image) -> Box:
    """What is left of a reduced image without its borders of one grey each."""
    left, top, right, bottom = 0, 0, image.width, image.height
    while True:
        seen = image.crop((left, top, right, bottom))
        corner = Image.new("L", seen.size, seen.getpixel((0, 0)))
        box = ImageChops.difference(seen, corner).point(lambda level: 255 * (level > BORDER)).getbbox()
        if box is None or box == (0, 0, *seen.size):
            return (left, top, right, bottom)
        if box[2] - box[0] < LEAST * image.width or box[3] - box[1] < LEAST * image.height:
            return (left, top, right, bottom)
        left, top, right, bottom = left + box[0], top + box[1], left + box[2], top + box[3]


def view_box(image: Image.Image, view: int) -> Box:
    """Where a view lies in a reduced image."""
    if view == CONTENT:
        return content_box(image)
    if view < FIRST_PART:
        return (0, 0, *image.size)
    x, y = PARTS[view - FIRST_PART]
    left, top = (1 - KEPT) * image.width * x, (1 - KEPT) * image.height * y
    return (left, top, left + KEPT * image.width, top + KEPT * image.height)


def hashes(image: Image.Image) -> bytes:
    """The views of a reduced image: ``VIEWS`` times ``HASH_BYTES``, the lowest frequencies of each first.

    Raises:
        UsageError: ImageHash is not installed.
    """
    try:
        from imagehash import phash
    except ImportError:
        raise UsageError(f"near-copies are found by ImageHash, which is not installed: {INSTALL}") from None
    found = np.empty((VIEWS, BITS), np.bool_)
    for view in range(VIEWS):
        seen = image.resize((4 * _SIDE, 4 * _SIDE), Image.Resampling.LANCZOS, view_box(image, view))
        if view == MIRRORED:
            seen = ImageOps.mirror(seen)
        found[view] = phash(seen, hash_size=_SIDE).hash.ravel()[_LOW_FIRST]
    return np.packbits(found, axis=1).tobytes()


class ImageHash(NamedTuple):
    """Of one image. ``sha256``: of its bytes, in hex; "" where they cannot be read. ``views``: see
    ``hashes``; empty where the bytes are no image."""

    id: str
    sha256: str
    views: bytes


def image_hash(id: str, read: Callable[[], bytes]) -> ImageHash:
    """Read and hash an image; what is no image has the hash of its bytes alone.

    Raises:
        UsageError: ImageHash is not installed.
    """
    sha256 = ""
    try:
        data = read()
        sha256 = hashlib.sha256(data).hexdigest()
        return ImageHash(id, sha256, hashes(reduced(data, id)))
    except (ImageError, MemoryError):
        return ImageHash(id, sha256, b"")


CHUNK = 64
"""Images that are hashed side by side."""


def hash_images(images: Benchmark, which: range) -> Iterator[ImageHash]:
    """The hashes of some images, in their order, by as many threads as there are cores.

    Raises:
        UsageError: ImageHash is not installed.
    """

    def hashed(i: int) -> ImageHash:
        return image_hash(images.ids[i], lambda: images[i].image)

    with ThreadPoolExecutor(available_cores(), "hash") as pool:
        for start in range(0, len(which), CHUNK):
            yield from pool.map(hashed, which[start : start + CHUNK])
