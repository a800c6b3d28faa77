"""Pairs of entries on the same images: McNemar's test, Holm's correction, and who errs alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.leaderboard.stats.correctness import Correctness

ALPHA = 0.05

_MOST_ORDERED_EXACTLY = 300
"""Optimal leaf ordering grows with the cube of the entries: seconds here, minutes at a thousand."""


def mcnemar(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two-sided exact p of McNemar's test, elementwise: ``a`` images only the one solves, ``b`` the other.

    p = min(1, 2 P(X <= min(a, b))) with X ~ Binomial(a + b, 1/2); 1 where a + b = 0. As
    ``evaluation.intervals.mcnemar_exact``, for millions of pairs at once.
    """
    from scipy.special import bdtr

    n = a + b
    p = np.minimum(1.0, 2.0 * bdtr(np.minimum(a, b), np.maximum(n, 1), 0.5))
    found: NDArray[np.float64] = np.where(n > 0, p, 1.0)
    return found


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values, float64 like ``p`` (Holm 1979).

    adjusted (k) = max over i <= k of (m - i + 1) p (i), at most 1, in rising order of p.
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p, dtype=np.float64)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def error_consistency(correct: Correctness) -> NDArray[np.float64]:
    """Cohen's kappa of right and wrong for all pairs, float64 (m, m), NaN where chance is certain.

    kappa = (c_obs - c_exp) / (1 - c_exp) with c_exp = p q + (1 - p)(1 - q) (Geirhos et al. 2020,
    arXiv 2006.16736, section 2).
    """
    both, right = correct.both(), correct.counts()
    p = right / correct.n
    observed = (correct.n - right[:, None] - right[None, :] + 2 * both) / correct.n
    expected = np.outer(p, p) + np.outer(1 - p, 1 - p)
    undefined = np.isclose(expected, 1)
    kappa: NDArray[np.float64] = np.where(
        undefined, np.nan, (observed - expected) / np.where(undefined, 1.0, 1 - expected)
    )
    return kappa


def side_by_side(kappa: NDArray[np.float64]) -> tuple[int, ...]:
    """An order in which entries that err alike are neighbours: leaves of average linkage on 1 - kappa."""
    m = len(kappa)
    if m < 3:
        return tuple(range(m))
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = 1 - np.nan_to_num(kappa)[np.triu_indices(m, 1)]
    tree = linkage(distance, "average", optimal_ordering=m <= _MOST_ORDERED_EXACTLY)
    return tuple(int(i) for i in leaves_list(tree))
