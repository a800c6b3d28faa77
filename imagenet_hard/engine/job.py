"""A job: what the engine is given for each classifier, how far it is, and what comes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ImageError, ResultError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import Scored
from imagenet_hard.engine.forward import Forward, Predictor
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Row, Store
from imagenet_hard.engine.topk import Top5

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier

SHOWN = 20
"""Images that cannot be scored, by name."""

Build = Callable[["Classifier", RunSettings, "torch.device"], Predictor]
"""A classifier made ready on a device; can be pickled, so that a worker elsewhere makes its own."""


@dataclass(frozen=True)
class Job:
    """Score ``classifier`` under ``settings`` into ``store``; ``on_progress`` is told of each batch's size.

    ``build``: by default one forward pass of the classifier's own view. Jobs of one pass share device and
    workers, as the first one's settings give them.
    """

    classifier: Classifier
    settings: RunSettings
    store: Store
    on_progress: Callable[[int], None] = lambda n: None
    build: Build = Forward


@dataclass(frozen=True)
class RunReport:
    """How a job went. ``seconds`` is wall time; of a pass that several jobs share, the own part of it and an
    equal share of what was done for all. ``workers``: decode threads, of all processes."""

    seconds: float
    n_scored: int
    n_resumed: int
    device: str
    batch_size: int
    workers: int
    peak_memory_bytes: int | None
    optimizations: tuple[str, ...]


Outcome = tuple[Scored, RunReport] | Exception
"""What a job ends with. One that fails does not end the others of its pass."""


class RowStore(Protocol):
    """Where a job's rows go: a ``Store``, or what stands for it on a worker of a cluster."""

    def rows(self) -> Mapping[str, Row]: ...

    def remove(self, ids: Iterable[str]) -> None: ...

    def add(
        self,
        rows: Sequence[Row],
        top5: NDArray[np.int16],
        logprob5: NDArray[np.float32],
        margin: NDArray[np.float32],
    ) -> None: ...


class JobProgress:
    """How far a job is: which rows its store had, which are out of date, what this run has added.

    ``known``: id -> row, as the store had them at the start. ``error``: what ended the job, None while all is
    well. ``seconds``: spent on its batches so far.

    Raises:
        ResultError: here and in every method, where the store cannot be read or written.
    """

    def __init__(self, store: RowStore, on_progress: Callable[[int], None] = lambda n: None) -> None:
        self._store, self._on_progress = store, on_progress
        self.known = store.rows()
        self._stale = set(self.known)
        self.n_scored = self.n_resumed = 0
        self.seconds = 0.0
        self.error: Exception | None = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """An exception inside ends this job alone, and lets go of what its frames hold: a batch's
        activations may be most of the memory."""
        try:
            yield
        except Exception as error:
            self.error = self.error or error
            cause: BaseException | None = error
            while cause is not None:
                traceback.clear_frames(cause.__traceback__)
                cause = cause.__cause__ or cause.__context__

    def wants(self, row: Row, pixels: object) -> bool:
        """Whether an image that has been read is to be scored; if its row is out of date, that goes first."""
        if pixels is KNOWN:
            self._stale.discard(row.id)
            self.n_resumed += 1
            return False
        if row.id in self._stale:  # the image was replaced since
            self._store.remove([row.id])
            self._stale.discard(row.id)
        return True

    def keep(self, rows: Sequence[Row], scores: Top5) -> None:
        """A batch into the store."""
        self._store.add(rows, *scores)
        self.n_scored += len(rows)
        self._on_progress(len(rows))

    def finish(self, name: str, failures: Sequence[str]) -> None:
        """Every image of the benchmark ``name`` has been seen.

        Raises:
            ImageError: ``failures``, images that could not be scored, and why.
        """
        self._store.remove(self._stale)  # of images that are not in the benchmark any more
        if failures:
            n = self.n_scored + self.n_resumed
            listed = shorten_list(failures, SHOWN, between="\n  ")
            raise ImageError(
                f"{len(failures)} of {n + len(failures)} images of {name} cannot be scored, so there is no "
                f"result:\n  {listed}\nThe other {n} are kept: repair or remove these and run the same "
                "command again."
            )


def outcome(
    job: Job, progress: JobProgress, name: str, failures: Sequence[str], report: Callable[[], RunReport]
) -> Outcome:
    """How a job has ended on the benchmark ``name``; ``report`` is asked for where it has not failed."""
    if progress.error is None:
        try:
            progress.finish(name, failures)
            return job.store.read(), report()
        except (ImageError, ResultError) as error:
            return error
    return progress.error
