"""Two models on the same images, image by image: who wins where, and could it be chance?"""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import (
    NO_CLASS,
    SCHEMA_VERSION,
    ModelSpec,
    Predictions,
    Record,
    SchemaVersion,
    says_nothing,
)
from imagenet_hard.evaluation.calibration import Count, Share
from imagenet_hard.evaluation.intervals import RESAMPLES, kappa_of_right, mcnemar, paired_bootstrap
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import Result, check_together, read_result

Pair = tuple[Result, Predictions]


class Cells(Record):
    """The four outcomes of two classifiers on the same images."""

    both_right: Count
    only_a: Count = Field(description="A is right and B is wrong")
    only_b: Count
    both_wrong: Count

    @classmethod
    def of(cls, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Cells:
        """From bool (n,) and bool (n,): is A right, is B right."""
        both, only_a, only_b = int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum())
        return cls(both_right=both, only_a=only_a, only_b=only_b, both_wrong=len(a) - both - only_a - only_b)

    @property
    def n_total(self) -> int:
        return self.both_right + self.only_a + self.only_b + self.both_wrong

    @property
    def agreement(self) -> float:
        """Share of the images that both get right or both get wrong."""
        return (self.both_right + self.both_wrong) / self.n_total

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa of right and wrong (Cohen 1960); None where chance alone gives full agreement."""
        a, b = self.both_right + self.only_a, self.both_right + self.only_b
        kappa = float(kappa_of_right(a, b, self.both_right, self.n_total))
        return None if isnan(kappa) else kappa


class Side(Record):
    """One of the two models."""

    model: ModelSpec
    top1: Rate
    tta: str | None = Field(None, description="label of its test-time augmentation")
    asked: str | None = Field(
        None, exclude_if=says_nothing, description="how it was asked, where it answers in words"
    )


class Flip(Record):
    """An image that exactly one of the two gets right."""

    id: str
    origin: str
    right: Literal["a", "b"]
    a: int = Field(description="A's top-1 class; -1 for an answer in words that names none")
    a_name: str
    b: int
    b_name: str


class Comparison(Record):
    """A paired comparison; every difference is A minus B."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    benchmark: str
    fingerprint: str
    a: Side
    b: Side
    n_total: int
    cells: Cells
    per_origin: dict[str, Cells]
    difference: float = Field(description="accuracy of A minus accuracy of B")
    low: float = Field(description="lower end of its 95 % paired bootstrap interval")
    high: float
    resamples: int
    seed: int
    mcnemar_p: Share = Field(description="exact two-sided McNemar test")
    agreement: Share = Field(description="share of images that both get right or both get wrong")
    kappa: float | None = Field(description="Cohen's kappa of right and wrong; None where undefined")
    same_prediction: Count = Field(description="images with the same top-1 class from both")
    flips: tuple[Flip, ...]


def compare(a: str | Path | Pair, b: str | Path | Pair, *, seed: int = 0) -> Comparison:
    """Compare two results of the same images, given as paths or as (result, predictions).

    Needs no images and no labels: who was right is in the results. ``seed`` is the bootstrap's.

    Raises:
        ResultError: a file is malformed, or the two results are not of the same images, labels and classes.
    """
    (result_a, predictions_a), (result_b, predictions_b) = read_pair(a), read_pair(b)
    _same_images(result_a, result_b)
    if result_a.estimate or result_b.estimate:
        raise ResultError(
            "these are estimates: their images are not in proportion, so that counts of them say nothing of "
            "all images. Compare results on all images, or give --sequential, which weighs them"
        )
    check_same_classes(result_a, result_b)
    if predictions_a.ids != predictions_b.ids:
        raise ResultError("the two prediction files have different ids under one fingerprint: score again")

    right_a, right_b = result_a.metrics.correct(), result_b.metrics.correct()
    cells = Cells.of(right_a, right_b)
    # The fingerprint does not cover origins; where two releases of a set differ in them, A's count.
    names, codes = result_a.metrics.origins.names, result_a.metrics.origin_codes()
    low, high = paired_bootstrap(cells.only_a, cells.only_b, cells.n_total, seed=seed)
    return Comparison(
        benchmark=result_a.benchmark.name,
        fingerprint=result_a.benchmark.fingerprint,
        a=_side(result_a),
        b=_side(result_b),
        n_total=cells.n_total,
        cells=cells,
        per_origin={
            name: Cells.of(right_a[codes == code], right_b[codes == code]) for code, name in enumerate(names)
        },
        difference=(cells.only_a - cells.only_b) / cells.n_total,
        low=low,
        high=high,
        resamples=RESAMPLES,
        seed=seed,
        mcnemar_p=float(mcnemar(cells.only_a, cells.only_b)),
        agreement=cells.agreement,
        kappa=cells.kappa,
        same_prediction=int((predictions_a.top5[:, 0] == predictions_b.top5[:, 0]).sum()),
        flips=_flips(predictions_a, predictions_b, right_a, right_b, [names[code] for code in codes]),
    )


def read_pair(source: str | Path | Pair) -> Pair:
    """Read where it is a path, and checked.

    Raises:
        ResultError: a file is malformed, or the two do not belong together.
    """
    if isinstance(source, str | Path):
        return read_result(source)
    check_together(*source)
    return source


def _same_images(a: Result, b: Result) -> None:
    if a.benchmark.fingerprint != b.benchmark.fingerprint:
        said = [
            f"{each.model.name} was scored on {each.benchmark.name} "
            f"({each.benchmark.n} images, fingerprint {each.benchmark.fingerprint[:12]})"
            for each in (a, b)
        ]
        raise ResultError(
            f"different images or labels: {said[0]}, {said[1]}; "
            "score both on the same revision of one data set"
        )


def check_same_classes(a: Result, b: Result) -> None:
    """Do the same classes compete in both, or as many names?

    Raises:
        ResultError: they do not.
    """
    if a.competing != b.competing:
        said = [f"{each.model.name} among {_among(each)}" for each in (a, b)]
        option = "--protocol" if a.competing[1] != b.competing[1] else "--classes"
        raise ResultError(
            f"{said[0]}, {said[1]}: fewer classes are easier; score both with the same {option}"
        )


def _among(result: Result) -> str:
    mask = result.protocol.classes
    return f"{len(mask.indices)} classes ({mask.name})" if mask else result.among or "all 1000"


def _flips(
    a: Predictions,
    b: Predictions,
    right_a: NDArray[np.bool_],
    right_b: NDArray[np.bool_],
    origins: list[str],
) -> tuple[Flip, ...]:
    from imagenet_hard.imagenet.classes import names

    def _named(index: int) -> str:
        return "(no class)" if index == NO_CLASS else names()[index]

    top_a, top_b = a.top5[:, 0].tolist(), b.top5[:, 0].tolist()
    return tuple(
        Flip(
            id=a.ids[i],
            origin=origins[i],
            right="a" if right_a[i] else "b",
            a=top_a[i],
            a_name=_named(top_a[i]),
            b=top_b[i],
            b_name=_named(top_b[i]),
        )
        for i in np.flatnonzero(right_a != right_b).tolist()
    )


def _side(result: Result) -> Side:
    tta = result.protocol.tta
    return Side(
        model=result.model,
        top1=result.metrics.top1,
        tta=tta.label if tta else None,
        asked=result.answers.how if result.answers else None,
    )
