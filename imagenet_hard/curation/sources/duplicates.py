"""Images that are there twice, by the hash of their bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from imagenet_hard.base.errors import ImageError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.engine.prepare import overlapped

READERS = 8
"""Threads that read and hash: the disk is what they wait for."""

SHARED = frozenset(("imagenet", "imagenet-real"))
"""Variants that hold the same files under different labels."""


@dataclass(frozen=True)
class Duplicate:
    """Ids of images with equal bytes, in the order of the sources; ``expected``: by the variants' design."""

    ids: tuple[str, ...]
    expected: bool

    def __str__(self) -> str:
        return " = ".join(self.ids)


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


def unwanted(
    sources: Sequence[OpenSource], sha256: Mapping[str, str], excluded: Container[str]
) -> list[Duplicate]:
    """Duplicates by nobody's design that no exclusion settles: a build refuses those that are hard."""
    left = {id: sha for id, sha in sha256.items() if id not in excluded}
    return [found for found in find_duplicates(sources, left) if not found.expected]


def hashes(
    sources: Sequence[OpenSource], on_progress: Callable[[int], object] = lambda n: None
) -> dict[str, str]:
    """Id -> sha256 of every image's bytes, which are read for it; images that cannot be read are left out.

    So are those that are made on the fly: they are nobody's copies, and to make them takes long.
    """

    def read(place: tuple[OpenSource, int]) -> tuple[str, str | None]:
        source, row = place
        try:
            return source.images.ids[row], hashlib.sha256(source.images[row].image).hexdigest()
        except (ImageError, MemoryError):
            return source.images.ids[row], None

    found = dict[str, str]()
    ready = [source for source in sources if not source.spec.make]
    places = ((source, row) for source in ready for row in range(len(source.images)))
    with ThreadPoolExecutor(READERS, "hash") as pool:
        for id, sha256 in overlapped(pool, read, places):
            on_progress(1)
            if sha256 is not None:
                found[id] = sha256
    return found


def told(duplicates: Sequence[str]) -> str:
    """``a = b`` for each, and what to do about them."""
    return (
        f"{len(duplicates):,} images are there more than once: {shorten_list(duplicates)}. An image counts "
        "once: name all but one of each in an exclusions file of the recipe"
    )


def _by_design(variants: list[str]) -> bool:
    return len(set(variants)) == len(variants) and set(variants) <= SHARED
