"""ImageNet's variants: what each is called, how its images lie, over which classes it is scored.

Whatever knows variants by name reads it here, so one more is one record, and a file of its classes in
``data/`` where it has not all 1000. Where file names tell a folder, the first record that fits counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet.classes import imagenet_to_objectnet, listed_classes

Layout = Literal["validation", "relabelled", "wnids", "numbers", "corruptions", "objects"]
"""How a release lies on disk: wnid folders, or a flat folder with its ground truth; the same with a label
file of its own; wnid folders; folders 0 to 999; corruption/severity/wnid; folders of ObjectNet's names."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One ImageNet variant.

    ``layout``: says who reads its folder (``curation/sources/opening.py``); ``expected``: the same in words.
    ``files``: how the release names its files, where that tells the variant. ``classes``: indices that it
    is scored over (paper, section 3); None: all 1000. ``keys``: those of a recipe's source that not every
    variant reads. ``images_of``: the variant whose files it holds under other labels;
    ``altered``: its pictures are another variant's, so near-copies of them are by design.
    """

    name: str
    title: str
    layout: Layout
    expected: str
    files: re.Pattern[str] | None = None
    classes: Callable[[], Sequence[int]] | None = None
    keys: tuple[str, ...] = ()
    images_of: str | None = None
    altered: bool = False


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant(
                "imagenet",
                "ImageNet's validation images",
                "validation",
                "1000 wnid folders or flat ILSVRC2012_val_*.JPEG files",
                files=re.compile(r"ILSVRC2012_val_\d{8}\.\w+"),
                keys=("labels",),
            ),
            Variant("imagenet-v2", "ImageNet-V2", "numbers", "folders 0 to 999"),
            Variant(
                "imagenet-real",
                "ImageNet-ReaL",
                "relabelled",
                "the validation images, and real.json",
                keys=("labels", "original_labels"),
                images_of="imagenet",
            ),
            Variant(
                "imagenet-a",
                "ImageNet-A",
                "wnids",
                "200 wnid folders",
                files=re.compile(r"\d\.\d+_.+ _ .+_\d\.\d+\.\w+"),
                classes=partial(
                    listed_classes,
                    "imagenet_a.txt",
                    "9826a24166e74ce62fb87b27889874ca26917542c745712309d6e25855d63bc2",
                ),
            ),
            Variant(
                "imagenet-c",
                "ImageNet-C",
                "corruptions",
                "folders such as fog/3/n01440764/",
                keys=("labels", "make", "corruptions", "severities", "seed"),
                altered=True,
            ),
            Variant(  # before -R, which has sketches too
                "imagenet-sketch",
                "ImageNet-Sketch",
                "wnids",
                "1000 wnid folders of files sketch_*.JPEG",
                files=re.compile(r"sketch_\d+\.\w+"),
            ),
            Variant(
                "imagenet-r",
                "ImageNet-R",
                "wnids",
                "200 wnid folders of files such as art_0.jpg",
                files=re.compile(
                    r"(art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|sculpture|sketch"
                    r"|sticker|tattoo|toy|videogame)_\d+\.\w+"
                ),
                classes=partial(
                    listed_classes,
                    "imagenet_r.txt",
                    "a6a0729f7a99230280639cab6e51e01485a3b41a676ea35621a501c9d6e83ca4",
                ),
            ),
            Variant(
                "objectnet",
                "ObjectNet",
                "objects",
                "folders such as alarm_clock/ and backpack/",
                classes=lambda: tuple(imagenet_to_objectnet()),
                keys=("labels", "border"),
            ),
        )
    }
)
"""Name -> variant."""

MASKS: Mapping[str, Callable[[], Sequence[int]]] = MappingProxyType(
    {variant.name: variant.classes for variant in VARIANTS.values() if variant.classes is not None}
)
"""Name of a mask, which is its variant's -> the class indices it keeps."""


def mask(variant: str) -> NDArray[np.bool_]:
    """Which of the 1000 classes ``variant`` is scored over: bool (1000,), read-only.

    ``variant``: one of ``MASKS``, as imagenet-a (200 classes), imagenet-r (200), objectnet (125). Mask the
    logits, take the argmax, keep the index of the 1000. ImageNet-Hard itself is scored without a mask.

    Raises:
        UsageError: there is no such mask.
    """
    if variant not in MASKS:
        raise UsageError(f"unknown mask {variant!r}: expected one of {', '.join(MASKS)}")
    return _mask(variant)


@cache
def _mask(variant: str) -> NDArray[np.bool_]:
    kept = np.zeros(N_CLASSES, dtype=np.bool_)
    kept[list(MASKS[variant]())] = True
    kept.setflags(write=False)
    return kept
