"""Scoring on a Ray cluster: images go out in shards, predictions come back into the same stores.

This process reads each image's bytes, so the workers need neither the data set nor a token; it also keeps
the books, so that a run may be continued on another engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import (
    ClassifierError,
    ClusterError,
    ClusterLostError,
    ImageError,
    ResultError,
    UsageError,
)
from imagenet_hard.base.types import Example
from imagenet_hard.engine.job import Job, JobProgress, Outcome, RunReport
from imagenet_hard.engine.prepare import KNOWN, Task, overlapped
from imagenet_hard.engine.ray.shard import ExampleShard, ScoreTask, ShardScores
from imagenet_hard.engine.settings import resolve_device
from imagenet_hard.engine.store import Row

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.ray.pool import WorkerPool

LARGEST = {"cpu": 128, "cuda": 1024}
"""Images of a shard."""

MOST_BYTES = 64 << 20
"""Of a shard's images."""

ROUNDS = 4
"""Shards that each worker gets at the least, so that none waits long for the last one."""


@dataclass
class _Books:
    """A job's progress, the error that ended it, and what the workers last said of it."""

    job: Job
    progress: JobProgress
    batch_size: int
    error: Exception | None = None
    optimizations: tuple[str, ...] = ()


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
        workers = self.workers
        device = workers.capacity.device
        books = [
            _Books(job, JobProgress(job.store, job.on_progress), job.settings.first_batch_size(device))
            for job in jobs
        ]
        failures: list[str] = []
        task = ScoreTask([(job.classifier, job.settings, job.build) for job in jobs], exif=benchmark.exif)
        peak: int | None = None
        with ThreadPoolExecutor(8, "read") as pool:
            try:
                shards = self._shards(pool, benchmark, books, failures)
                for _, scores in workers.map(task, shards):
                    failures += scores.failures
                    peak = max(peak or 0, scores.peak_memory_bytes or 0) or None
                    for each, part in zip(books, scores.jobs, strict=True):
                        _keep(each, part)
                    if all(each.error is not None for each in books):
                        break
            except ClusterLostError:
                raise
            except (ClusterError, ClassifierError) as error:  # of these jobs; others may get on
                for each in books:
                    each.error = each.error or error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        seconds = (time.perf_counter() - start) / len(jobs)
        return [self._outcome(each, benchmark.name, failures, seconds, peak) for each in books]

    def _shards(
        self, pool: ThreadPoolExecutor, benchmark: Benchmark, books: Sequence[_Books], failures: list[str]
    ) -> Iterator[ExampleShard]:
        """The images that some job wants, as they are read."""
        size = self._size(benchmark, max(each.batch_size for each in books))
        shard = ExampleShard([], [{} for _ in books])
        read = partial(_read, books)
        for found in overlapped(pool, read, benchmark.tasks(), 2 * size):
            if isinstance(found, str):
                failures.append(found)
                continue
            example, row, wanted = found
            for each, want in zip(books, wanted, strict=True):
                _enter(each, row, None if want else KNOWN)
            if not any(wanted):
                continue
            shard.examples.append(example)
            for known, want in zip(shard.known, wanted, strict=True):
                known.update({} if want else {row.id: row})
            if len(shard.examples) >= size or shard.n_bytes >= MOST_BYTES:
                yield shard
                shard = ExampleShard([], [{} for _ in books])
        if shard.examples:
            yield shard

    def _size(self, benchmark: Benchmark, batch_size: int) -> int:
        """Whole batches: the last one of each shard is filled up otherwise."""
        largest = LARGEST[self.workers.capacity.device]
        try:
            n = len(benchmark)
        except TypeError:  # a stream of unknown length
            n = largest * ROUNDS * self.workers.n
        wanted = min(largest, -(-n // (ROUNDS * self.workers.n)))
        return max(1, -(-wanted // batch_size)) * batch_size

    def _outcome(
        self, books: _Books, name: str, failures: Sequence[str], seconds: float, peak: int | None
    ) -> Outcome:
        if books.error is not None:
            return books.error
        workers = self.workers
        devices = sorted(workers.devices.items())
        report = RunReport(
            seconds=seconds,
            n_scored=books.progress.n_scored,
            n_resumed=books.progress.n_resumed,
            device="Ray: " + ", ".join(f"{n} x {device}" for device, n in devices),
            batch_size=books.batch_size,
            workers=workers.n * workers.capacity.cpus,
            peak_memory_bytes=peak,
            optimizations=books.optimizations,
        )
        return books.progress.outcome(name, failures, report)


def _enter(books: _Books, row: Row, pixels: object) -> None:
    if books.error is None:
        try:
            books.progress.wants(row, pixels)
        except ResultError as error:
            books.error = error


def _keep(books: _Books, part: ShardScores | Exception) -> None:
    if books.error is not None:
        return
    if isinstance(part, Exception):
        books.error = part
        return
    books.batch_size, books.optimizations = part.batch_size, part.optimizations
    try:
        for rows, scores in part.batches:
            books.progress.keep(rows, scores)
    except Exception as error:
        books.error = error


def _read(books: Sequence[_Books], task: Task) -> tuple[Example, Row, list[bool]] | str:
    """An image with its row, and which jobs want it; a text where it cannot be read."""
    try:
        example = task()
    except (ImageError, OSError) as error:
        return str(error)
    row = Row.of(example)
    return example, row, [each.error is None and each.progress.known.get(row.id) != row for each in books]
