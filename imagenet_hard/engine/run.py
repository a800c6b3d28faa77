"""One pass over images, here or on a worker of a cluster: each is decoded once, for all classifiers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Predictor, not_finite
from imagenet_hard.engine.job import Build, Job, JobProgress, Outcome, RunReport, outcome
from imagenet_hard.engine.memory import peak_memory
from imagenet_hard.engine.prepare import AHEAD, CHUNK, Task, in_turns, overlapped, preparer
from imagenet_hard.engine.settings import RunSettings, device_name, resolve_device
from imagenet_hard.engine.store import Row
from imagenet_hard.engine.topk import Pending

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark


def score_together(jobs: Sequence[Job], benchmark: Benchmark) -> list[Outcome]:
    """Score every example that a job's store doesn't hold yet, decoding each image once for all jobs.

    A stored row counts if its image's bytes and labels are still the same; reading and hashing an
    image takes a hundredth of scoring it. The outcome of a job is an exception where it failed:

    - ImageError: images cannot be decoded; all others are scored and kept, each bad one is named, and a
      run after they are mended scores only these.
    - ClassifierError: logits of a wrong shape or that are not finite, or memory that ran out.
    - ResultError: the store cannot be written.

    Raises:
        DatasetError: the benchmark cannot be read.
    """
    start = time.perf_counter()
    progress = [JobProgress(job.store, job.on_progress) for job in jobs]
    with Pass([(job.classifier, job.settings, job.build) for job in jobs], exif=benchmark.exif) as one:
        failures = one.run(benchmark.tasks(), progress)
    rest = time.perf_counter() - start - sum(each.seconds for each in progress)
    shared = rest / max(1, sum(not isinstance(each, Exception) for each in one.predictors))
    return [
        outcome(job, each, benchmark.name, failures, partial(_report, job, each, predictor, shared))
        for job, each, predictor in zip(jobs, progress, one.predictors, strict=True)
    ]


def _report(job: Job, progress: JobProgress, predictor: Predictor | Exception, shared: float) -> RunReport:
    """``shared``: seconds that are to be added to the job's own."""
    assert not isinstance(predictor, Exception)
    return RunReport(
        seconds=progress.seconds + shared,
        n_scored=progress.n_scored,
        n_resumed=progress.n_resumed,
        device=device_name(predictor.device),
        batch_size=predictor.batch_size,
        workers=job.settings.decode_workers(),
        peak_memory_bytes=peak_memory(predictor.device),
        optimizations=tuple(predictor.optimizations),
    )


class Pass:
    """Classifiers made ready in one process, for one run over a benchmark or for many shards of it.

    They share device and decode threads, as the first one's settings give them. Runs may begin in several
    threads: images of one are decoded while another is computed. ``predictors``: one each, or what was raised
    as it was built. Use as a context manager, or drop it when it is done.
    """

    def __init__(self, jobs: Sequence[tuple[Classifier, RunSettings, Build]], *, exif: bool) -> None:
        settings = jobs[0][1]
        self.device, self._exif, self._turn = resolve_device(settings.device), exif, Lock()
        self.predictors = [_built(*job, self.device) for job in jobs]
        self._exit = ExitStack()
        self._exit.enter_context(keep_activations())
        self._pool = ThreadPoolExecutor(settings.decode_workers(), "decode")

    def run(self, tasks: Iterator[Task], progress: Sequence[JobProgress]) -> list[str]:
        """Score what each job wants; a failure ends a job, and is kept in its ``progress``.

        Returns for each image that cannot be scored why.
        """
        running = []
        for predictor, each in zip(self.predictors, progress, strict=True):
            if isinstance(predictor, Exception):
                each.error = predictor
            else:
                running.append(Batches(predictor, each))
        predictors = [each.predictor for each in running]
        prepare = preparer(predictors, [each.progress.known for each in running], exif=self._exif)
        ahead = min((n for each in predictors if (n := each.ahead) is not None), default=None)
        feed = in_turns
        if self.device.type != "cpu":  # what is prepared ahead lies in memory for each of the jobs
            feed, ahead = overlapped, ahead or max(2 * CHUNK, AHEAD // len(progress))
        failures = []
        items = feed(self._pool, prepare, tasks, ahead)
        with self._turn:
            for item in items:
                if isinstance(item, str):
                    failures.append(item)
                    continue
                for batches, pixels in zip(running, item.pixels, strict=True):
                    batches.take(item.row, pixels)
                if all(batches.progress.error is not None for batches in running):
                    break
            for batches in running:
                batches.flush()
        return failures

    def __enter__(self) -> Pass:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._exit.close()


def _built(
    classifier: Classifier, settings: RunSettings, build: Build, device: torch.device
) -> Predictor | Exception:
    try:
        return build(classifier, settings, device)
    except Exception as error:
        return error


class Batches:
    """One job of a pass: batches of pixels through ``predictor``. Its first exception ends it alone.

    On an accelerator a batch is kept while the next one computes, so that neither waits for the other.
    """

    def __init__(self, predictor: Predictor, progress: JobProgress) -> None:
        self.predictor, self.progress = predictor, progress
        self._batch: list[tuple[Row, Any]] = []
        self._under_way: tuple[list[Row], Pending] | None = None

    def take(self, row: Row, pixels: Any) -> None:
        """One more image, or what its transform raised; runs a batch when it is full."""
        if self.progress.error is not None:
            return
        with self.progress.attempt():
            if self.progress.wants(row, pixels):
                if isinstance(pixels, Exception):
                    raise pixels
                self._batch.append((row, pixels))
                if len(self._batch) >= self.predictor.images:
                    self._run()
        if self.progress.error is not None:
            self._batch, self._under_way = [], None

    def flush(self) -> None:
        """Run and keep what is left."""
        with self.progress.attempt():
            while self._batch and self.progress.error is None:
                self._run()
            self._finish()

    def _run(self) -> None:
        start = time.perf_counter()
        part = self._batch[: self.predictor.images]
        pending = self._launch([pixels for _, pixels in part], [row.id for row, _ in part])
        if pending is None:
            self._shrink()
        else:
            self._finish()
            self._under_way = [row for row, _ in part], pending
            del self._batch[: len(part)]
            if self.predictor.device.type == "cpu":
                self._finish()
        self.progress.seconds += time.perf_counter() - start

    def _launch(self, pixels: list[Any], ids: list[str]) -> Pending | None:
        """None where memory ran out."""
        import torch

        try:
            return Pending(self.predictor.launch(pixels, ids))
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)
            return None

    def _shrink(self) -> None:
        """A smaller batch, with what is under way out of the way."""
        import torch

        self._finish()
        device, size = self.predictor.device, self.predictor.batch_size
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if not self.predictor.shrink():
            raise ClassifierError(
                f"out of memory on {device} at batch size {size}: give a smaller --batch-size, or "
                "--precision bf16"
            )

    def _finish(self) -> None:
        if self._under_way is not None:
            (rows, pending), self._under_way = self._under_way, None
            scores, finite = pending.wait()
            if not finite.all():
                raise not_finite(self.predictor, [rows[i].id for i in (~finite).nonzero()[0]])
            self.progress.keep(rows, scores)
