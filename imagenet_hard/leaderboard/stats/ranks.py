"""Places by score, and how surely: the range of ranks that an entry's own comparisons leave open.

The range is a step-down confidence set for one rank (Mogstad, Romano, Shaikh, Wilhelm 2024, "Inference for
ranks", section 3), with McNemar's exact test for each comparison; docs/decisions/0011 has its coverage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.evaluation.intervals import mcnemar
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import ALPHA, holm

RESAMPLES = 2000


@dataclass(frozen=True)
class Ranks:
    """int64 (m,) each, from 1. ``place``: 1 + the entries with more images right, so equals share it.

    ``low``..``high``: where the rank on other images of the kind may lie; neither falls from one place to the
    next. ``apart``: bool (m, m), the pairs that are told apart.
    """

    place: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    apart: NDArray[np.bool_]


def ranks(correct: Correctness, *, resamples: int = RESAMPLES, seed: int = 0) -> Ranks:
    """Ranks of all entries, whatever their order.

    A range runs from 1 + the better entries that are told apart to m - the worse ones that are, widened
    where a better score would have the worse end otherwise.
    """
    counts = correct.counts()
    apart = told_apart(correct, resamples=resamples, seed=seed)
    better = counts[:, None] > counts[None, :]  # the row's entry than the column's
    place = 1 + better.sum(axis=0)
    low, high = 1 + (apart & better).sum(axis=0), correct.m - (apart & better).sum(axis=1)
    return Ranks(place, *_monotone(place, low, high), apart)


def told_apart(correct: Correctness, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.bool_]:
    """bool (m, m): pairs that the images tell apart by the comparisons of both entries.

    The comparisons of one entry are its McNemar tests against all others. Their level is ``ALPHA`` over all
    of them by a step-down: those that are clear are settled first and cost the close ones nothing, so entries
    far away do not count. Close ones that err alike count as little more than one (Romano, Wolf 2005), so
    copies do not count either.
    """
    only = correct.only()
    p = mcnemar(only, only.T)
    spread = _spread(only, correct.n)
    drawn = resampled(correct, resamples, seed)
    apart = np.zeros((correct.m, correct.m), np.bool_)
    for i in range(correct.m):
        apart[i] = _settled(i, p[i], spread[i], drawn)
    found: NDArray[np.bool_] = apart & apart.T
    return found


def _settled(
    i: int, p: NDArray[np.float64], spread: NDArray[np.float32], drawn: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """bool (m,): the entries that ``i``'s comparisons tell from it.

    Holm's steps first, which are quick; then steps at the level that correlation allows, no stricter.
    """
    others = np.arange(len(p)) != i
    left = others.copy()
    left[others] = holm(p[others]) > ALPHA
    while left.any():
        found = left & (p <= _level(i, np.flatnonzero(left & (spread > 0)), spread, drawn))
        if not found.any():
            break
        left &= ~found
    settled: NDArray[np.bool_] = others & ~left
    return settled


def _spread(only: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """float32 (m, m): standard deviation of a pair's difference in images; 0 for those that never differ."""
    differ = only + only.T
    variance = differ - (only - only.T) ** 2 / n
    # Right everywhere against wrong everywhere would have none, and be taken for the same.
    return np.sqrt(np.where(variance > 0, variance, differ)).astype(np.float32)


def _level(i: int, left: NDArray[np.intp], spread: NDArray[np.float32], drawn: NDArray[np.float32]) -> float:
    """The level of each of ``i``'s comparisons with ``left`` at which one or more errs with ``ALPHA``.

    From ``ALPHA / len(left)``, were there nothing in common, to ``ALPHA``, were they all one: the two-sided
    tail of the largest of the resampled differences, each in units of its ``spread``.
    """
    from scipy.special import ndtr  # the normal distribution function

    if len(left) < 2:
        return ALPHA
    largest = np.max(np.abs(drawn[left] - drawn[i]) / spread[left, None], axis=0)
    critical = np.quantile(largest, 1 - ALPHA, method="higher")
    return float(np.clip(2 * ndtr(-critical), ALPHA / len(left), ALPHA))


def resampled(correct: Correctness, resamples: int, seed: int) -> NDArray[np.float32]:
    """float32 (m, resamples): each entry's count on images drawn again with replacement, less its own.

    All entries meet the same draws, so adding one changes nothing for the others. Whole numbers: exact.
    """
    rng = np.random.default_rng(seed)
    times = np.empty((resamples, correct.n), np.uint16)
    for row in times:
        row[:] = np.bincount(rng.integers(0, correct.n, correct.n), minlength=correct.n)
    counts = np.zeros((correct.m, resamples), np.float32)
    start = 0
    for block in correct.blocks():
        width = block.shape[1]
        counts += block.astype(np.float32) @ times[:, start : start + width].T.astype(np.float32)
        start += width
    return counts - correct.counts()[:, None].astype(np.float32)


def _monotone(
    place: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The narrowest ranges that hold the given ones and neither end of which falls with the place."""
    order = np.argsort(place, kind="stable")
    ordered = place[order]
    least = np.minimum.accumulate(low[order][::-1])[::-1]
    most = np.maximum.accumulate(high[order])
    return (
        least[np.searchsorted(ordered, place, side="left")],
        most[np.searchsorted(ordered, place, side="right") - 1],
    )
