"""A job: what the engine is given for each classifier, how far it is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import ImageError, ResultError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import Scored
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Row, Store
from imagenet_hard.engine.topk import Top5

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.forward import Predictor

SHOWN = 20
"""Images that cannot be scored, by name."""

Build = Callable[["Classifier", RunSettings, "torch.device"], "Predictor"]
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


class JobProgress:
    """Which rows its store holds, which are out of date, what this run has added.

    ``known``: id -> row, as the store had them at the start.

    Raises:
        ResultError: here and in every method, where the store cannot be read or written.
    """

    def __init__(self, store: Store, on_progress: Callable[[int], None]) -> None:
        self._store, self._on_progress = store, on_progress
        self.known = store.rows()
        self._stale = set(self.known)
        self.n_scored = self.n_resumed = 0

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

    def outcome(self, name: str, failures: Sequence[str], report: RunReport) -> Outcome:
        """How the job has ended on the benchmark ``name``: all scores with ``report``, or an exception.

        ``failures``: images that could not be scored, and why.
        """
        try:
            self._store.remove(self._stale)  # of images that are not in the benchmark any more
            if failures:
                return self._failed(name, failures)
            return self._store.read(), report
        except ResultError as error:
            return error

    def _failed(self, name: str, failures: Sequence[str]) -> ImageError:
        n = self.n_scored + self.n_resumed
        told = shorten_list(failures, SHOWN, between="\n  ")
        return ImageError(
            f"{len(failures)} of {n + len(failures)} images of {name} cannot be scored, so there is no "
            f"result:\n  {told}\nThe other {n} are kept: mend or remove these and run the same command again."
        )
