"""Answers as they come, on disk before anything else is done with them: each was paid for.

One SQLite file for a model and how it is asked, beside its results. It outlives them: another part of the
benchmark, or another release's matcher, asks for no answer that is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from imagenet_hard.base.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, finish TEXT NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER, model TEXT NOT NULL, encoded_anew INTEGER NOT NULL,
    at REAL NOT NULL
) STRICT;
"""


class Answered(NamedTuple):
    """An answer to an image. ``question``: hash of all that was asked, the image among it; ``at``: when, in
    seconds since 1970."""

    id: str
    question: str
    answer: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None
    model: str
    encoded_anew: bool
    at: float


class AnswerStore:
    """The answers in a file, or in memory where ``path`` is None.

    Raises:
        ResultError: here and in every method, where the file cannot be read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, SCHEMA, what="write the answers to", option="--out")
        self._db = self._database.connection
        with self._database.explained():
            self._db.execute("PRAGMA synchronous=FULL")  # not even a power cut takes what was paid for

    def questions(self) -> dict[str, str]:
        """Id -> what was asked of it."""
        with self._database.explained():
            return dict(self._db.execute("SELECT id, question FROM answers"))

    def add(self, answers: Iterable[Answered]) -> None:
        """Keep them; one to an earlier question about its image is replaced."""
        with self._database.transaction():
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", answers)

    def read(self, ids: Iterable[str]) -> list[Answered]:
        """Those to these images, sorted by id."""
        wanted = set(ids)
        with self._database.explained():
            found = [Answered(*row) for row in self._db.execute("SELECT * FROM answers ORDER BY id")]
        return [each for each in found if each.id in wanted]

    def close(self) -> None:
        """Keep what is there; a file without any is removed."""
        with self._database.explained():
            empty = self._db.execute("SELECT 1 FROM answers LIMIT 1").fetchone() is None
        if empty:
            self._database.delete()
        else:
            self._db.close()
