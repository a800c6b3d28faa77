"""Scoring on a Ray cluster: images go out in shards, predictions come back into the same stores.

This process reads each image's bytes, so the workers need neither the data set nor a token; it also knows how
far each job is, so that a run may be continued on another engine. A worker makes the engine's own pass over
its shards, with a store in its memory.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import (
    ClassifierError,
    ClusterError,
    ClusterLostError,
    ImageError,
    ImageNetHardError,
    UsageError,
)
from imagenet_hard.base.types import Example
from imagenet_hard.engine.job import Build, Job, JobProgress, Outcome, RunReport, outcome
from imagenet_hard.engine.memory import peak_memory
from imagenet_hard.engine.prepare import KNOWN, Task, overlapped
from imagenet_hard.engine.run import Pass
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.engine.store import Row
from imagenet_hard.engine.topk import Top5

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.ray.pool import WorkerPool

LARGEST = {"cpu": 128, "cuda": 1024}
"""Images of a shard."""

MOST_BYTES = 64 << 20
"""Of a shard's images."""

ROUNDS = 4
"""Shards that each worker gets at the least, so that none waits long for the last one."""


@dataclass
class ExampleShard:
    """Images, and for each job the rows among them that it has already."""

    known: list[dict[str, Row]]
    examples: list[Example] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        """Of the images."""
        return sum(len(example.image) for example in self.examples)

    def __str__(self) -> str:
        return f"{len(self.examples)} images, {self.examples[0].id!r} to {self.examples[-1].id!r}"


@dataclass(frozen=True)
class ShardScores:
    """Of one job: its batches, and how it runs."""

    batches: Sequence[tuple[Sequence[Row], Top5]]
    batch_size: int
    optimizations: tuple[str, ...]


@dataclass(frozen=True)
class Scores:
    """What came of a shard. ``jobs``: for each its scores, or what ended it."""

    jobs: list[ShardScores | Exception]
    failures: list[str]
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class ScoreTask:
    """Classifiers under their settings; sent to the workers with the weights, which lie on the CPU."""

    jobs: Sequence[tuple[Classifier, RunSettings, Build]]
    exif: bool

    def begin(self, device: str, threads: int) -> Callable[[ExampleShard], Scores]:
        """See ``worker.Task``. The classifiers are made ready once, for all shards."""
        jobs = [(c, replace(s, device=device, workers=threads), build) for c, s, build in self.jobs]
        return partial(_score, Pass(jobs, exif=self.exif), [c.spec.name for c, _, _ in jobs])


class _ShardStore:
    """A job's store on a worker: the rows that it has already, and the batches that go back."""

    def __init__(self, known: Mapping[str, Row]) -> None:
        self._known = known
        self.batches: list[tuple[Sequence[Row], Top5]] = []

    def rows(self) -> Mapping[str, Row]:
        return self._known

    def remove(self, ids: Iterable[str]) -> None:
        """The rows are in another process, which does so itself."""

    def add(self, rows: Sequence[Row], *scores: Any) -> None:
        self.batches.append((rows, scores))


def _score(images: Pass, names: Sequence[str], shard: ExampleShard) -> Scores:
    """On a worker. ``names``: of the jobs' classifiers."""
    stores = [_ShardStore(known) for known in shard.known]
    progress = [JobProgress(store) for store in stores]
    failures = images.run((partial(_itself, each) for each in shard.examples), progress)
    answers: list[ShardScores | Exception] = []
    for store, each, predictor, name in zip(stores, progress, images.predictors, names, strict=True):
        if each.error is not None:
            answers.append(_portable(each.error, name))
        else:
            assert not isinstance(predictor, Exception)
            answers.append(ShardScores(store.batches, predictor.batch_size, tuple(predictor.optimizations)))
    return Scores(answers, failures, peak_memory(images.device))


def _itself(example: Example) -> Example:
    return example


def _portable(error: Exception, name: str) -> Exception:
    """As an error of ours, which any process can read back."""
    if isinstance(error, ImageNetHardError):
        return type(error)(str(error))
    return ClassifierError(f"{name} failed: {''.join(traceback.format_exception(error))}")


