"""The books of one job: which rows its store holds, which are out of date, what this run has added."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imagenet_hard.base.errors import ImageError, ResultError
from imagenet_hard.engine.job import Outcome, RunReport
from imagenet_hard.engine.prepare import KNOWN
from imagenet_hard.engine.store import Row, Store
from imagenet_hard.engine.topk import Top5

SHOWN = 20


class Ledger:
    """``known``: id -> row, as the store had them at the start.

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
        more = f"\n  and {len(failures) - SHOWN} more" if failures[SHOWN:] else ""
        return ImageError(
            f"{len(failures)} of {n + len(failures)} images of {name} cannot be scored, so there is no "
            "result:\n  "
            + "\n  ".join(failures[:SHOWN])
            + f"{more}\nThe other {n} are kept: mend or remove these and run the same command again."
        )
