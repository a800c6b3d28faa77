"""The Result: who was scored on what, how, and what came out. One JSON file beside one Parquet file.

Where the model answered in words, it lies beside a file of JSON Lines.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import AwareDatetime, Field, field_validator, model_validator

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.options import by_name
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import (
    NO_CLASS,
    SCHEMA_VERSION,
    BenchmarkInfo,
    DropClass,
    ModelSpec,
    OutputForm,
    Precision,
    Predictions,
    Record,
    Sha256,
    Witness,
    says_nothing,
)
from imagenet_hard.evaluation.calibration import Count, calibrate
from imagenet_hard.evaluation.environment import Environment
from imagenet_hard.evaluation.estimate import Estimate
from imagenet_hard.evaluation.generative.answers import RawAnswers, read_answered, write_answered
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.metrics import Metrics, confidence, near_ties
from imagenet_hard.evaluation.options import Options, TransformPolicy
from imagenet_hard.evaluation.package_metrics import Name, PackageMetric
from imagenet_hard.evaluation.predictions import predictions_sha256, read_predictions, write_predictions
from imagenet_hard.imagenet.mask import ClassMask
from imagenet_hard.tta.settings import TtaRecord, TtaSettings

if TYPE_CHECKING:
    from imagenet_hard.engine.job import RunReport

ANSWERED = ".answers.jsonl"

OptionValue = bool | int | float | str


class Protocol(Record):
    """How the images went through the model: everything besides model and benchmark that moves a number."""

    precision: Precision | None = Field(
        None, exclude_if=says_nothing, description="not there for answers in words"
    )
    batch_size: int | None = Field(None, ge=1, exclude_if=says_nothing, description="as precision")
    transform: TransformPolicy = Field(
        description="native: the model's own; paper: Resize(256) bilinear, CenterCrop(224), then RGB; "
        "study: the zoom study's standard view; custom: given by the user. The transform itself is in "
        "model.transform"
    )
    decode: Mapping[str, Any] = Field(description="decode policy: whether EXIF rotates, and the like")
    # Always off; kept, as the digests of records hold it.
    tf32: bool = Field(default=False, description="whether matrix products on a GPU may round to TF32")
    optimizations: list[str] = Field([], description="rewrites of the model, e.g. folded_batch_norm")
    tta: TtaRecord | None = Field(None, description="test-time augmentation; None: one standard view")
    outputs: OutputForm = Field(
        "logits",
        exclude_if=lambda form: form == "logits",
        description="what the model gives; of probabilities the log is taken before anything else",
    )
    drop_class: DropClass | None = Field(
        None,
        exclude_if=lambda index: index is None,  # 0 is a class
        description="background class of a model with 1001 outputs, left out before the softmax",
    )
    classes: ClassMask | None = Field(
        None,
        exclude_if=says_nothing,
        description="the classes that compete, in softmax, top-1 and top-5; None: all 1000",
    )
    options: Mapping[str, OptionValue] = Field(
        default_factory=dict,
        exclude_if=says_nothing,
        description="options that moved numbers and have no field of their own, where not at their default",
    )
    warnings: list[str] = Field(
        [], exclude_if=says_nothing, description="what a reader of this number must know"
    )

    @field_validator("options")
    @classmethod
    def _declared(cls, options: Mapping[str, OptionValue]) -> Mapping[str, OptionValue]:
        try:
            known = by_name(Options, options)
        except UsageError as error:
            raise ValueError(str(error)) from None
        if other := sorted(options.keys() - known.keys()):
            raise ValueError(
                f"{other[0][:80]!r} is not an option of this release that changes numbers, or has its "
                "default: upgrade imagenet-hard if a later release wrote this"
            )
        return known

    def asked(self) -> Options:
        """What ``evaluate`` is asked for to do it again, but for transform and batch size."""
        asked = {
            "precision": self.precision,
            "drop_class": self.drop_class,
            "classes": self.classes,
            "tta": None if self.tta is None else self.tta.settings(),
            **self.options,
        }
        return cast("Options", asked)


class Runtime(Record):
    """What the run took. Never part of ``run_key``."""

    seconds: float = Field(ge=0, description="wall clock of scoring the n_scored images")
    n_scored: Count = Field(description="images scored in this run")
    n_resumed: Count = Field(0, description="images whose predictions an interrupted run had left behind")
    images_per_second: float | None = Field(None, ge=0, description="n_scored / seconds; None for no image")
    device: str = Field(description="cpu, or the accelerator's name; of answers in words, where from")
    workers: int = Field(ge=0, description="decode threads, or calls at once")
    peak_memory_bytes: int | None = Field(
        None, ge=0, description="of the process; on a CUDA device, of its tensors"
    )

    @classmethod
    def of(cls, report: RunReport) -> Runtime:
        """What a run's report says of it."""
        return cls(
            seconds=report.seconds,
            images_per_second=report.n_scored / report.seconds if report.n_scored else None,
            n_scored=report.n_scored,
            n_resumed=report.n_resumed,
            device=report.device,
            workers=report.workers,
            peak_memory_bytes=report.peak_memory_bytes,
        )


