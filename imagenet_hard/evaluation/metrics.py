"""Metrics of a scored benchmark: count first, divide once; whole numbers are kept beside every share.

A prediction is right if it is among the image's labels (paper, "Scoring"); top-5 is right if any of
the five is. All 1000 classes compete, unless a mask was asked for. Answers in words have no scores: what
needs them is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES, Precision, Predictions, Record, Scored, says_nothing
from imagenet_hard.evaluation.base64_columns import pack_bits, pack_names, unpack_bits, unpack_names
from imagenet_hard.evaluation.calibration import Calibration, Count, Share, calibrate
from imagenet_hard.evaluation.intervals import wilson
from imagenet_hard.imagenet.superclasses import by_superclass, superclass_of
from imagenet_hard.tta.settings import TtaSettings

NEAR_TIE_EPSILON: Mapping[Precision, float] = {"fp32": 1e-3, "fp16": 0.0625, "bf16": 0.5}
"""Margins (in logits) below which a top-1 prediction may flip with batch size, device or kernel.

Measured with EfficientNet-Lite0 on 234 photographs: margins move by at most 1e-5 between batch
sizes in fp32 and by up to 0.44 from fp32 to bf16. fp16 has 3 more bits of mantissa: 1/8 of bf16.
"""

ADAPTED_EPSILON = 0.1
"""The same where each image's prediction is made by weights that were adapted to it (MEMO).

