"""The original file of an image: how its release calls it, as far as an id keeps that."""

from __future__ import annotations

import re

from imagenet_hard.imagenet.variants import VARIANTS

_VALIDATION = re.compile(r"(?<![A-Za-z0-9])ILSVRC2012_val_[0-9]{8}(?![0-9])")
_V2 = re.compile(r"([0-9a-f]{40})(\.jpe?g)?", re.IGNORECASE)
_WNID = re.compile(r"n[0-9]{8}")


def original_file(id: str) -> str:
    """The name of an image's file in its release, with the class folder where names repeat; "" where the id
    does not have it.

    Of ImageNet's validation images and what is made of them (ReaL, -C) it is the validation image.

    >>> original_file("imagenet-c/fog/3/ILSVRC2012_val_00000293")
    'ILSVRC2012_val_00000293.JPEG'
    >>> original_file("imagenet-r/n01443537/art_0.jpg")
    'n01443537/art_0.jpg'
    >>> original_file("7")
    ''
    """
    parts = id.replace("\\", "/").split("/")
    name = parts[-1]
    if found := _VALIDATION.search(name):
        return f"{found[0]}.JPEG"
    if found := _V2.fullmatch(name):
        return f"{found[1].lower()}.jpeg"
    if any(variant.files and variant.files.fullmatch(name) for variant in VARIANTS.values()):
        return f"{parts[-2]}/{name}" if len(parts) > 1 and _WNID.fullmatch(parts[-2]) else name
    return ""