class Result(Record):
    """One model's score on one benchmark, with its provenance."""

    schema_version: int = SCHEMA_VERSION
    model: ModelSpec
    benchmark: BenchmarkInfo
    protocol: Protocol
    metrics: Metrics
    package_metrics: dict[Name, PackageMetric] = Field(
        default_factory=dict,
        exclude_if=says_nothing,
        description="by name, those of installed packages that were asked for; nothing is ranked by them",
    )
    runtime: Runtime
    environment: Environment
    predictions_sha256: Sha256 = Field(description="hash of the predictions' values (predictions.py)")
    run_key: Sha256 = Field(description="hash of what determines the numbers")
    witness: Witness | None = Field(
        None,
        exclude_if=says_nothing,
        description="what a model or transform of one's own is told by; None for one that is known by name",
    )
    estimate: Estimate | None = Field(
        None,
        exclude_if=says_nothing,
        description="the score on all images, where only some were drawn for it: metrics count those alone, "
        "and are no score",
    )
    answers: AnswersInfo | None = Field(
        default=None,
        exclude_if=says_nothing,
        description="of a model that answers in words: top-1 only, as words have no scores",
    )
    created: AwareDatetime = Field(description="UTC")

    @field_validator("schema_version")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != SCHEMA_VERSION:
            raise ValueError(
                f"schema version {value}: this release reads {SCHEMA_VERSION}; "
                f"{'upgrade imagenet-hard' if value > SCHEMA_VERSION else 'score the model again'}"
            )
        return value

    @field_validator("created")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        if value.utcoffset() != timedelta(0):
            raise ValueError("expected a time in UTC, as 2026-01-31T12:00:00Z")
        return value.astimezone(UTC).replace(microsecond=0)

    @model_validator(mode="after")
    def _agrees(self) -> Result:
        n_run = self.runtime.n_scored + self.runtime.n_resumed
        if n_run != self.metrics.n_total:
            raise ValueError(f"runtime counts {n_run} images: metrics count {self.metrics.n_total}")
        if self.benchmark.n != self.metrics.n_total:
            raise ValueError(
                f"benchmark.n is {self.benchmark.n}: metrics count {self.metrics.n_total} images"
            )
        chosen = self.benchmark.selection
        drawn = chosen.n if chosen is not None and chosen.kind == "estimate" else None
        if drawn != (self.estimate.drawn if self.estimate else None):
            raise ValueError(
                f"estimate is from {self.estimate.drawn if self.estimate else 'no'} images: "
                f"benchmark.selection has drawn {drawn or 'none'} for one"
            )
        if self.estimate and sum(each.right for each in self.estimate.strata) != self.metrics.n_correct:
            raise ValueError("estimate.strata count other right images than metrics")
        for name, there in (
            ("metrics.top5", self.metrics.top5),
            ("protocol.precision", self.protocol.precision),
            ("protocol.batch_size", self.protocol.batch_size),
        ):
            if (there is None) != (self.answers is not None):
                what = "this key is missing" if there is None else "answers in words have none"
                raise ValueError(f"{name}: {what}")
        if self.answers is not None:
            self.answers.check(self.metrics)
        return self

    @property
    def competing(self) -> tuple[tuple[int, ...], int]:
        """Among what the model chose: the classes of a mask, () without; and how many names it was given, the
        right one with them, 0 without. Scores compare only where this is the same: fewer are easier."""
        mask = self.protocol.classes
        return mask.indices if mask else (), self.answers.choices if self.answers else 0

    @property
    def among(self) -> str:
        """The same in words: "" for all 1000 classes, else "imagenet-a" or "5 names"."""
        mask, (_, names) = self.protocol.classes, self.competing
        return mask.label if mask else f"{names} names" if names else ""


def result_stem(
    model: ModelSpec,
    precision: str,
    transform: str,
    tta: TtaSettings | None = None,
    *,
    classes: ClassMask | None = None,
    drop_class: int | None = None,
) -> str:
    """File name of a result without its suffix; tells weights tags, transforms, precisions, TTA, masks apart.

    Only letters, digits, ``.``, ``_`` and ``-``. Where that or the length cost something, 8 hex digits
    of a hash keep two names apart.

    >>> result_stem(ModelSpec(backend="timm", name="vit_tiny", tag="in1k", transform={}), "fp32", "native")
    'timm-vit_tiny-in1k-native-fp32'
    """
    parts = [model.backend, model.name, model.tag or "untagged", transform, precision]
    safe = [re.sub(r"[^A-Za-z0-9._-]+", "_", part).strip(".-")[:80] for part in parts]
    if safe != parts or model.tag == "untagged":
        safe.append(hashlib.sha256(json.dumps([*parts[:2], model.tag, *parts[3:]]).encode()).hexdigest()[:8])
    if drop_class is not None:
        safe.append(f"drop{drop_class}")
    return "-".join([*safe, *([classes.label] if classes else []), *([tta.label] if tta else [])])


