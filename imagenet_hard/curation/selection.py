"""Which survivors go into the data set: exclusions, people's decisions, and images that are there twice."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagenet_hard.content import content_dir
from imagenet_hard.curation.records import Decision, OpenSource, Survivor
from imagenet_hard.curation.sources.duplicates import SHARED
from imagenet_hard.errors import DatasetError, ResultError

EXCLUSIONS = "curation/exclusions"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Selected:
    """One row of the data set to be: where its bytes are read, and what they must hash to."""

    id: str
    source: str
    labels: tuple[int, ...]
    image_sha256: str


@dataclass(frozen=True)
class Selection:
    """Rows sorted by id, and how many images each step took out or changed.

    ``dropped``: reason -> images that reviewers took out; ``merged``: images that two sources share.
    """

    rows: tuple[Selected, ...]
    excluded: int = 0
    relabelled: int = 0
    merged: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


def select(
    sources: Sequence[OpenSource],
    survivors: Sequence[Survivor],
    decisions: Mapping[str, Decision],
    excluded: Mapping[str, str],
) -> Selection:
    """Apply exclusions (id -> reason), then decisions; then make one row of what -ReaL shares with ImageNet.

    The same bytes hard under both of these become one row: the first source's, with the labels of both.

    Raises:
        DatasetError: nothing is left, other images are there twice, or a survivor's source is not there.
        ResultError: a decision about an image that did not survive.
    """
    known = {id for source in sources for id in source.images.ids}
    if gone := sorted(s.id for s in survivors if s.id not in known):
        raise DatasetError(f"{len(gone)} survivors are in no source of the recipe now: {_some(gone)}")
    if unknown := sorted(set(decisions) - {s.id for s in survivors}):
        raise ResultError(
            f"{len(unknown)} decisions are about images that did not survive: {_some(unknown)}. They belong "
            "to another run: move their files away"
        )
    rows, dropped, n_excluded, n_relabelled = [], Counter[str](), 0, 0
    for survivor in sorted(survivors, key=lambda s: s.id):
        row = Selected(survivor.id, survivor.source, survivor.labels, survivor.image_sha256)
        decision = decisions.get(survivor.id)
        if survivor.id in excluded:
            n_excluded += 1
        elif decision is not None and decision.action == "drop":
            dropped[decision.reason or "no reason given"] += 1
        elif decision is not None and decision.action == "relabel":
            rows.append(replace(row, labels=decision.labels))
            n_relabelled += 1
        else:
            rows.append(row)
    kept, merged = _one_row_an_image(rows, sources)
    if not kept:
        raise DatasetError(
            f"there is nothing to build: {len(survivors)} survivors, {n_excluded} excluded, "
            f"{sum(dropped.values())} dropped by reviewers"
        )
    return Selection(tuple(kept), n_excluded, n_relabelled, merged, dict(sorted(dropped.items())))


def read_exclusions(names: Sequence[str], recipe: Path, sources: Sequence[OpenSource]) -> dict[str, str]:
    """Id -> reason from CSV files (``id,reason``), beside the recipe or in the content folder.

    Raises:
        DatasetError: a file that is not there or no such CSV, or an id that no source has.
    """
    known = {id for source in sources for id in source.images.ids}
    found: dict[str, str] = {}
    for name in names:
        places = [recipe.parent / name, content_dir(EXCLUSIONS) / name]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise DatasetError(f"the exclusions {name} are not there: looked in {places[0]} and {places[1]}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if (reader.fieldnames or [])[:2] != ["id", "reason"]:
                raise DatasetError(f"{path}: got the header {reader.fieldnames}, expected id,reason")
            for row in reader:
                if row["id"] not in known:
                    raise DatasetError(
                        f"{path}:{reader.line_num}: the id {row['id']!r} is in no source of the recipe"
                    )
                found[row["id"]] = row["reason"] or ""
    return found


def _one_row_an_image(rows: Iterable[Selected], sources: Sequence[OpenSource]) -> tuple[list[Selected], int]:
    place = {source.spec.id: number for number, source in enumerate(sources)}
    variant = {source.spec.id: source.spec.variant for source in sources}
    groups: dict[str, list[Selected]] = defaultdict(list)
    for row in rows:
        groups[row.image_sha256].append(row)
    kept, twice, merged = [], [], 0
    for group in groups.values():
        variants = [variant[row.source] for row in group]
        if len(group) > 1 and (not set(variants) <= SHARED or len(set(variants)) < len(variants)):
            twice.append(" = ".join(row.id for row in group))
            continue
        first = min(group, key=lambda row: place[row.source])
        labels = tuple(sorted({label for row in group for label in row.labels}))
        kept.append(replace(first, labels=labels))
        merged += len(group) - 1
    if twice:
        raise DatasetError(
            f"{len(twice)} images are there more than once: {_some(twice)}. An image counts once: name all "
            "but one of each in an exclusions file of the recipe"
        )
    return sorted(kept, key=lambda row: row.id), merged


def _some(items: Sequence[str]) -> str:
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if items[SHOWN:] else "")
