"""An estimate of the score on all images: its record, with what was seen of each stratum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.types import Record, Sha256, says_nothing
from imagenet_hard.evaluation.calibration import Count, Share
from imagenet_hard.evaluation.draw import Draw
from imagenet_hard.evaluation.estimation import Floats, confidence_sequence, stratified
from imagenet_hard.evaluation.intervals import CONFIDENCE

FIXED = "stratified"
SEQUENCE = "confidence sequence"

ASSUMPTIONS: Mapping[str, tuple[str, ...]] = {
    FIXED: (
        "the images were drawn at random within each stratum, and not chosen by what the model says",
        "their number was fixed beforehand: looking again and again until it fits breaks the interval",
        "the estimate is about normal, which holds from some hundred images on",
    ),
    SEQUENCE: (
        "the images were drawn at random within each stratum, and not chosen by what the model says",
        "drawing may stop at any time: the interval holds for every number of images at once",
    ),
}
"""What an interval needs in order to hold. Nothing is assumed of the model."""


class Stratum(Record):
    """Images of about the same difficulty."""

    images: Annotated[int, Field(ge=1, description="in the benchmark")]
    drawn: Annotated[int, Field(ge=1)]
    right: Count


class Estimate(Record):
    """The share of all images that the model gets right, from those that were drawn."""

    fingerprint: Sha256 = Field(description="of the whole benchmark, whose score this is an estimate of")
    top1: Share = Field(description="the estimate: each stratum counts by its number of images")
    low: Share
    high: Share
    confidence: float = CONFIDENCE
    method: str = Field(description="stratified: for a number of images that was fixed; confidence sequence")
    assumptions: tuple[str, ...] = Field(description="what the interval needs in order to hold")
    strata: tuple[Stratum, ...] = Field(min_length=2, description="hardest first")
    until: float | None = Field(
        None, exclude_if=says_nothing, description="half-width in points that was waited for"
    )

    @model_validator(mode="after")
    def _follows(self) -> Estimate:
        share, low, high = stratified(*self._counts())
        if abs(share - self.top1) > 1e-9:
            raise ValueError(f"top1 is {self.top1}: the strata give {share}")
        if self.method == FIXED and max(abs(low - self.low), abs(high - self.high)) > 1e-9:
            raise ValueError(f"the interval is {self.low} to {self.high}: the strata give {low} to {high}")
        if not self.low <= self.high:
            raise ValueError(f"the interval is {self.low} to {self.high}")
        return self

    def _counts(self) -> tuple[list[int], list[int], list[int]]:
        return (
            [each.right for each in self.strata],
            [each.drawn for each in self.strata],
            [each.images for each in self.strata],
        )

    @property
    def images(self) -> int:
        """All of the benchmark."""
        return sum(each.images for each in self.strata)

    @property
    def drawn(self) -> int:
        """Images that were looked at."""
        return sum(each.drawn for each in self.strata)

    @property
    def warning(self) -> str:
        """What a reader of the counts must know."""
        return (
            f"an estimate: the metrics count the {self.drawn:,} images that were drawn of {self.images:,}, "
            "hard and easy ones not in their proportion, and are no score"
        )

    @property
    def half_width(self) -> float:
        """Of the interval, in points."""
        return 50 * (self.high - self.low)


def estimate_of(draw: Draw, right: Mapping[str, bool]) -> Estimate:
    """The estimate from who of the draw is right; ``right`` may hold other images as well."""
    counts = [sum(right[id] for id in ids) for ids in draw.order]
    share, low, high = map(float, stratified(counts, draw.drawn, draw.sizes))
    if draw.until is not None:
        lows, highs = sequence(draw, values_of(draw, right), target=draw.until / 100)
        # It is a set of means that are left; rounding apart, the estimate need not lie in its middle.
        low, high = float(lows[-1]), max(float(highs[-1]), float(lows[-1]))
    method = FIXED if draw.until is None else SEQUENCE
    return Estimate(
        fingerprint=draw.fingerprint,
        top1=share,
        low=low,
        high=high,
        method=method,
        assumptions=ASSUMPTIONS[method],
        strata=tuple(
            Stratum(images=int(size), drawn=len(ids), right=n)
            for size, ids, n in zip(draw.sizes, draw.order, counts, strict=True)
        ),
        until=draw.until,
    )


def values_of(draw: Draw, right: Mapping[str, bool]) -> Floats:
    """float64 (rounds, H): the image of each stratum in each round; 0 where a stratum has no more."""
    values = np.zeros((max(draw.drawn), len(draw.order)))
    for h, ids in enumerate(draw.order):
        values[: len(ids), h] = [right[id] for id in ids]
    return values


def sequence(draw: Draw, values: NDArray[np.float64], *, target: float | None) -> tuple[Floats, Floats]:
    """``confidence_sequence`` of a draw."""
    return confidence_sequence(values, draw.sizes, draw.guess, target=target)


def next_rounds(estimate: Estimate, rounds: int) -> int:
    """How many rounds to look at next, where the interval is still too wide: no more than are surely needed.

    It narrows by the number of images at the fastest.
    """
    assert estimate.until is not None
    return max(rounds + 1, int(rounds * min(2.0, estimate.half_width / estimate.until)))
