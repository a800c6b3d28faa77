"""Several reviewers' decisions as one: merged, conflicts named, with how far the reviewers agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.records import Decision, Survivor
from imagenet_hard.curation.review.actions import ACTIONS, UNDECIDED
from imagenet_hard.curation.review.decisions import DecisionRow, placed_rows
from imagenet_hard.evaluation.intervals import cohen_kappa

DROP_REASONS = ("no label fits", "wrong label", "ambiguous", "unrecognisable", "duplicate", "other")
"""Why an image is dropped; a note may follow: ``ambiguous: dog or wolf``."""

Placed = tuple[str, DecisionRow]
"""A row, and ``FILE:LINE`` where it stands."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An image about which reviewers differ: one row each, by reviewer."""

    id: str
    said: tuple[DecisionRow, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two reviewers agree on the action, over the ``n`` images that both decided.

    ``raw``: share of equal actions in [0, 1], None where ``n`` is 0. ``kappa``: Cohen's kappa.
    """

    first: str
    second: str
    n: int
    raw: float | None
    kappa: float | None


@dataclass(frozen=True)
class Merged:
    """All reviewers' decisions as one. ``decisions``, ``conflicts`` and ``undecided`` part the survivors.

    ``adjudicated``: ids that the adjudication file settled; ``reviewers``: name -> images decided.
    """

    decisions: dict[str, Decision]
    conflicts: tuple[Conflict, ...]
    undecided: tuple[str, ...]
    adjudicated: tuple[str, ...]
    reviewers: dict[str, int]
    agreement: tuple[Agreement, ...]


def decision_files(work: Path) -> list[Path]:
    """The reviewers' files of a work folder, ``<work>/decisions/<reviewer>.csv``, by name."""
    return sorted((work / "decisions").glob("*.csv"))


def latest(files: Iterable[Sequence[Placed]]) -> dict[tuple[str, str], Placed]:
    """(reviewer, image id) -> the row that counts, with its place, from the rows of files in any order.

    In a file the last row counts, whatever its time: people add rows by hand, with clocks of their own. Of
    several files, one that begins with all that another says goes on from it; else the later time counts.

    Raises:
        ResultError: in two files a reviewer says two things about one image at the same time.
    """
    told: dict[tuple[str, str], list[list[Placed]]] = defaultdict(list)
    for placed in files:
        here: dict[tuple[str, str], list[Placed]] = defaultdict(list)
        for where, row in placed:
            here[row.reviewer, row.id].append((where, row))
        for key, rows in here.items():
            told[key].append(rows)
    return {key: _latest([rows[-1] for rows in _furthest(several)]) for key, several in told.items()}


def _furthest(several: list[list[Placed]]) -> list[list[Placed]]:
    """Without those that another one goes on from, or repeats."""
    kept = list[list[Placed]]()
    for rows in sorted(several, key=len, reverse=True):
        said = [row for _, row in rows]
        if not any([row for _, row in other[: len(rows)]] == said for other in kept):
            kept.append(rows)
    return kept


def _latest(last: list[Placed]) -> Placed:
    where, row = max(last, key=lambda placed: placed[1].time)
    for elsewhere, other in last:
        if other.time == row.time and other != row:
            raise ResultError(
                f"{elsewhere}: {row.reviewer} says {other} about {row.id!r}, but {row} at the same "
                f"time ({row.stamp}) in {where}: delete the row that does not hold"
            )
    return where, row


def merge(
    files: Sequence[Path], survivors: Mapping[str, Survivor], adjudication: Path | None = None
) -> Merged:
    """Several reviewers' files as one decision an image, the same in whatever order the files come.

    Reviewers agree where action and labels are equal; images about which they differ are conflicts
    and have no decision. Rows of ``adjudication``, a decisions CSV too, win over everybody's; it is
    left out of ``files`` and of the agreement.

    Raises:
        ResultError: a file that cannot be read, rows about unknown images or about other bytes than
            the survivor's, contradictory files of one reviewer, an adjudication at odds with itself.
    """
    settling = adjudication.resolve() if adjudication else None
    said = _by_image((placed_rows(file) for file in files if file.resolve() != settling), survivors)
    ruled = _by_image([placed_rows(adjudication)] if adjudication else (), survivors)
    decisions: dict[str, Decision] = {}
    conflicts = list[Conflict]()
    for id in survivors:
        rows = ruled.get(id) or said.get(id) or ()
        if len({(row.action, row.labels) for row in rows}) > 1:
            conflicts.append(Conflict(id, tuple(rows)))
        elif rows:
            decisions[id] = _agreed(id, rows)
    for conflict in conflicts:
        if conflict.id in ruled:
            told = " but ".join(f"{row.reviewer} says {row}" for row in conflict.said)
            raise ResultError(f"{adjudication} does not settle {conflict.id!r}: {told}")
    return Merged(
        decisions,
        tuple(conflicts),
        tuple(id for id in survivors if id not in said and id not in ruled),
        tuple(id for id in survivors if id in ruled),
        dict(sorted(Counter(row.reviewer for rows in said.values() for row in rows).items())),
        tuple(_agreements(said)),
    )


def _by_image(
    files: Iterable[Sequence[Placed]], survivors: Mapping[str, Survivor]
) -> dict[str, list[DecisionRow]]:
    """Image id -> the rows that count, by reviewer, checked against the survivors."""
    counts = [(where, row) for where, row in latest(files).values() if row.action != UNDECIDED]
    unknown = [f"{where}: {row.id!r}" for where, row in counts if row.id not in survivors]
    if unknown:
        raise ResultError(
            f"{len(unknown)} decisions are about images that are not survivors of this run: "
            f"{shorten_list(unknown, between='; ')}. Give the --work they were made with, or delete these "
            "rows."
        )
    stale = [
        f"{where}: {row.id!r}" for where, row in counts if row.image_sha256 != survivors[row.id].image_sha256
    ]
    if stale:
        raise ResultError(
            f"{len(stale)} decisions are about images that have changed since (image_sha256 is not the "
            f"survivor's): {shorten_list(stale, between='; ')}. Review these images again, or delete the "
            "rows."
        )
    said = defaultdict[str, list[DecisionRow]](list)
    for _, row in sorted(counts, key=lambda place: place[1].reviewer):
        said[row.id].append(row)
    return dict(said)


def _agreed(id: str, rows: Sequence[DecisionRow]) -> Decision:
    assert rows[0].action != UNDECIDED
    reasons = {_kind(row) for row in rows} - {""}
    reviewers = tuple(sorted(row.reviewer for row in rows))
    return Decision(id, rows[0].action, "; ".join(sorted(reasons)), rows[0].labels, reviewers)


def _kind(row: DecisionRow) -> str:
    """The reason without the note that follows one of the page's own, so that they can be counted."""
    kind = row.reason.partition(":")[0]
    return kind if ACTIONS[row.action].needs_reason and kind in DROP_REASONS else row.reason


def _agreements(said: Mapping[str, Sequence[DecisionRow]]) -> Iterable[Agreement]:
    actions = defaultdict[str, dict[str, str]](dict)
    for id, rows in said.items():
        for row in rows:
            actions[row.reviewer][id] = row.action
    for first, second in combinations(sorted(actions), 2):
        both = [
            (action, actions[second][id]) for id, action in actions[first].items() if id in actions[second]
        ]
        yield _agreement(first, second, both)


def _agreement(first: str, second: str, both: Sequence[tuple[str, str]]) -> Agreement:
    """``both``: the two reviewers' actions on each image that both decided."""
    n, equal = len(both), sum(a == b for a, b in both)
    a, b = Counter(a for a, _ in both), Counter(b for _, b in both)
    kappa = float(cohen_kappa(equal, sum(a[action] * b[action] for action in a), n))
    return Agreement(first, second, n, equal / n if n else None, None if isnan(kappa) else kappa)