class RayEngine:
    """Jobs on ``workers``."""

    def __init__(self, workers: WorkerPool) -> None:
        self.workers = workers

    def device_type(self, device: str) -> str:
        """That of the workers, whatever this machine has."""
        there = self.workers.capacity.device
        if device not in ("auto", there):
            raise UsageError(f"device {device!r}: the workers of the open engine have {there}")
        return there

    def loading_device(self, device: str) -> str:
        """Whatever this machine has, as the workers' device may not be here."""
        return str(resolve_device("auto"))

    def score(self, jobs: Sequence[Job], benchmark: Benchmark) -> list[Outcome]:
        """See ``score_together``; shards are scored in any order."""
        start = time.perf_counter()
        device = self.workers.capacity.device
        progress = [JobProgress(job.store, job.on_progress) for job in jobs]
        latest = [ShardScores((), job.settings.first_batch_size(device), ()) for job in jobs]
        for job in jobs:
            job.classifier.module.cpu()
        task = ScoreTask([(job.classifier, job.settings, job.build) for job in jobs], exif=benchmark.exif)
        size = self._shard_size(benchmark, max(each.batch_size for each in latest))
        failures: list[str] = []
        peak: int | None = None
        with ThreadPoolExecutor(8, "read") as pool:
            try:
                for _, scores in self.workers.map(task, _shards(pool, benchmark, progress, failures, size)):
                    failures += scores.failures
                    peak = max(peak or 0, scores.peak_memory_bytes or 0) or None
                    for i, answer in enumerate(scores.jobs):
                        latest[i] = _keep(progress[i], answer) or latest[i]
                    if all(each.error is not None for each in progress):
                        break
            except ClusterLostError:
                raise
            except (ClusterError, ClassifierError) as error:  # of these jobs; others may get on
                for each in progress:
                    each.error = each.error or error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        seconds = (time.perf_counter() - start) / len(jobs)
        return [
            outcome(job, each, benchmark.name, failures, partial(self._report, each, scores, seconds, peak))
            for job, each, scores in zip(jobs, progress, latest, strict=True)
        ]

    def _shard_size(self, benchmark: Benchmark, batch_size: int) -> int:
        """Whole batches: the last one of each shard is filled up otherwise."""
        largest = LARGEST[self.workers.capacity.device]
        try:
            n = len(benchmark)
        except TypeError:  # a stream of unknown length
            n = largest * ROUNDS * self.workers.n
        wanted = min(largest, -(-n // (ROUNDS * self.workers.n)))
        return max(1, -(-wanted // batch_size)) * batch_size

    def _report(
        self, progress: JobProgress, latest: ShardScores, seconds: float, peak: int | None
    ) -> RunReport:
        devices = sorted(self.workers.devices.items())
        return RunReport(
            seconds=seconds,
            n_scored=progress.n_scored,
            n_resumed=progress.n_resumed,
            device="Ray: " + ", ".join(f"{n} x {device}" for device, n in devices),
            batch_size=latest.batch_size,
            workers=self.workers.n * self.workers.capacity.cpus,
            peak_memory_bytes=peak,
            optimizations=latest.optimizations,
        )


def _shards(
    pool: ThreadPoolExecutor,
    benchmark: Benchmark,
    progress: Sequence[JobProgress],
    failures: list[str],
    size: int,
) -> Iterator[ExampleShard]:
    """The images that some job wants, as they are read; why one cannot be is added to ``failures``."""
    shard = ExampleShard([{} for _ in progress])
    for found in overlapped(pool, partial(_read, progress), benchmark.tasks(), 2 * size):
        if isinstance(found, str):
            failures.append(found)
            continue
        example, row, wanted = found
        for each, want in zip(progress, wanted, strict=True):
            if each.error is None:
                with each.attempt():
                    each.wants(row, None if want else KNOWN)
        if not any(wanted):
            continue
        shard.examples.append(example)
        for known, want in zip(shard.known, wanted, strict=True):
            known.update({} if want else {row.id: row})
        if len(shard.examples) >= size or shard.n_bytes >= MOST_BYTES:
            yield shard
            shard = ExampleShard([{} for _ in progress])
    if shard.examples:
        yield shard


def _read(progress: Sequence[JobProgress], task: Task) -> tuple[Example, Row, list[bool]] | str:
    """An image with its row, and which jobs want it; a text where it cannot be read."""
    try:
        example = task()
    except (ImageError, OSError) as error:
        return str(error)
    row = Row.of(example)
    return example, row, [each.error is None and each.known.get(row.id) != row for each in progress]


def _keep(progress: JobProgress, answer: ShardScores | Exception) -> ShardScores | None:
    """What a worker says of a job; None where the job has ended."""
    if progress.error is not None:
        return None
    with progress.attempt():
        if isinstance(answer, Exception):
            raise answer
        for rows, scores in answer.batches:
            progress.keep(rows, scores)
        return answer
    return None