The step makes rounding wider: margins move by up to 0.0008 with trained networks, and logits by up to 0.06
with a MobileNetV2 of random weights (docs/tta.md).
"""

_TOLERANCE = 1e-9

Key = TypeVar("Key", int, str)


class Rate(Record):
    """A share with its counts and its 95 % Wilson interval."""

    n_correct: Count
    n_total: Annotated[int, Field(ge=1)]
    accuracy: Share = Field(description="n_correct / n_total")
    low: Share = Field(description="lower end of the 95 % Wilson interval")
    high: Share = Field(description="upper end")

    @classmethod
    def of(cls, n_correct: int, n_total: int) -> Rate:
        low, high = wilson(n_correct, n_total)
        return cls(n_correct=n_correct, n_total=n_total, accuracy=n_correct / n_total, low=low, high=high)

    def __str__(self) -> str:
        share, low, high = (f"{100 * x:.2f}" for x in (self.accuracy, self.low, self.high))
        return f"{share} % ({low} to {high}, {self.n_correct} of {self.n_total})"

    @model_validator(mode="after")
    def _agrees(self) -> Rate:
        if self.n_correct > self.n_total:
            raise ValueError(f"{self.n_correct} right of {self.n_total} images")
        expected = (self.n_correct / self.n_total, *wilson(self.n_correct, self.n_total))
        for name, got, want in zip(
            ("accuracy", "low", "high"), (self.accuracy, self.low, self.high), expected, strict=True
        ):
            if abs(got - want) > _TOLERANCE:
                raise ValueError(f"{name} is {got}: {self.n_correct} of {self.n_total} gives {want}")
        return self


class PerClass(Record):
    """For each of the 1000 classes: the images that have it among their labels, and how many are right.

    Right means that the top-1 is among the image's labels, be it this class or another of them.
    """

    n_total: tuple[Count, ...] = Field(min_length=N_CLASSES, max_length=N_CLASSES)
    n_correct: tuple[Count, ...] = Field(min_length=N_CLASSES, max_length=N_CLASSES)

    @model_validator(mode="after")
    def _agrees(self) -> PerClass:
        for index, (k, n) in enumerate(zip(self.n_correct, self.n_total, strict=True)):
            if k > n:
                raise ValueError(f"class {index}: {k} right of {n} images")
        return self


class NearTies(Record):
    """Images whose best logit leads by less than ``epsilon``: their top-1 is not reproducible."""

    epsilon: float = Field(gt=0)
    n: Count


class Origins(Record):
    """Where each image came from, over the sorted ids."""

    names: tuple[Annotated[str, StringConstraints(max_length=256)], ...] = Field(min_length=1)
    codes: str = Field(
        description="base64 of one index into names per image: a byte, beyond 256 names two (little endian); "
        "empty where there is one name"
    )


class Metrics(Record):
    """What a model scored. Every share is derived from counts, and loading checks that it is."""

    top1: Rate
    top5: Rate | None = Field(None, exclude_if=says_nothing, description="not there for answers in words")
    per_origin: dict[str, Rate] = Field(description="top-1 by the variant that the image came from")
    per_label_count: dict[int, Rate] = Field(description="top-1 by the image's number of labels")
    per_superclass: dict[str, Rate] = Field(
        default_factory=dict,
        exclude_if=says_nothing,
        description="top-1 on the images with a label in each superclass of WordNet; an image with labels in "
        "several counts in each. Not there where all are in one, or in results of earlier releases",
    )
    per_class: PerClass
    calibration: Calibration | None = Field(None, exclude_if=says_nothing, description="as top5")
    near_ties: NearTies | None = Field(None, exclude_if=says_nothing, description="as top5")
    correct_bits: str = Field(
        description="base64, one bit per image in the order of the sorted ids: 1 where the top-1 is right; "
        "image i is bit 7 - i % 8 of byte i // 8"
    )
    origins: Origins

    @property
    def n_correct(self) -> int:
        return self.top1.n_correct

    @property
    def n_total(self) -> int:
        return self.top1.n_total

    def correct(self) -> NDArray[np.bool_]:
        """bool (n_total,), in the order of the sorted ids: the top-1 is among the labels."""
        return unpack_bits(self.correct_bits, self.n_total)

    def origin_codes(self) -> NDArray[np.intp]:
        """intp (n_total,): index into ``origins.names``."""
        return unpack_names(self.origins.names, self.origins.codes, self.n_total)

    @classmethod
    def from_scored(cls, scored: Scored, *, near_tie_epsilon: float | None = None) -> Metrics:
        """Every metric of a scored benchmark; without a ``near_tie_epsilon`` that of fp32.

        Raises:
            UsageError: nothing was scored, an image has no label, or the sequences differ in length.
        """
        predictions, labels, origins = scored.predictions, scored.labels, scored.origins
        if not len(labels) == len(origins) == len(predictions):
            raise UsageError(
                f"{len(predictions)} predictions, {len(labels)} label sets, {len(origins)} origins: "
                "expected one of each per image"
            )
        right = hits(predictions.top5, labels)
        correct = right[:, 0]
        names, codes = pack_names(origins)
        scores = not predictions.top1_only
        epsilon = near_tie_epsilon or NEAR_TIE_EPSILON["fp32"]
        return cls(
            top1=Rate.of(int(correct.sum()), len(correct)),
            top5=Rate.of(int(right.any(axis=1).sum()), len(correct)) if scores else None,
            per_origin=rates_by(correct, origins),
            per_label_count=rates_by(correct, [len(each) for each in labels]),
            per_superclass={
                name: Rate.of(int(correct[inside].sum()), int(inside.sum()))
                for name, inside in by_superclass(labels).items()
            },
            per_class=per_class(correct, labels),
            calibration=calibrate(confidence(predictions), correct) if scores else None,
            near_ties=near_ties(predictions, epsilon) if scores else None,
            correct_bits=pack_bits(correct),
            origins=Origins(names=names, codes=codes),
        )

    @model_validator(mode="after")
    def _agrees(self) -> Metrics:
        correct, codes, n = self.correct(), self.origin_codes(), self.n_total
        if int(correct.sum()) != self.n_correct:
            raise ValueError(f"correct_bits has {correct.sum()} ones: top1.n_correct is {self.n_correct}")
        if len({each is None for each in (self.top5, self.calibration, self.near_ties)}) > 1:
            raise ValueError("top5, calibration and near_ties are there together, or none of them is")
        if self.top5 and (self.top5.n_total != n or self.top5.n_correct < self.n_correct):
            raise ValueError(f"top5 counts {self.top5.n_correct} of {self.top5.n_total} contradict top1")
        if _counts(rates_by(correct, [self.origins.names[i] for i in codes])) != _counts(self.per_origin):
            raise ValueError("per_origin does not follow from correct_bits and origins")
        by_label_count, cal = _counts(self.per_label_count).values(), self.calibration
        for name, right, total in (
            ("per_label_count", sum(k for k, _ in by_label_count), sum(m for _, m in by_label_count)),
            *([("calibration", sum(cal.n_correct), sum(cal.n_total))] if cal else []),
        ):
            if (right, total) != (self.n_correct, n):
                raise ValueError(f"{name} counts {right} of {total} images: expected {self.n_correct} of {n}")
        if min(self.per_label_count) < 1:
            raise ValueError("per_label_count has images without a label")
        if (self.near_ties and self.near_ties.n > n) or max(self.per_class.n_total) > n:
            raise ValueError(f"near_ties or per_class counts more images than the {n} scored")
        labels_given = sum(count * rate.n_total for count, rate in self.per_label_count.items())
        if sum(self.per_class.n_total) != labels_given:
            raise ValueError(
                f"per_class counts {sum(self.per_class.n_total)} labels: per_label_count has {labels_given}"
            )
        self._check_superclasses()
        return self

    def _check_superclasses(self) -> None:
        """Each holds the images of its classes: no more than they have together, no fewer than any has."""
        of = np.array(superclass_of(), dtype=object)
        n_total, n_correct = np.array(self.per_class.n_total), np.array(self.per_class.n_correct)
        for name, rate in self.per_superclass.items():
            inside = of == name
            for what, own, counts in (
                ("images", rate.n_total, n_total),
                ("right answers", rate.n_correct, n_correct),
            ):
                each = counts[inside]
                if not each.size or not each.max() <= own <= each.sum():
                    raise ValueError(
                        f"per_superclass has {own} {what} for {name!r}: per_class contradicts it"
                    )


def hits(top5: NDArray[np.integer], labels: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Which predictions are among the labels: int (n, k) and n label sets -> bool (n, k).

    Column 0 is multi-label top-1; ``any(axis=1)`` is top-5.

    Raises:
        UsageError: no image, unequal lengths, or an image without a label.
    """
    if top5.ndim != 2 or not len(top5):
        raise UsageError(f"metrics need predictions (n, k) with n >= 1: got shape {top5.shape}")
    if len(labels) != len(top5):
        raise UsageError(f"{len(top5)} predictions and {len(labels)} label sets: expected as many")
    sizes = np.fromiter(map(len, labels), dtype=np.int64, count=len(labels))
    if not sizes.all():
        raise UsageError(
            f"image {int(np.argmin(sizes))} has no label: leave it out, it is neither right nor wrong"
        )
    flat = np.fromiter((label for each in labels for label in each), dtype=np.int64, count=int(sizes.sum()))
    if flat.min() < 0 or flat.max() >= N_CLASSES:
        raise UsageError(f"labels run from {flat.min()} to {flat.max()}: expected classes 0..{N_CLASSES - 1}")
    # One number per (image, class), so that a single set test answers for all images.
    pairs = np.repeat(np.arange(len(labels)), sizes) * N_CLASSES + flat
    return np.isin(np.arange(len(top5))[:, None] * N_CLASSES + top5, pairs) & (top5 >= 0)


