"""An SQLite file that survives ``kill -9``: transactions, one writer, and errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagenet_hard.errors import ResultError


class Database:
    """``path`` opened under ``schema``; None keeps everything in memory.

    ``exclusive``: a second run on the same file stops instead of interleaving. ``what`` and
    ``option`` (the one that chooses another place) are for messages.

    Raises:
        ResultError: where the file cannot be used: read-only, full, damaged, or in use.
    """

    def __init__(
        self, path: Path | None, schema: str, *, what: str, option: str, exclusive: bool = True
    ) -> None:
        self.path, self._what, self._option = path, what, option
        with self.explained():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path or ":memory:", timeout=1, isolation_level=None)
            if exclusive:
                self.connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
            self.connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing."""
        with self.explained():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                if self.connection.in_transaction:  # a full disk has rolled back on its own
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What SQLite and the system say, as a ResultError with advice."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ResultError(
                f"cannot {self._what} {self.path}: {error}. {self._advice(str(error))}"
            ) from error

    def delete(self) -> None:
        """Close and remove the file."""
        self.connection.close()
        if self.path is not None:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _advice(self, message: str) -> str:
        if "full" in message or "No space" in message:
            return "Free some space and run the same command again: it goes on from what was scored."
        if "locked" in message:
            return f"Another run is writing there: wait for it, or give this one another {self._option}."
        if "malformed" in message or "not a database" in message:
            return "The file is damaged: delete it, and the images in it are scored again."
        return f"Check that the folder exists and may be written, or give another {self._option}."
