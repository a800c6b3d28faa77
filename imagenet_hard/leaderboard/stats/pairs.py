"""Pairs of entries on the same images: Holm's correction, and who errs alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.evaluation.intervals import kappa_of_right
from imagenet_hard.leaderboard.stats.correctness import Correctness

ALPHA = 0.05

_MOST_ORDERED_EXACTLY = 300
"""Optimal leaf ordering grows with the cube of the entries: seconds here, minutes at a thousand."""


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
    right = correct.counts()
    return kappa_of_right(right[:, None], right[None, :], correct.both(), correct.n)


def side_by_side(kappa: NDArray[np.float64]) -> tuple[int, ...]:
    """An order in which entries that err alike are neighbours: leaves of average linkage on 1 - kappa."""
    m = len(kappa)
    if m < 3:
        return tuple(range(m))
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = 1 - np.nan_to_num(kappa)[np.triu_indices(m, 1)]
    tree = linkage(distance, "average", optimal_ordering=m <= _MOST_ORDERED_EXACTLY)
    return tuple(int(i) for i in leaves_list(tree))
