"""Intervals and tests on counts: Wilson, McNemar, paired bootstrap. Counts in, numbers out."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imagenet_hard.base.errors import UsageError

CONFIDENCE = 0.95
RESAMPLES = 10_000


def wilson(n_correct: int, n_total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a share, both ends in [0, 1] (Wilson 1927; no continuity correction).

    Raises:
        UsageError: nothing was counted, or ``n_correct`` is outside 0..``n_total``.

    >>> low, high = wilson(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    if n_total < 1 or not 0 <= n_correct <= n_total:
        raise UsageError(f"no interval for {n_correct} of {n_total}: expected 0 <= n_correct <= n_total >= 1")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, zz = n_correct / n_total, z * z / n_total
    centre, half = p + zz / 2, z * sqrt(p * (1 - p) / n_total + zz / (4 * n_total))
    # At 0 and n the end is 0 and 1 exactly; rounding alone would leave 1e-17.
    low = 0.0 if n_correct == 0 else (centre - half) / (1 + zz)
    high = 1.0 if n_correct == n_total else (centre + half) / (1 + zz)
    return low, high


def mcnemar(only_a: ArrayLike, only_b: ArrayLike) -> NDArray[np.float64]:
    """Two-sided exact McNemar p, elementwise: chance of so lopsided a split of the discordant images.

    Under the null each of the ``only_a + only_b`` images that one of two classifiers alone gets right falls
    to either with probability 1/2 (McNemar 1947). 1.0 where there is none.

    Raises:
        UsageError: a count is negative.
    """
    a, b = np.asarray(only_a), np.asarray(only_b)
    if (a < 0).any() or (b < 0).any():
        raise UsageError(f"counts cannot be negative: got {only_a!r} and {only_b!r}")
    from scipy.special import bdtr  # the binomial distribution function

    p = np.minimum(1.0, 2.0 * bdtr(np.minimum(a, b), np.maximum(a + b, 1), 0.5))
    return np.where(a + b > 0, p, 1.0)


def cohen_kappa(equal: ArrayLike, by_chance: ArrayLike, n: int) -> NDArray[np.float64]:
    """Agreement of two raters of the same ``n`` items beyond chance, at most 1, elementwise (Cohen 1960).

    ``equal``: items that both put into one category; ``by_chance``: the sum over the categories of how often
    the one gives it times how often the other does. NaN where chance alone gives full agreement.
    """
    above, most = n * np.asarray(equal) - np.asarray(by_chance), n * n - np.asarray(by_chance)
    return np.where(most > 0, above / np.where(most > 0, most, 1), np.nan)


def kappa_of_right(a: ArrayLike, b: ArrayLike, both: ArrayLike, n: int) -> NDArray[np.float64]:
    """``cohen_kappa`` of right and wrong: ``a`` and ``b`` images are right by the one and the other,
    ``both`` by both."""
    a, b, both = np.asarray(a), np.asarray(b), np.asarray(both)
    return cohen_kappa(n - a - b + 2 * both, a * b + (n - a) * (n - b), n)


def paired_bootstrap(
    only_a: int,
    only_b: int,
    n_total: int,
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of accuracy(A) - accuracy(B) on the same ``n_total`` images.

    Resampling images with replacement draws the counts of "only A", "only B" and "neither alone"
    from a multinomial, so this is the ordinary bootstrap without touching the images.

    Raises:
        UsageError: counts that are negative or exceed ``n_total``, or nothing was counted.
    """
    if n_total < 1 or only_a < 0 or only_b < 0 or only_a + only_b > n_total:
        raise UsageError(f"no bootstrap for {only_a} + {only_b} of {n_total} images")
    shares = np.array([only_a, only_b, n_total - only_a - only_b]) / n_total
    draws = np.random.default_rng(seed).multinomial(n_total, shares, size=RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n_total, [tail, 1 - tail])
    return float(low), float(high)


def ratio_bootstrap(
    wrong: int, n: int, all_wrong: int, n_total: int, *, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of (wrong / n) / (all_wrong / n_total), ``n`` being some of ``n_total``.

    Images are drawn again, as in ``paired_bootstrap``; draws in which a share is undefined are left out.

    Raises:
        UsageError: counts that are no part of each other, or nothing is wrong.
    """
    if not (0 <= wrong <= n <= n_total and wrong <= all_wrong <= n_total - n + wrong and n and all_wrong):
        raise UsageError(f"no ratio of {wrong} of {n} to {all_wrong} of {n_total}")
    cells = np.array([wrong, n - wrong, all_wrong - wrong, n_total - n - all_wrong + wrong])
    draws = np.random.default_rng(seed).multinomial(n_total, cells / n_total, size=RESAMPLES)
    inside, all_ = draws[:, 0] + draws[:, 1], draws[:, 0] + draws[:, 2]
    known = (inside > 0) & (all_ > 0)
    ratios = (draws[known, 0] / inside[known]) / (all_[known] / n_total)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)
