"""The doubtful labels of a benchmark: the ranked list, and how good it is against a truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import Record
from imagenet_hard.evaluation.intervals import wilson
from imagenet_hard.leaderboard.ballots import Read
from imagenet_hard.leaderboard.stats.doubts import Doubts, find_doubts

FIRST = (10, 50, 100, 200, 500, 1000, 3000)
"""Lengths of the list's beginning of which precision and recall are said."""


class Doubt(Record):
    """What speaks against the labels of one image; ``stats.doubts`` has what the numbers are."""

    rank: int
    id: str
    labels: tuple[int, ...]
    other: int
    score: float
    agree: float
    given: float
    votes: int


class First(Record):
    """Of the first ``k`` images that the truth knows: how many have labels that it drops (``wrong``).

    ``precision``: their share, with a 95 % interval (Wilson). ``other_right``: the share of those whose other
    class it has. ``found``: the share of all whose labels it drops.
    """

    k: int
    wrong: int
    precision: float
    low: float
    high: float
    other_right: float
    found: float


class Measured(Record):
    """The list against a truth: ``images`` that it labels, of which it drops the labels of ``wrong``.

    ``chance``: the precision of a list in any order.
    """

    images: int
    wrong: int
    chance: float
    average_precision: float
    first: tuple[First, ...]


class DoubtList(Record):
    """All images of a benchmark, the most doubtful first. ``independent``: the entries that counted."""

    benchmark: str
    fingerprint: str
    entries: int
    independent: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    truth: Measured | None = None


def doubt_list(read: Read, truth: Sequence[tuple[int, ...]] | None = None) -> DoubtList:
    """The doubts of what was read; ``truth``: better labels of the same images, () where it has none.

    Raises:
        UsageError: the truth drops the labels of no image, so that there is nothing to find.
    """
    gold, found = read.gold, find_doubts(read.ballots, read.gold.right)
    return DoubtList(
        benchmark=gold.info.name,
        fingerprint=gold.info.fingerprint,
        entries=len(read.ballots),
        independent=found.speakers,
        doubts=tuple(
            Doubt(
                rank=rank,
                id=gold.ids[i],
                labels=gold.labels[i],
                other=int(found.other[i]),
                score=float(found.score[i]),
                agree=float(found.agree[i]),
                given=float(found.given[i]),
                votes=int(found.votes[i]),
            )
            for rank, i in enumerate(found.order.tolist(), start=1)
        ),
        truth=None if truth is None else measured(found, gold.labels, truth),
    )


def measured(doubts: Doubts, labels: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> Measured:
    """How well the list finds the images of whose labels the truth has none.

    Raises:
        UsageError: there is no such image, or no other.
    """
    known = np.array([i for i in doubts.order.tolist() if truth[i]], np.intp)
    wrong = np.array([not set(labels[i]) & set(truth[i]) for i in known], np.bool_)
    right = np.array([doubts.other[i] in truth[i] for i in known], np.bool_)
    total = int(wrong.sum())
    if not 0 < total < len(known):
        raise UsageError(
            f"the truth drops the labels of {total} of the {len(known)} images that it knows: there is "
            "nothing to tell apart"
        )
    lengths = [k for k in FIRST if k < len(known)]
    return Measured(
        images=len(known),
        wrong=total,
        chance=total / len(known),
        average_precision=average_precision(wrong),
        first=tuple(_first(k, wrong, right) for k in lengths),
    )


def average_precision(wrong: NDArray[np.bool_]) -> float:
    """The mean, over what is to be found, of the precision of the list down to it; one of them at least.

    >>> average_precision(np.array([True, False, True]))  # (1 / 1 + 2 / 3) / 2
    0.8333333333333333
    """
    places = np.flatnonzero(wrong) + 1
    return float((np.arange(1, len(places) + 1) / places).mean())


def _first(k: int, wrong: NDArray[np.bool_], right: NDArray[np.bool_]) -> First:
    n = int(wrong[:k].sum())
    low, high = wilson(n, k)
    return First(
        k=k,
        wrong=n,
        precision=n / k,
        low=low,
        high=high,
        other_right=float(right[:k].mean()),
        found=n / int(wrong.sum()),
    )
