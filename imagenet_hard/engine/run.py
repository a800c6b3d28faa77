"""Run classifiers over a benchmark in this process: one pass over the images, however many classifiers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from imagenet_hard.base.types import Scored
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.batches import Batches
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.job import Build, Job, JobProgress, Outcome, RunReport
from imagenet_hard.engine.prepare import AHEAD, CHUNK, in_turns, overlapped, preparer
from imagenet_hard.engine.settings import RunSettings, device_name, resolve_device
from imagenet_hard.engine.store import Store

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark


def score(
    classifier: Classifier,
    benchmark: Benchmark,
    settings: RunSettings,
    store: Store,
    on_progress: Callable[[int], None] = lambda n: None,
    build: Build = Forward,
) -> tuple[Scored, RunReport]:
    """``score_together`` for one classifier: its outcome, or raises what went wrong."""
    (outcome,) = score_together([Job(classifier, settings, store, on_progress, build)], benchmark)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


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
    settings = jobs[0].settings
    device = resolve_device(settings.device)
    start = time.perf_counter()
    everyone = [_Running(job, device) for job in jobs]
    running = [each for each in everyone if each.batches.error is None]
    failures: list[str] = []
    predictors = [each.batches.predictor for each in running]
    prepare = preparer(predictors, [each.progress.known for each in running], exif=benchmark.exif)
    ahead = min((n for each in predictors if (n := each.ahead) is not None), default=None)
    feed = in_turns
    if device.type != "cpu":  # what is prepared ahead lies in memory for each of the jobs
        feed, ahead = overlapped, ahead or max(2 * CHUNK, AHEAD // len(jobs))
    with keep_activations(), ThreadPoolExecutor(settings.decode_workers(), "decode") as pool:
        try:
            for item in feed(pool, prepare, benchmark.tasks(), ahead):
                if isinstance(item, str):
                    failures.append(item)
                    continue
                for each, pixels in zip(running, item.pixels, strict=True):
                    each.batches.take(item.row, pixels)
                if all(each.batches.error is not None for each in running):
                    break
            for each in running:
                each.batches.flush()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    wall = time.perf_counter() - start
    shared = (wall - sum(each.batches.seconds for each in running)) / max(1, len(running))
    return [each.outcome(benchmark.name, failures, shared) for each in everyone]


class _Running:
    """A job at work, with its books."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, self.progress = job, JobProgress(job.store, job.on_progress)
        build = partial(job.build, job.classifier, job.settings, device)
        self.batches = Batches(build, self.progress.wants, self.progress.keep)

    def outcome(self, name: str, failures: Sequence[str], shared: float) -> Outcome:
        """``shared``: seconds that are to be added to its own."""
        if self.batches.error is not None:
            return self.batches.error
        predictor = self.batches.predictor
        report = RunReport(
            seconds=self.batches.seconds + shared,
            n_scored=self.progress.n_scored,
            n_resumed=self.progress.n_resumed,
            device=device_name(predictor.device),
            batch_size=predictor.batch_size,
            workers=self.job.settings.decode_workers(),
            peak_memory_bytes=peak_memory(predictor.device),
            optimizations=tuple(predictor.optimizations),
        )
        return self.progress.outcome(name, failures, report)


def peak_memory(device: torch.device) -> int | None:
    """Of the device for CUDA, else of the process (resident set), in bytes."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
