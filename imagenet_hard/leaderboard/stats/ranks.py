"""Ranks that say only what the images can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import ALPHA, better

RESAMPLES = 1000


@dataclass(frozen=True)
class Ranks:
    """int64 (m,) each, from 1. ``shared``: the rank that is shown. ``low``..``high``: where the true
    rank may lie, by the tests. ``boot_low``..``boot_high``: 95 % of the ranks in resampled images.
    """

    shared: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    boot_low: NDArray[np.int64]
    boot_high: NDArray[np.int64]


def ranks(
    correct: Correctness,
    significant: NDArray[np.bool_] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    alpha: float = ALPHA,
) -> Ranks:
    """Ranks of all entries. ``significant``: bool (m, m) as ``better`` gives it, which is called otherwise.

    An entry's shared rank is 1 + the number of entries that are significantly better; its range ends at m -
    the number that are significantly worse. Entries of one shared rank are a tie group. This needs no
    transitivity, which "cannot be told apart" does not have, and does not depend on the order of the
    entries; its price is that of two neighbouring groups some members may not be told apart either.
    """
    significant = better(correct, alpha) if significant is None else significant
    above, below = significant.sum(axis=0), significant.sum(axis=1)
    boot_low, boot_high = bootstrap_ranks(correct, resamples=resamples, seed=seed)
    return Ranks(1 + above, 1 + above, correct.m - below, boot_low, boot_high)


def bootstrap_ranks(
    correct: Correctness, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """2.5 % and 97.5 % quantiles of each entry's rank when the images are drawn again with replacement.

    Equal scores share the better rank in the lower quantile and the worse one in the upper.
    """
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(correct.n, np.full(correct.n, 1 / correct.n), size=resamples).astype(np.float32)
    scores = np.zeros((resamples, correct.m), np.float32)  # whole numbers up to n: exact below 2^24
    start = 0
    for block in correct.blocks():
        scores += draws[:, start : start + block.shape[1]] @ block.T.astype(np.float32)
        start += block.shape[1]
    best = np.empty((resamples, correct.m), np.int64)
    worst = np.empty((resamples, correct.m), np.int64)
    for i in range(resamples):
        rising = np.sort(scores[i])
        best[i] = correct.m - np.searchsorted(rising, scores[i], side="right") + 1
        worst[i] = correct.m - np.searchsorted(rising, scores[i], side="left")
    low = np.quantile(best, 0.025, axis=0, method="lower").astype(np.int64)
    high = np.quantile(worst, 0.975, axis=0, method="higher").astype(np.int64)
    return low, high
