"""Which of two models is better, by as few images as it takes, with a stated rate of error."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import SCHEMA_VERSION, Record, SchemaVersion
from imagenet_hard.evaluation.compare import Pair, check_same_classes, read_pair
from imagenet_hard.evaluation.draw import known_difficulties, whole_draw
from imagenet_hard.evaluation.estimate import sequence, values_of
from imagenet_hard.evaluation.estimation import images_needed, stratified_variance
from imagenet_hard.evaluation.intervals import CONFIDENCE
from imagenet_hard.evaluation.result import Result


class SequentialComparison(Record):
    """What a sequential comparison came to."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    benchmark: str
    fingerprint: str
    better: Literal["a", "b"] | None = Field(description="None: not decided by the images that both have")
    images: int = Field(ge=1, description="how many decided it, or how many there were")
    total: int = Field(ge=1, description="images of the benchmark")
    low: float = Field(description="end of the interval of accuracy(A) - accuracy(B) at that point")
    high: float
    error: float = Field(
        1 - CONFIDENCE, description="how often a decision is wrong at most, if they are equal"
    )
    seed: int
    difficulty_sha256: str

    @property
    def words(self) -> str:
        """For people."""
        found = f"{100 * self.low:+.2f} to {100 * self.high:+.2f} points (A - B)"
        if self.better is None:
            return f"Not decided by {self.images:,} of {self.total:,} images: {found}."
        return (
            f"{self.better.upper()} is better, by {self.images:,} of {self.total:,} images: {found}, with at "
            f"most {100 * self.error:.0f} % chance of error however often it was looked at."
        )


def compare_sequentially(
    a: str | Path | Pair, b: str | Path | Pair, *, seed: int = 0, difficulty: str | Path | None = None
) -> SequentialComparison:
    """Look at the images in the order of a draw until one of the two is better, or there are no more.

    Results on all images, or estimates of this ``seed`` and table. Always valid: see
    ``estimation.confidence_sequence``.

    Raises:
        ResultError: a file is malformed, or they are not of one benchmark and classes, or have no round of
            the draw in common.
        UsageError: no table of difficulties, or another benchmark's.
    """
    (one, said_one), (two, said_two) = read_pair(a), read_pair(b)
    check_same_classes(one, two)
    digests = {_whole(one), _whole(two)}
    if len(digests) > 1:
        raise ResultError("different images or labels: score both on the same revision of one data set")
    table = known_difficulties(one.benchmark.name, digests.pop(), difficulty)
    right_one = dict(zip(said_one.ids, one.metrics.correct().tolist(), strict=True))
    right_two = dict(zip(said_two.ids, two.metrics.correct().tolist(), strict=True))
    draw = whole_draw(table, seed)
    # Whole rounds that both have: an image of each stratum, where it has one left.
    have = [[id in right_one and id in right_two for id in ids] for ids in draw.order]
    whole = [len(each) if all(each) else each.index(False) for each in have]
    rounds = min((n for n, ids in zip(whole, draw.order, strict=True) if n < len(ids)), default=max(whole))
    if rounds < 1:
        raise ResultError(
            f"the two have no images of the draw of seed {seed} in common: estimate both with one --seed and "
            "table, and name the same here"
        )
    part = draw.first([min(rounds, n) for n in whole])
    values = (1 + values_of(part, right_one) - values_of(part, right_two)) / 2
    # In what is expected, neither is better.
    low, high = sequence(part.even(), values, target=None)
    decided = (low > 0.5) | (high < 0.5)
    at = int(np.argmax(decided)) if decided.any() else len(low) - 1
    better: Literal["a", "b"] | None = None
    if decided[at]:
        better = "a" if low[at] > 0.5 else "b"
    return SequentialComparison(
        benchmark=one.benchmark.name,
        fingerprint=table.fingerprint,
        better=better,
        images=int(np.minimum(part.drawn, at + 1).sum()),
        total=int(draw.sizes.sum()),
        low=float(2 * low[at] - 1),
        high=float(2 * high[at] - 1),
        error=round(1 - CONFIDENCE, 9),
        seed=seed,
        difficulty_sha256=table.sha256,
    )


class SampleSize(Record):
    """How many images tell two models apart."""

    difference: float = Field(description="accuracy(A) - accuracy(B) on all images")
    total: int
    power: float = Field(description="how often so many images tell them apart, at 5 % error")
    random: int | None = Field(description="drawn at random; None: there is nothing to tell apart")
    stratified: int | None = Field(description="drawn by difficulty; None: the same, or no table was given")


def plan_comparison(
    a: str | Path | Pair,
    b: str | Path | Pair,
    *,
    power: float = 0.8,
    difficulty: str | Path | None = None,
) -> SampleSize:
    """Images for a fixed-size comparison of two models like these, which have been scored on all images.

    Raises:
        ResultError: a file is malformed, or they are not on all of the same images and classes.
        UsageError: ``difficulty`` is another benchmark's.
    """
    (one, said), (two, other) = read_pair(a), read_pair(b)
    check_same_classes(one, two)
    if one.benchmark.fingerprint != two.benchmark.fingerprint or said.ids != other.ids:
        raise ResultError("different images or labels: score both on the same revision of one data set")
    if one.estimate or two.estimate:
        raise ResultError("a plan is made of results on all images: these are estimates")
    values = one.metrics.correct().astype(float) - two.metrics.correct()
    difference, n = float(values.mean()), len(values)
    stratified = None
    if difficulty is not None:
        table = known_difficulties(one.benchmark.name, one.benchmark.fingerprint, difficulty)
        stratum = {id: h for h, ids in enumerate(whole_draw(table).order) for id in ids}
        variance = stratified_variance(values, [stratum[id] for id in said.ids])
        stratified = images_needed(difference, variance, n, power=power)
    return SampleSize(
        difference=difference,
        total=n,
        power=power,
        random=images_needed(difference, float(values.var()), n, power=power),
        stratified=stratified,
    )


def _whole(result: Result) -> str:
    return result.estimate.fingerprint if result.estimate else result.benchmark.fingerprint
