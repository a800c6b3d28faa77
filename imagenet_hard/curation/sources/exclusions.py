"""Images that do not count: those a recipe excludes, and those that are there twice until it does."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.base.runtime import content_dir
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.text import shorten, shorten_list
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.copies import Copy, copies_within, explain_copies
from imagenet_hard.engine.prepare import overlapped
from imagenet_hard.imagenet.variants import VARIANTS

FOLDER = "curation/exclusions"
COLUMNS = ["id", "reason"]


def read_exclusions(names: Sequence[str], recipe: Path, sources: Sequence[OpenSource]) -> dict[str, str]:
    """Id -> reason from CSV files beside the recipe or in the content folder; a later row wins.

    Ids of images that were solved are fine, and so are those of a source that is cut by ``limit``.

    Raises:
        DatasetError: a file that is not there or no such CSV, or an id that no source has.
    """
    known = {id for source in sources for id in source.images.ids}
    cut = tuple(f"{source.spec.id}/" for source in sources if source.spec.limit is not None)
    found: dict[str, str] = {}
    for name in names:
        path = _find(name, recipe)
        hint = "a reason with a comma stands in double quotes"
        for place, (id, reason) in read_csv(path, COLUMNS, error=DatasetError, hint=hint)[1]:
            if id not in known and not id.startswith(cut):
                raise DatasetError(
                    f"{place}: the id {shorten(id)} is in no source of the recipe ("
                    f"{', '.join(source.spec.id for source in sources)}): correct it, or delete the line"
                )
            found[id] = reason
    return found


def _find(name: str, recipe: Path) -> Path:
    places = [recipe.parent / name, content_dir(FOLDER) / name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DatasetError(f"the exclusions {name} were not found: looked in {places[0]} and {places[1]}")
    return path


READERS = 8
"""Threads that read and hash: the disk is what they wait for."""


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
        Duplicate(tuple(id for id, _ in group), by_design([variant for _, variant in group]))
        for group in groups.values()
        if len(group) > 1
    ]


def unwanted(
    sources: Sequence[OpenSource], sha256: Mapping[str, str], excluded: Container[str]
) -> list[Duplicate]:
    """Duplicates by nobody's design that no exclusion settles: a build refuses those that are hard."""
    left = {id: sha for id, sha in sha256.items() if id not in excluded}
    return [found for found in find_duplicates(sources, left) if not found.expected]


def image_sha256s(
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


def near_copies(
    sources: Sequence[OpenSource],
    ids: Iterable[str],
    on_progress: Callable[[int], object] = lambda n: None,
) -> tuple[Copy, ...] | None:
    """Which of the images ``ids`` show the same picture in other bytes; None without ImageHash.

    Those of ImageNet-C are left out: they are ImageNet's pictures by design. ``on_progress`` is told of the
    images that were hashed.
    """
    ready = [source for source in sources if not VARIANTS[source.spec.variant].altered]
    where = {id: (source.images, row) for source in ready for row, id in enumerate(source.images.ids)}
    chosen = [id for id in ids if id in where]
    places = [where[id] for id in chosen]
    images = Benchmark(
        Source("sources", "folder"),
        chosen,
        [()] * len(chosen),
        [""] * len(chosen),
        lambda i: places[i][0][places[i][1]].image,
    )
    found = copies_within(images, on_progress)
    return None if found is None else tuple(copy for copy in found if copy.relation == "near-copy")


def explain_near_copies(copies: Sequence[Copy] | None) -> str:
    """A warning with the ids; "" where there are none."""
    said = explain_copies(copies)
    return f"{said}. Look at them: one of each may go into an exclusions file" if copies else said


def explain_duplicates(duplicates: Sequence[str]) -> str:
    """``a = b`` for each, and what to do about them."""
    return (
        f"images that appear more than once ({len(duplicates):,}): {shorten_list(duplicates)}. An image "
        "counts once: list all but one of each in an exclusions file of the recipe"
    )


def by_design(variants: Sequence[str]) -> bool:
    """Each variant once, and all of them with the files of one."""
    files = {VARIANTS[name].images_of or name for name in variants}
    return len(set(variants)) == len(variants) and len(files) == 1