def rates_by(correct: NDArray[np.bool_], keys: Sequence[Key]) -> dict[Key, Rate]:
    """Top-1 within each group: bool (n,) and one key per image -> rates by sorted key."""
    total, right = Counter(keys), Counter(compress(keys, correct))
    return {key: Rate.of(right[key], total[key]) for key in sorted(total)}


def per_class(correct: NDArray[np.bool_], labels: Sequence[Sequence[int]]) -> PerClass:
    """For each class the images that have it among their labels, and how many of these are right."""
    flat = np.array([label for each in labels for label in each], dtype=np.int64)
    right = np.repeat(correct, [len(each) for each in labels])
    return PerClass(
        n_total=tuple(np.bincount(flat, minlength=N_CLASSES).tolist()),
        n_correct=tuple(np.bincount(flat[right], minlength=N_CLASSES).tolist()),
    )


def near_ties(predictions: Predictions, epsilon: float) -> NearTies:
    """Images whose margin (best minus second-best logit, float32) is below ``epsilon``."""
    return NearTies(epsilon=epsilon, n=int((predictions.margin < epsilon).sum()))


def near_tie_epsilon(precision: Precision, tta: TtaSettings | None) -> float:
    """The margin below which a top-1 made this way may flip."""
    adapted = tta is not None and tta.adapts
    return max(NEAR_TIE_EPSILON[precision], ADAPTED_EPSILON if adapted else 0.0)


def confidence(predictions: Predictions) -> NDArray[np.float64]:
    """Probability of the top-1 class: float64 (n,) in [0, 1]."""
    return np.minimum(np.exp(predictions.logprob5[:, 0].astype(np.float64)), 1.0)


def _counts(rates: Mapping[Key, Rate]) -> dict[Key, tuple[int, int]]:
    return {key: (rate.n_correct, rate.n_total) for key, rate in rates.items()}


def right_of(scored: Scored) -> dict[str, bool]:
    """Id -> whether the top-1 is among the labels."""
    return dict(
        zip(scored.predictions.ids, hits(scored.predictions.top5, scored.labels)[:, 0].tolist(), strict=True)
    )