def write_result(
    folder: str | Path,
    result: Result,
    predictions: Predictions,
    *,
    stem: str | None = None,
    raw: RawAnswers | None = None,
) -> Path:
    """Write ``<stem>.parquet``, then ``<stem>.json``; the JSON's path. Each appears whole or not at all.

    ``stem``: ``result_stem`` unless given; an existing pair of that name is replaced. ``raw``: of a model
    that answers in words, what it said: ``<stem>.answers.jsonl`` in place of the Parquet file.

    Raises:
        ResultError: the predictions are not the result's, or the disk is full or read-only.
    """
    protocol = result.protocol
    stem = stem or result_stem(
        result.model,
        protocol.precision or "words",
        protocol.transform,
        protocol.tta,
        classes=protocol.classes,
        drop_class=protocol.drop_class,
    )
    path = Path(folder) / f"{stem}.json"
    check_together(result, predictions, where=str(path))
    if raw is not None:
        write_answered(_beside(path, ANSWERED), raw, predictions)
    else:
        write_predictions(_beside(path), predictions)
    write_atomically(path, result_json(result).encode())
    return path


def result_json(result: Result) -> str:
    """The result as indented JSON, each list of numbers on one line."""
    text = result.model_dump_json(indent=2)
    # A line break inside a string is escaped in JSON, so this pattern meets lists only.
    return re.sub(r"\[\n[-+.,eE\d\s]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def read_result(path: str | Path) -> tuple[Result, Predictions]:
    """A result and the predictions beside it, both checked and belonging together.

    Raises:
        ResultError: naming the file and the place of what is wrong in it.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise ResultError(f"{path} is not a result: expected the .json beside the .parquet")
    result = read_record(path, Result)
    if result.answers is not None:
        predictions = read_answers_of(path, result)[1]
    else:
        predictions = read_predictions(_beside(path))
    check_together(result, predictions, where=str(path))
    return result, predictions


def read_answers_of(path: Path, result: Result) -> tuple[RawAnswers, Predictions]:
    """The answers in words beside the result in ``path``, and what they were read as.

    Raises:
        ResultError: they cannot be read, or are not those that it names.
    """
    beside = _beside(path, ANSWERED)
    raw, predictions = read_answered(beside)
    if result.answers is None or raw.sha256 != result.answers.answers_sha256:
        raise ResultError(f"{beside} hashes to {raw.sha256[:16]}...: {path.name} names other answers")
    return raw, predictions


def check_together(result: Result, predictions: Predictions, *, where: str = "result") -> None:
    """Do these predictions belong to this result, and does it say about them what is true?

    Raises:
        ResultError: another number of rows, another hash, or metrics that the predictions contradict.
    """
    metrics = result.metrics
    if len(predictions) != metrics.n_total:
        raise ResultError(f"{where}: {len(predictions)} predictions for {metrics.n_total} images")
    if (got := predictions_sha256(predictions)) != result.predictions_sha256:
        raise ResultError(
            f"{where}: the predictions hash to {got[:16]}..., the result names "
            f"{result.predictions_sha256[:16]}...: the files do not belong together; score the model again"
        )
    if predictions.top1_only != (metrics.top5 is None):
        raise ResultError(f"{where}: the predictions are of another kind than the metrics")
    if metrics.near_ties is None or metrics.calibration is None:
        named = predictions.top5[:, 0] != NO_CLASS
        if (metrics.correct() & ~named).any():
            raise ResultError(f"{where}: an answer that names no class is counted as right")
        return
    if (ties := near_ties(predictions, metrics.near_ties.epsilon)) != metrics.near_ties:
        raise ResultError(f"{where}: metrics.near_ties.n is {metrics.near_ties.n}: the margins give {ties.n}")
    expected = calibrate(confidence(predictions), metrics.correct()).model_dump()
    for name, got_value in metrics.calibration.model_dump().items():
        if not np.allclose(got_value, expected[name], rtol=0, atol=1e-6):
            raise ResultError(f"{where}: metrics.calibration.{name} does not follow from the predictions")


def _beside(path: Path, suffix: str = ".parquet") -> Path:
    return path.with_name(path.name.removesuffix(".json") + suffix)


def result_schema() -> str:
    """The JSON schema of a Result, as kept in ``docs/result.schema.json``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Result.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(result_schema())
