"""How scores on one benchmark go along with those on another, such as ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEAST = 3
"""Points below which there is no correlation to speak of."""


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


def correlate(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> Correlation | None:
    """Pearson's r, Spearman's rho and Kendall's tau-b; None for fewer than 3 points or constant scores."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} scores do not pair")
    if len(a) < LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    rng = np.random.default_rng(seed)
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
