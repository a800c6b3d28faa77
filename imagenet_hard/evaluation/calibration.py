"""Calibration on label sets: does the top-1 confidence say how often the prediction is right?

"Right" means that the predicted class is among the image's labels, as everywhere in this project.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import Record

N_BINS = 15

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Calibration(Record):
    """Reliability bins and the two numbers that sum them up.

    Bin ``m`` of 0..14 holds the images with top-1 confidence in ``(m/15, (m+1)/15]`` (Guo et al.
    2017, section 2): how many, how many of them right, and their mean confidence (0 if empty).
    """

    n_total: tuple[Count, ...] = Field(min_length=N_BINS, max_length=N_BINS, description="images per bin")
    n_correct: tuple[Count, ...] = Field(
        min_length=N_BINS, max_length=N_BINS, description="of these, top-1 among the labels"
    )
    confidence: tuple[Share, ...] = Field(
        min_length=N_BINS, max_length=N_BINS, description="mean top-1 probability per bin"
    )
    ece: Share = Field(description="expected calibration error over the 15 bins")
    brier: Share = Field(description="top-label Brier score: mean of (top-1 probability - right)^2")

    @model_validator(mode="after")
    def _adds_up(self) -> Calibration:
        if any(k > n for k, n in zip(self.n_correct, self.n_total, strict=True)):
            raise ValueError("a bin has more right predictions than images")
        if sum(self.n_total) < 1:
            raise ValueError("all bins are empty")
        ece = expected_calibration_error(*map(np.array, (self.n_total, self.n_correct, self.confidence)))
        if abs(ece - self.ece) > 1e-6:
            raise ValueError(f"ece is {self.ece}: its bins give {ece}")
        return self


def calibrate(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> Calibration:
    """Reliability of ``n`` predictions.

    ``confidence``: (n,), the top-1 probability in [0, 1]; ``correct``: bool (n,). Sums are float64.

    Raises:
        UsageError: empty input, unequal lengths, or a confidence outside [0, 1].
    """
    if confidence.shape != correct.shape or confidence.ndim != 1 or not confidence.size:
        raise UsageError(
            f"calibration needs confidence and correct of one length >= 1: "
            f"got {confidence.shape} and {correct.shape}"
        )
    p = confidence.astype(np.float64)
    if not (p.min() >= 0 and p.max() <= 1):
        raise UsageError(f"confidences must lie in [0, 1]: got {p.min()} to {p.max()}")
    bins = np.clip(np.ceil(p * N_BINS).astype(np.intp) - 1, 0, N_BINS - 1)
    n_total = np.bincount(bins, minlength=N_BINS)
    n_correct = np.bincount(bins[correct], minlength=N_BINS)
    mean = np.bincount(bins, weights=p, minlength=N_BINS) / np.maximum(n_total, 1)
    mean = np.minimum(mean, 1.0)  # a sum of ones may round above its count
    return Calibration(
        n_total=tuple(n_total.tolist()),
        n_correct=tuple(n_correct.tolist()),
        confidence=tuple(mean.tolist()),
        ece=expected_calibration_error(n_total, n_correct, mean),
        brier=brier_top_label(p, correct),
    )


def expected_calibration_error(
    n_total: NDArray[np.integer], n_correct: NDArray[np.integer], confidence: NDArray[np.floating]
) -> float:
    """ECE in [0, 1]: ``sum over bins of |n_correct - n_total * confidence| / n`` (Guo et al. 2017, eq. 3)."""
    return min(1.0, float(np.abs(n_correct - n_total * confidence).sum() / n_total.sum()))


def brier_top_label(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Top-label Brier score in [0, 1]: the mean of ``(p1 - right)^2``.

    ``p1`` is the top-1 probability and ``right`` is 1 if that class is among the labels, else 0.
    Brier's own score sums over all 1000 classes and is not defined for a set of labels.
    """
    return float(np.mean((confidence.astype(np.float64) - correct) ** 2))
