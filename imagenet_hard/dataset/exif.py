"""The EXIF orientation of images, and what those that have one are worth.

Tools differ on them: here they are shown as they are stored unless ``exif`` is asked for, as in the
published numbers and in torchvision and timm; ``datasets`` turns them since 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from imagenet_hard.base.text import counted, shorten_list

_TAG = 0x0112
UPRIGHT = 1
TURNED = range(2, 9)
"""Orientations that turn or mirror an image; EXIF has no others."""


def orientation(image: Image.Image) -> int:
    """The orientation of an opened image, 1 to 8; a block that says no such thing, or is broken, says 1."""
    try:
        found = image.getexif().get(_TAG, UPRIGHT)
    except Exception:  # whatever PIL's parsers raise
        return UPRIGHT
    return int(found) if found in TURNED else UPRIGHT


def worth(ids: Sequence[str], n: int, shown: int = 10) -> str:
    """What the images ``ids``, of ``n``, can move, as a sentence.

    >>> worth(["a", "b"], 400)
    '2 images of 400 with an EXIF orientation: a, b. Scored as stored unless --exif is given, while \
`datasets` turns such images: accuracies of the two can differ by up to 0.50 points'
    """
    return (
        f"{counted(len(ids), 'image')} of {n:,} with an EXIF orientation: {shorten_list(ids, shown)}. Scored "
        "as stored unless --exif is given, while `datasets` turns such images: accuracies of the two can "
        f"differ by up to {100 * len(ids) / n:.2f} points"
    )
