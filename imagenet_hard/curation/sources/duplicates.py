"""Images that are there twice, by the hash of their bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagenet_hard.curation.records import OpenSource

SHARED = frozenset(("imagenet", "imagenet-real"))
"""Variants that hold the same files under different labels."""


@dataclass(frozen=True)
class Duplicate:
    """Ids of images with equal bytes, in the order of the sources; ``expected``: by the variants' design."""

    ids: tuple[str, ...]
    expected: bool

    def __str__(self) -> str:
        why = "the same files by design" if self.expected else "exclude all but one"
        return f"{' = '.join(self.ids)} ({why})"


def find_duplicates(sources: Sequence[OpenSource], sha256: Mapping[str, str]) -> list[Duplicate]:
    """Groups of images with equal bytes, within a source and across sources.

    ``sha256``: id -> hash of its bytes, as the store of scores knows them; ids without one are not
    compared. Images that -ReaL shares with ImageNet are expected.
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for source in sources:
        for id in source.images.ids:
            if id in sha256:
                groups[sha256[id]].append((id, source.spec.variant))
    return [
        Duplicate(tuple(id for id, _ in group), _by_design([variant for _, variant in group]))
        for group in groups.values()
        if len(group) > 1
    ]


def _by_design(variants: list[str]) -> bool:
    return len(set(variants)) == len(variants) and set(variants) <= SHARED
