"""Superclasses of the 1000 classes: wide terms of WordNet that people know, each class below one at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.imagenet.classes import wnids
from imagenet_hard.imagenet.wordnet import ancestors

SUPERCLASSES: Mapping[str, str] = MappingProxyType(
    {
        "dog": "n02084071",
        "other mammal": "n01861778",
        "bird": "n01503061",
        "reptile": "n01661091",
        "amphibian": "n01627424",
        "fish": "n02512053",
        "invertebrate": "n01905661",
        "food": "n00021265",
        "vegetable or fruit": "n07705711",
        "fungus": "n12992868",
        "geological formation": "n09287968",
        "vehicle": "n04524313",
        "clothing": "n03051540",
        "furniture": "n03405725",
        "musical instrument": "n03800933",
        "container": "n03094503",
        "structure": "n04341686",
        "device or tool": "n03575240",
    }
)
"""Name -> synset. A class belongs to the first of which it is a kind, whatever else it is a kind of."""

OTHER = "everything else"


@cache
def superclass_of() -> tuple[str, ...]:
    """The superclass of each class, in index order."""
    return tuple(_first(wnid) for wnid in wnids())


def by_superclass(labels: Sequence[Sequence[int]]) -> dict[str, NDArray[np.bool_]]:
    """The images with a label in each superclass, bool (n,); nothing where there is one superclass only."""
    of = superclass_of()
    there = [{of[label] for label in each} for each in labels]
    found = {
        name: np.array([name in each for each in there], np.bool_)
        for name in (*SUPERCLASSES, OTHER)
        if any(name in each for each in there)
    }
    return found if len(found) > 1 else {}


def _first(wnid: str) -> str:
    line = ancestors(wnid) | {wnid}
    return next((name for name, synset in SUPERCLASSES.items() if synset in line), OTHER)
