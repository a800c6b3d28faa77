"""What has been scored so far, on disk as it happens: one SQLite file a run.

Each ``add`` is one transaction, so a run that is killed at any point loses at most the images in
flight, and the next run with the same key goes on from there. Whether a stored row still belongs to
an image is decided by the image's bytes and labels, not by file times: a folder in which one broken
file was mended keeps all its other rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.database import Database
from imagenet_hard.base.types import Example, Predictions, Scored

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS scored (
    id TEXT PRIMARY KEY, labels TEXT NOT NULL, origin TEXT NOT NULL, image_sha256 TEXT NOT NULL,
    top5 BLOB NOT NULL, logprob5 BLOB NOT NULL, margin BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Row:
    """An example that has been read: all but its bytes."""

    id: str
    labels: tuple[int, ...]
    origin: str
    image_sha256: str

    @staticmethod
    def of(example: Example) -> Row:
        """Of an example as it is now; hashes its bytes."""
        digest = hashlib.sha256(example.image).hexdigest()
        return Row(example.id, example.labels, example.origin, digest)


class Store:
    """Scored rows under one ``key``, the hash of everything but the image that determines a row.

    A file left by a run with another key is started afresh: its rows would not belong together.
    ``path`` None keeps the rows in memory. ``dropped``: rows of another key that were there. Use as a context
    manager.

    Raises:
        ResultError: where the file cannot be written: read-only, full, damaged, or in use.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self._database = Database(path, SCHEMA, what="write the scored images to", option="--out")
        self._db, self._closed = self._database.connection, False
        with self._database.transaction():
            keys = {k for (k,) in self._db.execute("SELECT key FROM run")}
            self.dropped = 0
            if keys != {key}:
                self.dropped = self._db.execute("DELETE FROM scored").rowcount
                self._db.execute("DELETE FROM run")
                self._db.execute("INSERT INTO run VALUES (?)", (key,))

    def rows(self) -> dict[str, Row]:
        """Id -> the example as it was when it was scored."""
        with self._database.explained():
            found = self._db.execute("SELECT id, labels, origin, image_sha256 FROM scored").fetchall()
        return {id: Row(id, tuple(json.loads(labels)), origin, sha) for id, labels, origin, sha in found}

    def remove(self, ids: Iterable[str]) -> None:
        """Forget rows whose images have changed or are gone."""
        with self._database.transaction():
            self._db.executemany("DELETE FROM scored WHERE id = ?", [(id,) for id in ids])

    def add(
        self,
        rows: Sequence[Row],
        top5: NDArray[np.int16],
        logprob5: NDArray[np.float32],
        margin: NDArray[np.float32],
    ) -> None:
        """Keep one batch, all of it or nothing; row ``i`` of each array belongs to ``rows[i]``."""
        records = [
            (r.id, json.dumps(r.labels), r.origin, r.image_sha256, t.tobytes(), p.tobytes(), m.tobytes())
            for r, t, p, m in zip(rows, top5, logprob5, margin, strict=True)
        ]
        with self._database.transaction():
            self._db.executemany("INSERT INTO scored VALUES (?, ?, ?, ?, ?, ?, ?)", records)

    def read(self) -> Scored:
        """Everything scored, sorted by id."""
        with self._database.explained():
            rows = self._db.execute("SELECT * FROM scored").fetchall()
        rows.sort(key=lambda row: row[0])
        columns = list(zip(*rows, strict=True)) or [()] * 7
        return Scored(
            predictions=Predictions(
                ids=tuple(columns[0]),
                top5=np.frombuffer(b"".join(columns[4]), np.int16).reshape(-1, 5),
                logprob5=np.frombuffer(b"".join(columns[5]), np.float32).reshape(-1, 5),
                margin=np.frombuffer(b"".join(columns[6]), np.float32),
            ),
            labels=tuple(tuple(json.loads(labels)) for labels in columns[1]),
            origins=tuple(columns[2]),
            image_sha256=tuple(columns[3]),
        )

    def clear(self) -> None:
        """Forget everything: the result has been written."""
        with self._database.transaction():
            self._db.execute("DELETE FROM scored")

    def close(self) -> None:
        """Keep what was scored for the next run; a file that holds nothing is removed. Once is enough."""
        if self._closed:
            return
        self._closed = True
        with self._database.explained():
            empty = self._db.execute("SELECT 1 FROM scored LIMIT 1").fetchone() is None
        if empty:
            self._database.delete()
        else:
            self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
