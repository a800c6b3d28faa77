"""Accuracy beyond what ImageNet accuracy foretells (Taori et al. 2020, arXiv 2007.00644, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 3
"""Models below which no line is fitted."""


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
