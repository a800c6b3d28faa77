"""From raw answers to a result: what they name, counted as any model's predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from imagenet_hard.base.types import BenchmarkInfo, ModelSpec, Predictions, Scored
from imagenet_hard.classifiers.backends import ANSWERS
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.evaluation.draw import DrawnBenchmark
from imagenet_hard.evaluation.environment import environment
from imagenet_hard.evaluation.estimate import estimate_of
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.prompts import Asked
from imagenet_hard.evaluation.generative.score import AnswersInfo, read_answers
from imagenet_hard.evaluation.metrics import Metrics, right_of
from imagenet_hard.evaluation.options import TransformPolicy
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.evaluation.result import Protocol, Result, Runtime
from imagenet_hard.evaluation.resume import sha256

ELSEWHERE = "the answers were produced elsewhere: nothing is known of how the model was asked"


def result_of_answers(
    spec: ModelSpec,
    benchmark: BenchmarkInfo,
    raw: RawAnswers,
    labels: Sequence[tuple[int, ...]],
    origins: Sequence[str],
    *,
    policy: TransformPolicy,
    runtime: Runtime,
    run_key: str,
    asked: Asked | None = None,
    part: Benchmark | None = None,
    warnings: Sequence[str] = (),
) -> tuple[Result, Predictions]:
    """The result of raw answers, and their predictions; ``labels`` and ``origins`` in their order.

    ``part``: what was asked about.
    """
    reading = read_answers(raw, labels)
    predictions = reading.predictions
    scored = Scored(predictions, tuple(labels), tuple(origins), ())
    estimate = estimate_of(part.draw, right_of(scored)) if isinstance(part, DrawnBenchmark) else None
    result = Result(
        model=spec,
        benchmark=benchmark,
        protocol=Protocol(
            precision=None,
            batch_size=None,
            transform=policy,
            decode={},
            optimizations=[],
            tta=None,
            outputs="logits",
            drop_class=None,
            classes=None,
            warnings=[*warnings, *([] if estimate is None else [estimate.warning])],
        ),
        metrics=Metrics.from_scored(scored),
        estimate=estimate,
        runtime=runtime,
        environment=environment(),
        predictions_sha256=predictions_sha256(predictions),
        run_key=run_key,
        witness=None,
        answers=AnswersInfo.of(raw, reading, origins, asked),
        created=datetime.now(UTC),
    )
    return result, predictions


def result_of_others(
    name: str,
    benchmark: BenchmarkInfo,
    raw: RawAnswers,
    labels: Sequence[tuple[int, ...]],
    origins: Sequence[str],
) -> tuple[Result, Predictions]:
    """The result of answers that were produced elsewhere; ``labels`` and ``origins`` in their order."""
    return result_of_answers(
        ModelSpec(backend=ANSWERS, name=name, transform={}),
        benchmark,
        raw,
        labels,
        origins,
        policy="custom",
        runtime=Runtime(
            seconds=0,
            n_scored=len(raw.ids),
            n_resumed=0,
            images_per_second=None,
            device="elsewhere",
            workers=0,
            peak_memory_bytes=None,
        ),
        run_key=sha256(["answers", 1, raw.sha256, benchmark.fingerprint]),
        warnings=[ELSEWHERE],
    )
