"""A refreshed set against its parent: images keep their ids, and every change is said with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.build.selection import Selected, SelectedRows
from imagenet_hard.curation.parent import Parent
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import Decision, ScoreSummary, Survivor
from imagenet_hard.curation.review.actions import ACTIONS
from imagenet_hard.curation.store import CurationStore, ImageRecord
from imagenet_hard.dataset.versions import (
    Change,
    Rows,
    Version,
    VersionRow,
    Versions,
    changes_between,
    fingerprint_of,
    kept_ids,
)

Records = Mapping[str, Sequence[ImageRecord]]
"""sha256 -> the images with these bytes, by id: the variants share some."""


@dataclass(frozen=True)
class Lineage:
    """What is known of a set that is refreshed. ``now``: the new scores of the parent's images; ``then``: the
    parent's scores of the survivors. ``store``: the new scores, open."""

    parent: Parent
    store: CurationStore
    now: Records
    then: Records

    @classmethod
    def read(cls, parent: Parent, store: CurationStore, survivors: Iterable[Survivor]) -> Lineage:
        """From both stores, as far as it is needed."""
        now = _by_hash(store, {row.image_sha256 for row in parent.rows[-1].values()})
        with CurationStore(parent.scores) as old:
            return cls(parent, store, now, _by_hash(old, {each.image_sha256 for each in survivors}))

    def named(self, rows: Sequence[Selected]) -> tuple[Selected, ...]:
        """The rows under the ids that their images have had, sorted by id.

        Raises:
            DatasetError: an id would name another image than it did.
        """
        ids = kept_ids({row.id: row.image_sha256 for row in rows}, self.parent.known)
        named = (replace(row, id=ids[row.id], file=row.id) for row in rows)
        return tuple(sorted(named, key=lambda row: row.id))

    def chain(
        self,
        recipe: Recipe,
        summary: ScoreSummary,
        survivors: Iterable[Survivor],
        selection: SelectedRows,
        decisions: Mapping[str, Decision],
        excluded: Mapping[str, str],
    ) -> Versions:
        """The parent's chain and the version that ``selection`` makes.

        Raises:
            ResultError: the scores do not say why an image came or left: they contradict the parent's.
        """
        why = _Why(
            self,
            recipe,
            labels={each.id: each.labels for each in survivors},
            places={row.id: row.place for row in selection.rows},
            answered=selection.answered,
            decisions=decisions,
            excluded=excluded,
        )
        after: Rows = {
            row.id: VersionRow(id=row.id, origin=row.source, labels=row.labels, image_sha256=row.image_sha256)
            for row in selection.rows
        }
        changes = [why.of(*pair) for pair in changes_between(self.parent.rows[-1], after)]
        version = Version(
            version=recipe.version,
            fingerprint=fingerprint_of(after),
            n=len(after),
            classifiers={id: spec.key for id, spec in summary.classifiers.items()},
            parent=self.parent.digest,
            changes=tuple(changes),
        )
        chain = self.parent.chain
        return Versions(name=chain.name, versions=(*chain.versions, version))


@dataclass(frozen=True)
class _Why:
    """Reasons, from both scorings and what people decided. ``labels``: of the survivors, as in the sources;
    ``places``: id in the set -> id in its source."""

    lineage: Lineage
    recipe: Recipe
    labels: Mapping[str, tuple[int, ...]]
    places: Mapping[str, str]
    answered: Collection[str]
    decisions: Mapping[str, Decision]
    excluded: Mapping[str, str]

    def of(self, before: VersionRow | None, after: VersionRow | None) -> Change:
        """A change with its reason."""
        if before is not None and after is not None:
            return _change(before, after, "relabelled")
        return self.left(before) if before is not None else self.came(_there(after))

    def left(self, row: VersionRow) -> Change:
        """Why an image of the parent is not in the set."""
        records = _own_first(self.lineage.now.get(row.image_sha256, ()), row.id)
        for record in (each for each in records if each.state == "hard"):
            if record.id in self.excluded:
                return _change(row, None, "excluded", note=self.excluded[record.id])
            if record.id in self.answered:
                return self._answered(row, record.id)
            decision = self.decisions.get(record.id)
            if decision is not None and ACTIONS[decision.action].effect == "leaves":
                return _change(row, None, "dropped", note=decision.reason)
        for record in (each for each in records if each.state == "solved"):
            return _change(row, None, "solved", *self._zoom(self.recipe, record.classifier, record.zoom))
        for record in (each for each in records if each.state == "failed"):
            return _change(row, None, "undecided", note=record.error or "")
        if not records:
            return _change(row, None, "gone")
        raise ResultError(f"the scores do not say why {row.id!r} left the set: score again")

    def came(self, row: VersionRow) -> Change:
        """Why an image is in the set that the parent does not have."""
        records = _own_first(self.lineage.then.get(row.image_sha256, ()), self.places[row.id])
        if not records:
            return _change(None, row, "new")
        first = records[0]
        if any(each.state == "hard" and each.labels == self.labels.get(each.id) for each in records):
            return _change(None, row, "readmitted")
        if first.labels != self.labels.get(first.id, first.labels):
            return _change(None, row, "relabelled", note=f"before: {' '.join(map(str, first.labels))}")
        if first.state == "solved":
            return _change(
                None, row, "freed", *self._zoom(self.lineage.parent.recipe, first.classifier, first.zoom)
            )
        return _change(None, row, "decided", note=first.error or "")

    def _answered(self, row: VersionRow, id: str) -> Change:
        wanted = list(self.decisions[id].labels)
        for name, views in self.lineage.store.views(id).items():
            for zoom, predicted in enumerate(views.predicted):
                if predicted in wanted:
                    return _change(row, None, "answered", *self._zoom(self.recipe, name, zoom))
        return _change(row, None, "answered")

    def _zoom(
        self, recipe: Recipe, name: str | None, zoom: int | None
    ) -> tuple[str | None, tuple[int, int, int] | None]:
        size = next((each.size for each in recipe.classifiers if each.id == name), None)
        if zoom is None or size is None:
            return name, None
        found = recipe.grid(size)[zoom]
        return name, (found.scale, found.row, found.column)


def _there(row: VersionRow | None) -> VersionRow:
    assert row is not None
    return row


def _change(
    before: VersionRow | None,
    after: VersionRow | None,
    reason: str,
    classifier: str | None = None,
    zoom: tuple[int, int, int] | None = None,
    note: str = "",
) -> Change:
    return Change(
        before=before, after=after, reason=reason, classifier=classifier, zoom=zoom, note=note[:1000]
    )


def _by_hash(store: CurationStore, wanted: Collection[str]) -> Records:
    found: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in store.images():
        if record.sha256 in wanted:
            found[record.sha256].append(record)
    return found


def _own_first(records: Iterable[ImageRecord], id: str) -> list[ImageRecord]:
    """The image of this id before those with the same bytes."""
    return sorted(records, key=lambda record: record.id != id)
