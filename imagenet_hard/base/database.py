"""An SQLite file that survives ``kill -9``: transactions, one writer, and errors that say what to do."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagenet_hard.base.errors import ResultError


class Database:
    """``path`` opened under ``schema``; None keeps everything in memory.

    ``exclusive``: a second run on the same file stops instead of interleaving. Without it a file is only
    read, and may lie on a read-only disk. ``what`` and ``option`` (the one that chooses another place)
    are for messages.

    Raises:
        ResultError: where the file cannot be used: full, damaged, in use, or read-only where it is written.
    """

    def __init__(
        self, path: Path | None, schema: str, *, what: str, option: str, exclusive: bool = True
    ) -> None:
        self.path, self._what, self._option = path, what, option
        with self.explained():
            if path is not None and not exclusive:
                self.connection = self._closed_in_the_end(_reader(path))
                return
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = self._closed_in_the_end(_connect(path or ":memory:"))
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

    def _closed_in_the_end(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """``connection``, closed with this object at the latest, also where opening fails halfway."""
        weakref.finalize(self, connection.close)
        return connection

    def _advice(self, message: str) -> str:
        if "full" in message or "No space" in message:
            return "Free some space and run the same command again: it goes on from what was scored."
        if "locked" in message:
            return f"Another run is writing there: wait for it, or give this one another {self._option}."
        if self.path is not None and _is_read_only(message) and _log(self.path).exists():
            return (
                f"Its last writes are in {_log(self.path)}, which SQLite can read only where it may write: "
                "copy the folder to such a place."
            )
        if "malformed" in message or "not a database" in message or "no such table" in message:
            return "The file is damaged: delete it, and the images in it are scored again."
        return f"Check that the folder exists and may be written, or give another {self._option}."


def _connect(database: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    """A connection that any thread may close: whichever drops the last reference does."""
    return sqlite3.connect(database, timeout=1, isolation_level=None, check_same_thread=False, uri=uri)


def _reader(path: Path) -> sqlite3.Connection:
    """A connection that reads; on a read-only disk SQLite has to be told that nobody can be writing."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = _connect(uri, uri=True)
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        connection.close()
        unwritten = _log(path).exists() and _log(path).stat().st_size > 0
        if not _is_read_only(str(error)) or unwritten:
            raise
        connection = _connect(f"{uri}&immutable=1", uri=True)
    return connection


def _is_read_only(message: str) -> bool:
    """Whether SQLite says that it may not write what it writes even to read."""
    return any(each in message for each in ("unable to open", "readonly", "disk I/O"))


def _log(path: Path) -> Path:
    """SQLite's file of what is not in the database yet; empty or gone after a clean end."""
    return path.with_name(f"{path.name}-wal")
