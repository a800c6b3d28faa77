"""One pass over the images for as many classifiers as fit, so that each image is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from imagenet_hard.base.types import Scored
from imagenet_hard.engine.job import Outcome, RunReport
from imagenet_hard.engine.memory import free_bytes, model_bytes
from imagenet_hard.engine.settings import resolve_device
from imagenet_hard.evaluation.draw import DrawnBenchmark
from imagenet_hard.evaluation.estimate import estimate_of, next_rounds
from imagenet_hard.evaluation.metrics import right_of
from imagenet_hard.evaluation.model_run import ModelRun
from imagenet_hard.evaluation.result import Result

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.engine import Engine

AUTOMATIC = 8
"""Classifiers that share a pass at the most, unless told otherwise: each has its pixels in memory as well."""

SHARE = 0.5
"""Of the free memory, for the models of a pass; the rest is for activations and images."""

COPIES = 2
"""Of a model in memory: its own weights, and the folded or compiled ones."""

FIRST_ROUNDS = 4
"""Of an estimate, before its interval is looked at."""

Progress = Callable[..., None]
"""Told of each batch of one classifier: ``(n, resumed=0)``."""


class SharedPass:
    """Classifiers that wait for a pass, and in their place among them results that were finished before.

    ``most``: classifiers in a pass, None for as many as fit: one by one on a cluster, whose memory is not
    known, and for ``many_views``, whose pixels are many.
    """

    def __init__(
        self,
        engine: Engine,
        device: str,
        most: int | None,
        *,
        many_views: bool,
    ) -> None:
        alone = engine.workers is not None or many_views
        self._engine, self._most = engine, most or (1 if alone else AUTOMATIC)
        self._fits, self._device = not (alone or most), device
        self._clear()

    def _clear(self) -> None:
        self._waiting: list[tuple[int, ModelRun | Result, Progress | None]] = []
        self._modules = ExitStack()
        self._stems: set[str] = set()
        self._n = self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more may share the pass, however small."""
        return self._n >= self._most

    def takes(self, classifier: Classifier, stem: str) -> bool:
        """Whether one more fits; it lies in the host's memory already, as those that were added do.

        Two that would write the same file take turns: the second then finds the first one's result.
        """
        if stem in self._stems:
            return False
        if not self._n or not self._fits:
            return True
        device = resolve_device(self._device)
        if (free := free_bytes(device)) is None:
            return True
        models = self._bytes + model_bytes(classifier.module)
        return COPIES * models <= SHARE * (free + (0 if device.type == "cuda" else models))

    def add(self, index: int, found: ModelRun | Result, stem: str, told: Progress | None) -> None:
        """``index``: of the model; ``told``: of its batches."""
        self._waiting.append((index, found, told))
        if isinstance(found, ModelRun):
            self._n += 1
            self._bytes += model_bytes(found.classifier.module)
            self._stems.add(stem)

    def then(self, modules: ExitStack) -> None:
        """Close ``modules`` after the pass."""
        self._modules.push(modules)

    def run(self, benchmark: Benchmark) -> Iterator[tuple[int, Result | Exception]]:
        """The pass: indices of the models, with what came of them; then nobody waits."""
        finishers = self._finishers(benchmark)
        for index, found, _ in self._waiting:
            if not isinstance(found, ModelRun):
                yield index, found
                continue
            finish = next(finishers)
            outcome: Result | Exception
            try:
                outcome = finish()
            except Exception as error:
                outcome = error
            found.close()
            yield index, outcome
        self._modules.close()
        self._clear()

    def _finishers(self, benchmark: Benchmark) -> Iterator[Callable[[], Result | Exception]]:
        """What ends each run, in their order: it gives or raises what is that run's alone."""
        runs = [(found, told) for _, found, told in self._waiting if isinstance(found, ModelRun)]
        if isinstance(benchmark, DrawnBenchmark) and benchmark.draw.until is not None:
            for found, told in runs:  # each by itself, as they stop at different images
                yield partial(score_until, found, self._engine, benchmark, told)
            return
        jobs = [found.job(told) for found, told in runs]
        for (found, _), outcome in zip(
            runs, self._engine.score(jobs, benchmark) if jobs else (), strict=True
        ):
            yield partial(_finish, found, outcome)

    def close(self) -> None:
        """What is scored is kept for the next run."""
        for _, found, _ in self._waiting:
            if isinstance(found, ModelRun):
                found.close()
        self._modules.close()


def _finish(run: ModelRun, outcome: Outcome) -> Result | Exception:
    return outcome if isinstance(outcome, Exception) else run.finish(*outcome)


def score_until(
    run: ModelRun, engine: Engine, benchmark: DrawnBenchmark, told: Progress | None
) -> Result | Exception:
    """As ``until_narrow``, with the classifier of a run."""
    job = run.job(told)

    def score(part: DrawnBenchmark) -> Outcome:
        (outcome,) = engine.score([job], part)
        return outcome

    found = until_narrow(benchmark, run.store.rows(), score)
    return found if isinstance(found, Exception) else run.finish(*found)


def until_narrow(
    benchmark: DrawnBenchmark, known: Container[str], score: Callable[[DrawnBenchmark], Outcome]
) -> tuple[Scored, RunReport, DrawnBenchmark] | Exception:
    """Rounds of one image a stratum, until the estimate is as narrow as its draw says, or there are no more.

    What an interrupted run has scored, ``known``, is looked at first, so that no image is scored again.
    """
    scored_before = [i + 1 for ids in benchmark.draw.order for i, id in enumerate(ids) if id in known]
    rounds = max([FIRST_ROUNDS, *scored_before])
    seconds, n_scored = 0.0, 0
    while True:
        part = benchmark.first(rounds)
        outcome = score(part)
        if isinstance(outcome, Exception):
            return outcome
        scored, report = outcome
        seconds, n_scored = seconds + report.seconds, n_scored + report.n_scored
        estimate = estimate_of(part.draw, right_of(scored))
        if estimate.half_width <= (estimate.until or 0) or len(part) == len(benchmark):
            whole = replace(report, seconds=seconds, n_scored=n_scored, n_resumed=len(part) - n_scored)
            return scored, whole, part
        rounds = next_rounds(estimate, rounds)
