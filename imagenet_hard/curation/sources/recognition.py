"""What a folder of images looks like: which variant's layout, classes and file names it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imagenet_hard.dataset.class_folders import wnid_of
from imagenet_hard.dataset.files import File
from imagenet_hard.imagenet.classes import MASKS, objectnet, wnids

_SEVERITY = re.compile(r"[1-5]")
_FILES = {
    "imagenet-sketch": re.compile(r"sketch_\d+\.\w+"),
    "imagenet-r": re.compile(
        r"(art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|sculpture|sketch|sticker"
        r"|tattoo|toy|videogame)_\d+\.\w+"
    ),
    "imagenet-a": re.compile(r"\d\.\d+_.+ _ .+_\d\.\d+\.\w+"),
    "imagenet": re.compile(r"ILSVRC2012_val_\d{8}\.\w+"),
}
"""How the releases name their files; -Sketch first, since -R has sketches too."""

Kind = Literal["wnids", "numbers", "corruptions", "objects", "flat", "other"]


@dataclass(frozen=True)
class Recognised:
    """``kind`` of layout, and the ``variant`` that the folder certainly is, if that can be told."""

    kind: Kind
    variant: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def recognise(images: Sequence[File]) -> Recognised:
    """Layout, classes and names of the images of a folder."""
    tops = {file.parts[0] for file in images if len(file.parts) > 1}
    if not tops:
        return Recognised("flat", None, f"a flat folder of {len(images):,} images")
    if all(wnid_of(top) for top in tops):
        return _wnids(images, tops)
    below = ", ".join(sorted(tops)[:3])
    inner = [file for file in images if len(file.parts) > 2 and wnid_of(file.parts[-2])]
    if any(_SEVERITY.fullmatch(file.parts[-3]) for file in inner):
        return Recognised("corruptions", "imagenet-c", f"ImageNet-C: wnid folders below others ({below})")
    if inner:
        return Recognised("other", None, f"a folder of other folders ({below}) that hold wnid folders")
    if all(top.isascii() and top.isdigit() for top in tops):
        return Recognised("numbers", "imagenet-v2", f"ImageNet-V2: {len(tops)} numbered folders")
    known = tops & {c.folder for c in objectnet()}
    if known:
        return Recognised("objects", "objectnet", f"ObjectNet: folders such as {sorted(known)[0]}")
    return Recognised("other", None, f"folders named {', '.join(sorted(tops)[:3])}, none of which is a class")


def _wnids(images: Sequence[File], tops: set[str]) -> Recognised:
    what = f"{len(tops)} wnid folders"
    votes = {
        variant: sum(bool(pattern.fullmatch(file.parts[-1])) for file in images)
        for variant, pattern in _FILES.items()
    }
    variant = next((v for v, n in votes.items() if n > len(images) / 2), None)
    if variant is not None:
        example = next(f.parts[-1] for f in images if _FILES[variant].fullmatch(f.parts[-1]))
        return Recognised("wnids", variant, f"{TITLES[variant]}: {what} of files such as {example}")
    for variant in ("imagenet-a", "imagenet-r"):
        if {wnid_of(top) for top in tops} == {wnids()[c] for c in MASKS[variant]()}:
            return Recognised("wnids", variant, f"{TITLES[variant]}: {what}, just its classes")
    return Recognised("wnids", None, what)


TITLES = {
    "imagenet": "ImageNet's validation images",
    "imagenet-a": "ImageNet-A",
    "imagenet-r": "ImageNet-R",
    "imagenet-sketch": "ImageNet-Sketch",
}
