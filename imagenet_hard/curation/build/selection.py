"""Which survivors go into the data set: exclusions, people's decisions, and images that are there twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.records import Decision, OpenSource, Survivor
from imagenet_hard.curation.review.actions import ACTIONS
from imagenet_hard.curation.sources.exclusions import by_design, explain_duplicates

NOTHING: Mapping[str, Collection[int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Selected:
    """One row of the data set to be: where its bytes are read, and what they must hash to.

    ``file``: its id in the source, where an earlier version of the set gave it another.
    """

    id: str
    source: str
    labels: tuple[int, ...]
    image_sha256: str
    file: str = ""

    @property
    def place(self) -> str:
        """Its id in the source."""
        return self.file or self.id


@dataclass(frozen=True)
class SelectedRows:
    """Rows sorted by id, and what each step took out or changed.

    ``excluded``, ``relabelled``: numbers of images; ``relabelled`` ones are rows. ``dropped``: reason
    -> images that reviewers took out. ``answered``: ids that are hard no more, because a zoom predicts
    a class that reviewers gave them. ``merged``: images that two sources share and that became one row.
    ``torn``: ids of rows whose image was taken out under another source's id. ``reviewed``: survivors
    with a decision; ``reviewers``: people who made them.
    """

    rows: tuple[Selected, ...]
    excluded: int = 0
    relabelled: int = 0
    merged: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    answered: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    reviewed: int = 0
    reviewers: int = 0


def select(
    sources: Sequence[OpenSource],
    survivors: Sequence[Survivor],
    decisions: Mapping[str, Decision],
    excluded: Mapping[str, str],
    predicted: Mapping[str, Collection[int]] = NOTHING,
) -> SelectedRows:
    """Apply exclusions (id -> reason), then decisions; then make one row of what -ReaL shares with ImageNet.

    The same bytes hard under both of these become one row: the first source's, with the labels of
    both, or with the reviewers' labels alone where they gave some. A relabelled image is out if one
    of its new labels is among the classes that zooms ``predicted`` (id -> class indices; the views of
    the survivor count as well): it is not hard under these labels.

    Raises:
        DatasetError: nothing is left, other images are there twice, or a survivor's source is not there.
        ResultError: a decision about an image that did not survive.
    """
    _check(sources, survivors, decisions)
    rows, gone, relabelled, answered = list[Selected](), set[str](), set[str](), list[str]()
    dropped, n_excluded = Counter[str](), 0
    for survivor in sorted(survivors, key=lambda s: s.id):
        row = Selected(survivor.id, survivor.source, survivor.labels, survivor.image_sha256)
        decision = decisions.get(survivor.id)
        if survivor.id in excluded:
            n_excluded += 1
        elif decision is not None and ACTIONS[decision.action].effect == "leaves":
            dropped[decision.reason or "no reason given"] += 1
        elif decision is None or ACTIONS[decision.action].effect == "stays":
            rows.append(row)
            continue
        elif _seen(survivor, predicted).isdisjoint(decision.labels):
            rows.append(replace(row, labels=tuple(sorted(set(decision.labels)))))
            relabelled.add(row.id)
            continue
        else:
            answered.append(survivor.id)
        gone.add(survivor.image_sha256)
    kept = _one_row_an_image(rows, sources, relabelled)
    if not kept:
        raise DatasetError(
            f"there is nothing to build: {len(survivors)} survivors, {n_excluded} excluded, "
            f"{sum(dropped.values())} dropped by reviewers, {len(answered)} not hard under reviewers' labels"
        )
    return SelectedRows(
        rows=tuple(kept),
        excluded=n_excluded,
        relabelled=len(relabelled),
        merged=len(rows) - len(kept),
        dropped=dict(sorted(dropped.items())),
        answered=tuple(answered),
        torn=tuple(row.id for row in kept if row.image_sha256 in gone),
        reviewed=len(decisions),
        reviewers=len({name for decision in decisions.values() for name in decision.reviewers}),
    )


def _check(
    sources: Sequence[OpenSource], survivors: Sequence[Survivor], decisions: Mapping[str, Decision]
) -> None:
    known = {id for source in sources for id in source.images.ids}
    if gone := sorted(s.id for s in survivors if s.id not in known):
        raise DatasetError(f"{len(gone)} survivors are in no source of the recipe now: {shorten_list(gone)}")
    if unknown := sorted(set(decisions) - {s.id for s in survivors}):
        raise ResultError(
            f"{len(unknown)} decisions are about images that did not survive: {shorten_list(unknown)}. They "
            "belong to another run: move their files away"
        )


def _seen(survivor: Survivor, predicted: Mapping[str, Collection[int]]) -> set[int]:
    """Classes that some zoom is known to predict."""
    views = (*survivor.standard, *survivor.closest)
    return {view.predicted for view in views} | set(predicted.get(survivor.id, ()))


def _one_row_an_image(
    rows: Iterable[Selected], sources: Sequence[OpenSource], relabelled: AbstractSet[str]
) -> list[Selected]:
    place = {source.spec.id: number for number, source in enumerate(sources)}
    variant = {source.spec.id: source.spec.variant for source in sources}
    groups: dict[str, list[Selected]] = defaultdict(list)
    for row in rows:
        groups[row.image_sha256].append(row)
    kept, twice = list[Selected](), list[str]()
    for group in groups.values():
        variants = [variant[row.source] for row in group]
        if not by_design(variants):
            twice.append(" = ".join(row.id for row in group))
            continue
        first = min(group, key=lambda row: place[row.source])
        # Reviewers' labels replace what is wrong: the other source must not bring that back.
        own = [row for row in group if row.id in relabelled] or group
        kept.append(replace(first, labels=tuple(sorted({label for row in own for label in row.labels}))))
    if twice:
        raise DatasetError(explain_duplicates(twice))
    return sorted(kept, key=lambda row: row.id)
