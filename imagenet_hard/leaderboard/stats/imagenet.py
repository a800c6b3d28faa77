"""Scores here against ImageNet accuracy: how they go along with it, and what goes beyond it.

Effective robustness is that of Taori et al. 2020, arXiv 2007.00644, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEAST = 3
"""Models below which there is neither a line nor a correlation to speak of."""


@dataclass(frozen=True)
class Line:
    """logit(accuracy) = ``slope`` logit(ImageNet accuracy) + ``intercept``, fitted to ``n`` models."""

    slope: float
    intercept: float
    n: int

    def expected(self, imagenet: float) -> float:
        """The accuracy on the line: shares in (0, 1) both."""
        from scipy.special import expit, logit

        return float(expit(self.slope * logit(imagenet) + self.intercept))


def fit(imagenet: Sequence[float], accuracy: Sequence[float]) -> Line | None:
    """The line through models' shares; those of 0 and 1 have no logit and are left out.

    None for fewer than 3 models, or where ImageNet accuracy is the same for all.
    """
    from scipy.special import logit

    x, y = np.asarray(imagenet, np.float64), np.asarray(accuracy, np.float64)
    inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
    if inside.sum() < LEAST or np.ptp(x[inside]) == 0:
        return None
    slope, intercept = np.polyfit(logit(x[inside]), logit(y[inside]), 1)
    return Line(float(slope), float(intercept), int(inside.sum()))


def rank_differences(imagenet: Sequence[float], accuracy: Sequence[float]) -> NDArray[np.int64]:
    """Place by ImageNet accuracy less the place here, among these models; positive where it is better here.

    As ``rank_diff`` of timm's results, but that equals share a place.
    """
    places = []
    for values in (imagenet, accuracy):
        each = np.asarray(values, np.float64)
        places.append(1 + (each[None, :] > each[:, None]).sum(axis=1))
    differences: NDArray[np.int64] = places[0] - places[1]
    return differences


@dataclass(frozen=True)
class Coefficient:
    """``value`` in [-1, 1] with a 95 % percentile bootstrap interval over the points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """Of ``n`` pairs of scores: linear, of ranks, and of pairwise orders."""

    n: int
    pearson: Coefficient
    spearman: Coefficient
    kendall: Coefficient


def correlate(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """Pearson's r, Spearman's rho and Kendall's tau-b; None for fewer than 3 points or constant scores."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores do not pair")
    if len(a) < LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(a), len(a)) for _ in range(RESAMPLES)]
    draws = [rows for rows in draws if np.ptp(a[rows]) > 0 and np.ptp(b[rows]) > 0]
    values = []
    for function in (_pearson, _spearman, _kendall):
        again = [function(a[rows], b[rows]) for rows in draws]
        low, high = np.quantile(again, [0.025, 0.975])
        values.append(Coefficient(function(a, b), float(low), float(high)))
    return Correlation(len(a), *values)


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(a), rankdata(b))


def _kendall(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic)
