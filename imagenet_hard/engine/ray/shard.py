"""A shard of images through the classifiers of a worker: what the engine does, without a store."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import ClassifierError, ImageNetHardError
from imagenet_hard.base.types import Example
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.batches import Batches
from imagenet_hard.engine.job import Build
from imagenet_hard.engine.prepare import KNOWN, Prepared, in_turns, preparer
from imagenet_hard.engine.run import peak_memory
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.engine.store import Row
from imagenet_hard.engine.topk import Top5

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier


@dataclass
class ExampleShard:
    """Images, and for each job the rows among them that it has already."""

    examples: list[Example]
    known: list[dict[str, Row]]

    @property
    def n_bytes(self) -> int:
        """Of the images."""
        return sum(len(example.image) for example in self.examples)

    def __str__(self) -> str:
        return f"{len(self.examples)} images, {self.examples[0].id!r} to {self.examples[-1].id!r}"


@dataclass(frozen=True)
class ShardScores:
    """Of one job: its batches, and how it runs."""

    batches: list[tuple[Sequence[Row], Top5]]
    batch_size: int
    optimizations: tuple[str, ...]


@dataclass(frozen=True)
class Scores:
    """What came of a shard. ``jobs``: for each its scores, or what ended it."""

    jobs: list[ShardScores | Exception]
    failures: list[str]
    peak_memory_bytes: int | None


class ScoreTask:
    """Classifiers under their settings; sent to the workers with the weights, which lie on the CPU."""

    def __init__(self, jobs: Sequence[tuple[Classifier, RunSettings, Build]], *, exif: bool) -> None:
        for classifier, _, _ in jobs:
            classifier.module.cpu()
        self._jobs, self._exif = list(jobs), exif

    def begin(self, device: str, threads: int) -> Scoring:
        """See ``Task``."""
        jobs = [(c, replace(s, device=device, workers=threads), build) for c, s, build in self._jobs]
        return Scoring(jobs, exif=self._exif)


class _Part:
    """One job on this worker. Its first error is what it answers from then on."""

    def __init__(self, classifier: Classifier, settings: RunSettings, build: Build) -> None:
        self._name = classifier.spec.name
        # No lambda holds on to self: a worker must get rid of a model before it takes the next.
        kept: list[tuple[Sequence[Row], Top5]] = []
        self._kept = kept
        device = resolve_device(settings.device)
        self.batches = Batches(
            partial(build, classifier, settings, device),
            lambda row, pixels: pixels is not KNOWN,
            lambda rows, scores: kept.append((rows, scores)),
        )

    def answer(self) -> ShardScores | Exception:
        """What came of the shard."""
        self.batches.flush()
        kept = self._kept.copy()
        self._kept.clear()
        if self.batches.error is not None:
            return _portable(self.batches.error, self._name)
        predictor = self.batches.predictor
        return ShardScores(kept, predictor.batch_size, tuple(predictor.optimizations))


class Scoring:
    """A ``ScoreTask`` at work. On an accelerator one shard is decoded while another is computed."""

    def __init__(self, jobs: Sequence[tuple[Classifier, RunSettings, Build]], *, exif: bool) -> None:
        self._exit = ExitStack()
        self._exit.enter_context(keep_activations())  # for the life of the worker
        self._exif, self._lock = exif, Lock()
        self._parts = [_Part(*job) for job in jobs]
        self._running = [part.batches for part in self._parts if part.batches.error is None]
        settings = jobs[0][1]
        self._device = resolve_device(settings.device)
        self._pool = ThreadPoolExecutor(settings.decode_workers(), "decode")

    def __call__(self, shard: ExampleShard) -> Scores:
        predictors = [each.predictor for each in self._running]
        known = [k for part, k in zip(self._parts, shard.known, strict=True) if part.batches in self._running]
        prepare = preparer(predictors, known, exif=self._exif)
        tasks = [partial(_itself, example) for example in shard.examples]
        ahead = min((n for each in predictors if (n := each.ahead) is not None), default=None)
        if self._device.type == "cpu" or ahead is not None:
            with self._lock:
                return self._scores(in_turns(self._pool, prepare, iter(tasks), ahead))
        ready = list(self._pool.map(prepare, tasks))
        with self._lock:
            return self._scores(ready)

    def _scores(self, items: Iterable[Prepared | str]) -> Scores:
        failures = []
        for item in items:
            if isinstance(item, str):
                failures.append(item)
                continue
            for each, pixels in zip(self._running, item.pixels, strict=True):
                each.take(item.row, pixels)
        answers = [part.answer() for part in self._parts]
        return Scores(answers, failures, peak_memory(self._device))


def _itself(example: Example) -> Example:
    return example


def _portable(error: Exception, name: str) -> Exception:
    """As an error of ours, which any process can read back."""
    if isinstance(error, ImageNetHardError):
        return type(error)(str(error))
    return ClassifierError(f"{name} failed: {''.join(traceback.format_exception(error))}")
