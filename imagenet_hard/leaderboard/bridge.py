"""Two versions of a set, bridged by the images that both have: what each entry scores on each, and its place.

All of it follows from stored answers. An entry has a score on a part if it answered all images of it: one
that saw the earlier version alone has none on a later one to which images were added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Record
from imagenet_hard.dataset.versions import (
    Change,
    Rows,
    Versions,
)
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.gold import Gold, gold_of
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.moved import Moved, moved
from imagenet_hard.leaderboard.stats.ranks import ranks

PARTS = ("before", "common", "after")
"""The earlier version, the images that both have with the same labels, and the later version."""

Models = Mapping[str, Sequence[Answers]]
"""Name -> the answers that there are of it: of one version, of both in two files, or of more images."""


class Standing(Record):
    """A place among the entries of a step, and where the rank may lie (``stats.ranks``)."""

    place: int
    low: int
    high: int


class Step(Record):
    """How the places go from one part to the next, among the ``entries`` that answered both in full.

    ``tau``: Kendall's tau-b of the places, None where one part tells nobody apart. ``swapped``: pairs that
    stand the other way round. ``places``: name -> on the first part, on the second.
    """

    first: str
    second: str
    entries: int
    swapped: int
    tau: float | None
    places: dict[str, tuple[Standing, Standing]]


class Bridged(Record):
    """One entry. ``scores``: None where images of the part are not answered. ``kept``: from before to common.

    ``committee``: the versions whose committee it is in, so that its score is biased low. ``unlike``: common
    images that two of its files answer differently. ``missing``: of a part without a score, the images
    without an answer.
    """

    name: str
    scores: dict[str, Rate | None]
    kept: Moved | None
    committee: tuple[str, ...] = ()
    unlike: int = 0
    missing: dict[str, int] = Field(default_factory=dict)


class Cause(Record):
    """How many images came or left for one reason, of one classifier where it was one."""

    reason: str
    classifier: str | None
    images: int


class Bridge(Record):
    """Two versions side by side; entries by their score on the common part, best first."""

    name: str
    before: str
    after: str
    images: dict[str, int]
    fingerprints: dict[str, str]
    retired: tuple[Cause, ...]
    added: tuple[Cause, ...]
    relabelled: int
    steps: tuple[Step, ...]
    entries: tuple[Bridged, ...]


def bridge(
    chain: Versions,
    rows: Sequence[Rows],
    models: Models,
    *,
    before: str | None = None,
    after: str | None = None,
    keys: Mapping[str, str] | None = None,
) -> Bridge:
    """The versions ``before`` and ``after``, by default the last two. ``keys``: name -> ``BACKEND:NAME/TAG``.

    Raises:
        ResultError: no such version.
        UsageError: they are not in this order or have no image in common, or nobody answered one of theirs.
    """
    last = chain.index(after) if after else len(chain.versions) - 1
    first = chain.index(before) if before else last - 1
    if not 0 <= first < last:
        raise UsageError(f"a bridge goes from one version to a later one (got {before} to {after})")
    golds = _golds(chain.name, rows[first], rows[last])
    _check_answered(chain.name, rows[first], rows[last], models)
    ids = {part: set(gold.ids) for part, gold in golds.items()}
    right: dict[str, dict[str, NDArray[np.bool_] | None]] = {}
    missing: dict[str, dict[str, int]] = {}
    # One at a time: the answers of a thousand entries take a gigabyte as dicts.
    for name, sets in models.items():
        best = _given(sets)
        absent = {part: len(ids[part] - best.keys()) for part in PARTS}
        right[name] = {part: None if absent[part] else _right(golds[part], best) for part in PARTS}
        missing[name] = {part: n for part, n in absent.items() if n}
    committees = {v.version: set(v.classifiers.values()) for v in chain.versions[first : last + 1]}
    in_both = ids["common"]
    kept = np.array([id in in_both for id in golds["before"].ids], np.bool_)
    entries = [
        Bridged(
            name=name,
            scores={part: None if r is None else Rate.of(int(r.sum()), len(r)) for part, r in found.items()},
            kept=None if found["before"] is None else moved(found["before"], found["before"][kept], kept),
            committee=tuple(v for v, who in committees.items() if (keys or {}).get(name, name) in who),
            unlike=_unlike(golds["common"], models[name]),
            missing=missing[name],
        )
        for name, found in right.items()
    ]
    left, came = _changes(chain, first, last)
    return Bridge(
        name=chain.name,
        before=chain.versions[first].version,
        after=chain.versions[last].version,
        images={part: gold.info.n for part, gold in golds.items()},
        fingerprints={part: gold.info.fingerprint for part, gold in golds.items()},
        retired=_causes(left[id] for id in rows[first] if id not in rows[last]),
        added=_causes(came[id] for id in rows[last] if id not in rows[first]),
        relabelled=sum(id in rows[last] and id not in in_both for id in rows[first]),
        steps=tuple(_steps(golds, right)),
        entries=tuple(sorted(entries, key=_by_common)),
    )


def _golds(name: str, before: Rows, after: Rows) -> dict[str, Gold]:
    common = {id: row for id, row in before.items() if id in after and after[id].labels == row.labels}
    if not common:
        raise UsageError(f"these versions of {name} have no image with the same labels in common")
    return {
        part: gold_of(
            ((row.id, row.labels, row.origin, row.image_sha256) for row in each.values()),
            name=name,
            source="versions",
        )
        for part, each in zip(PARTS, (before, common, after), strict=True)
    }


def _given(sets: Sequence[Answers]) -> dict[str, int]:
    """Id -> the class that is answered, by the first that have the image."""
    given: dict[str, int] = {}
    for answers in reversed(sets):
        given.update(zip(answers.ids, answers.top5[:, 0].tolist(), strict=True))
    return given


def _check_answered(name: str, before: Rows, after: Rows, models: Models) -> None:
    ids, answered = {**before, **after}, [answers.ids for sets in models.values() for answers in sets]
    if all(ids.keys().isdisjoint(each) for each in answered):
        there = next((id for each in answered for id in each), "none")
        raise UsageError(
            f"nobody answered an image of these versions of {name}: got answers to images such as "
            f"{shorten(there)}, expected such as {shorten(next(iter(ids)))}"
        )


def _right(gold: Gold, best: Mapping[str, int]) -> NDArray[np.bool_]:
    """bool (n,): which images are right."""
    return gold.hits(np.fromiter((best[id] for id in gold.ids), np.int64, len(gold.ids))[:, None])[:, 0]


def _unlike(gold: Gold, sets: Sequence[Answers]) -> int:
    """Images of ``gold`` to which these answers give more than one class."""
    if len(sets) < 2:
        return 0
    given: dict[str, set[int]] = defaultdict(set)
    for answers in sets:
        for id, best in zip(answers.ids, answers.top5[:, 0].tolist(), strict=True):
            given[id].add(best)
    return sum(len(given[id]) > 1 for id in gold.ids)


def _steps(
    golds: Mapping[str, Gold], right: Mapping[str, Mapping[str, NDArray[np.bool_] | None]]
) -> Iterable[Step]:
    """From each part to the next that is another, and over both."""
    parts = [part for i, part in enumerate(PARTS) if i == 1 or golds[part].info != golds["common"].info]
    steps = [*pairwise(parts)] + ([(parts[0], parts[-1])] if len(parts) > 2 else [])
    for first, second in steps:
        names = [name for name, r in right.items() if r[first] is not None and r[second] is not None]
        if names:
            yield _step(first, second, names, right)


def _step(
    first: str, second: str, names: list[str], right: Mapping[str, Mapping[str, NDArray[np.bool_] | None]]
) -> Step:
    from scipy.stats import kendalltau

    standings, counts = [], []
    for part in (first, second):
        correct = Correctness.of(np.array([right[name][part] for name in names], np.bool_))
        found = ranks(correct)
        counts.append(correct.counts())
        triples = zip(found.place.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
        standings.append([Standing(place=p, low=low, high=high) for p, low, high in triples])
    signs = [np.sign(c[:, None] - c[None, :]) for c in counts]
    told_apart = all(len(set(c.tolist())) > 1 for c in counts)
    return Step(
        first=first,
        second=second,
        entries=len(names),
        swapped=int((signs[0] * signs[1] < 0).sum()) // 2,
        tau=float(kendalltau(*counts).statistic) if told_apart else None,
        places=dict(zip(names, zip(*standings, strict=True), strict=True)),
    )


def _changes(chain: Versions, first: int, last: int) -> tuple[dict[str, Change], dict[str, Change]]:
    """Id -> the last time that it left, and that it came; what else changed of it is no reason for either."""
    between = [each for version in chain.versions[first + 1 : last + 1] for each in version.changes]
    left = {each.id: each for each in between if each.after is None}
    return left, {each.id: each for each in between if each.before is None}


def _causes(changes: Iterable[Change]) -> tuple[Cause, ...]:
    counts = Counter((each.reason, each.classifier) for each in changes)
    return tuple(Cause(reason=r, classifier=c, images=n) for (r, c), n in counts.most_common())


def _by_common(each: Bridged) -> tuple[float, str]:
    rate = each.scores["common"]
    return (1.0 if rate is None else -rate.accuracy), each.name
