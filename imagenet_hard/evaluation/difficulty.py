"""Difficulties of a benchmark's images, from the results that known models have on all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation.draw import Difficulties, difficulties
from imagenet_hard.evaluation.result import Result, read_result

LEAST_MODELS = 2


def difficulties_of(files: Sequence[Path]) -> Difficulties:
    """The table of these results, two models or more.

    Raises:
        UsageError, ResultError: as ``results_on_one_benchmark``.
    """
    pairs = results_on_one_benchmark(files)
    first = pairs[0][0]
    return difficulties(
        np.stack([result.metrics.correct() for result, _ in pairs]),
        pairs[0][1].ids,
        [result.model.key for result, _ in pairs],
        benchmark=first.benchmark.name,
        fingerprint=first.benchmark.fingerprint,
    )


def results_on_one_benchmark(files: Sequence[Path]) -> list[tuple[Result, Predictions]]:
    """Those of two known models or more on all images of one benchmark.

    Raises:
        UsageError: too few results, or one of a part of a benchmark.
        ResultError: a file is no result, or they are not of the same images, labels and classes.
    """
    if len(files) < LEAST_MODELS:
        raise UsageError(f"{len(files)} results: expected those of {LEAST_MODELS} known models or more")
    pairs = [read_result(path) for path in files]
    first = pairs[0][0]
    known: dict[str, Path] = {}
    for path, (result, predictions) in zip(files, pairs, strict=True):
        if result.benchmark.part:
            raise UsageError(f"{path} is a result on {result.benchmark.part} alone: expected all images")
        if result.among:
            raise UsageError(f"{path} is a result among {result.among}: expected all classes")
        if result.benchmark.fingerprint != first.benchmark.fingerprint or predictions.ids != pairs[0][1].ids:
            raise ResultError(
                f"{path} is a result on {result.benchmark.name} ({result.benchmark.fingerprint[:12]}...), "
                f"{files[0]} on {first.benchmark.name} ({first.benchmark.fingerprint[:12]}...): expected "
                "results on one benchmark"
            )
        if result.run_key in known:
            raise UsageError(f"{path} and {known[result.run_key]} are one result: each model counts once")
        known[result.run_key] = path
    return pairs
