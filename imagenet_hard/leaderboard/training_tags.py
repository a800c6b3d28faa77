"""What the names of published weights state of their training data, such as timm's ``augreg_in21k_ft_in1k``.

A tag that names a set which is not known here states nothing, so that no half of it passes for the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.leaderboard.training import UNNAMED, Training, TrainingSet

_SETS: Mapping[str, str] = MappingProxyType(
    {
        "in1k": "ImageNet-1k",
        "in12k": "ImageNet-12k",
        "in21k": "ImageNet-21k",
        "in22k": "ImageNet-21k",
        "inw21k": "ImageNet-21k",
        "cc12m": "CC-12M",
        "datacomp1b": "DataComp-1B",
        "datacomp_xl": "DataComp-1B",
        "datacomp_s34b": "DataComp-1B",
        "datacompxl": "DataComp-1B",
        "dfn2b": "DFN-2B",
        "dfn5b": "DFN-5B",
        "ig1b": "IG-1B",
        "jft": "JFT-300M",
        "laion400m": "LAION-400M",
        "laion_aesthetic": "LAION-Aesthetic",
        "laiona": "LAION-Aesthetic",
        "laion2b": "LAION-2B",
        "laion5b": "LAION-5B",
        "lvd142m": "LVD-142M",
        "lvd1689m": "LVD-1689M",
        "m30m": "Merged-30M",
        "m38m": "Merged-38M",
        "merged2b": "Merged-2B",
        "metaclip_400m": "MetaCLIP-400M",
        "metaclip_2pt5b": "MetaCLIP-2.5B",
        "metaclip_fullcc": "MetaCLIP-2.5B",
        "openai": "WIT-400M",
        "sa1b": "SA-1B",
        "swag": "IG-3.6B",
        "webli": "WebLI",
        "yfcc15m": "YFCC-15M",
        "yfcc100m": "YFCC-100M",
    }
)
"""Part of a tag -> the set that it names."""

_TAUGHT = {"dist", "distilled", "ns", "ssld", "swsl"}
"""Parts of a tag, or of an architecture's name, that say of a teacher that there was one, and not which."""

_PARTS = re.compile(
    rf"(?<![^_])(?:(?P<set>{'|'.join(sorted(_SETS, key=len, reverse=True))})|(?P<other>[^_]+))(?![^_])"
)
_UNKNOWN = re.compile(r"(?![sbe][0-9.]+[mbk]$)[a-z0-9]*[0-9][mb]$|finetuned|commonpool|datacomp\w*")
"""Parts that may name another set: those that end as a number of millions or billions does, but for samples
seen (``s13b``) and batches (``b90k``)."""

_TORCHVISION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "IMAGENET1K_V1": ("ImageNet-1k",),
        "IMAGENET1K_V2": ("ImageNet-1k",),
        "IMAGENET1K_SWAG_E2E_V1": ("IG-3.6B", "ImageNet-1k"),
        "IMAGENET1K_SWAG_LINEAR_V1": ("IG-3.6B", "ImageNet-1k"),
    }
)


def training_by_tag(model: ModelSpec) -> Training | None:
    """What the model's own tag states; None where it states nothing, or not all."""
    tag = model.tag or ""
    if model.backend == "torchvision" and tag in _TORCHVISION:
        first, *later = _TORCHVISION[tag]
        return _said([first], later, taught=False)
    taught = not _TAUGHT.isdisjoint(re.split(r"[_-]", model.name))
    return _by_parts(tag, taught) if model.backend in ("timm", "open_clip") else None


def _by_parts(tag: str, taught: bool) -> Training | None:
    stages: list[list[str]] = [[], []]
    fine_tuned = False
    for part in _PARTS.finditer(tag):
        other = part["other"]
        if part["set"]:
            name = _SETS[part["set"]]
            if name not in stages[fine_tuned]:
                stages[fine_tuned].append(name)
        elif other == "ft":
            fine_tuned = True
        elif other in _TAUGHT:
            taught = True
        elif _UNKNOWN.fullmatch(other):
            return None
    if not stages[0]:  # fine-tuned, but from what?
        return None
    return _said(*stages, taught=taught)


def _said(first: list[str], later: list[str], *, taught: bool) -> Training:
    return Training(
        trained_on=tuple(TrainingSet(name=name) for name in first),
        fine_tuned_on=tuple(TrainingSet(name=name) for name in later),
        distilled_from=(UNNAMED,) if taught else (),
        said_by="tag",
    )
