"""What the hardness filter has found out, on disk as it happens: one SQLite file a recipe.

Every batch is one transaction: a run that is killed at any point loses the batch in flight and
nothing else. While an image is undecided, and for good once it has turned out to be hard, each
classifier's deficit and prediction under every zoom tried is kept; of a solved image, by whom and how.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.database import Database
from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.curation.records import ScoreSummary, Survivor, View

FILE = "scores.sqlite"
"""Its name in a work folder."""

N_CLOSEST = 9
"""Views that a survivor is shown with."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, labels TEXT NOT NULL, sha256 TEXT NOT NULL,
    state TEXT NOT NULL, classifier TEXT, zoom INTEGER, error TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS views (
    image TEXT NOT NULL, classifier TEXT NOT NULL,
    deficit BLOB NOT NULL, predicted BLOB NOT NULL, screened BLOB NOT NULL,
    PRIMARY KEY (image, classifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
    classifier TEXT NOT NULL, zoom INTEGER NOT NULL, tried INTEGER NOT NULL, solved INTEGER NOT NULL,
    PRIMARY KEY (classifier, zoom)
) STRICT, WITHOUT ROWID;
"""

State = Literal["open", "solved", "hard", "failed"]


@dataclass
class Views:
    """One classifier on one image under each of ``n`` zooms.

    ``deficit``: float32 (n,), best wrong logit minus best right logit, below 0 where the prediction
    is right, NaN where the zoom has not been tried. ``predicted``: int16 (n,), class index or -1.
    ``screened``: bool (n,), deficits that a screening in bfloat16 gave, unconfirmed.
    """

    deficit: NDArray[np.float32]
    predicted: NDArray[np.int16]
    screened: NDArray[np.bool_]

    @staticmethod
    def empty(n: int) -> Views:
        return Views(np.full(n, np.nan, np.float32), np.full(n, -1, np.int16), np.zeros(n, np.bool_))

    @property
    def tried(self) -> NDArray[np.bool_]:
        """bool (n,)."""
        return ~np.isnan(self.deficit)


@dataclass
class ImageRecord:
    """Where one image stands. ``views``: classifier id -> what it saw, as far as that is kept."""

    id: str
    source: str
    labels: tuple[int, ...]
    sha256: str
    state: State = "open"
    classifier: str | None = None
    zoom: int | None = None
    error: str | None = None
    views: dict[str, Views] = field(default_factory=dict)


class CurationStore:
    """The file behind a scoring run. Use as a context manager; one run at a time writes.

    ``path`` None keeps everything in memory.

    Raises:
        ResultError: where the file is missing (with ``create=False``), damaged, in use or cannot be written.
    """

    def __init__(self, path: Path | None, *, create: bool = False) -> None:
        self.path = path
        if path is not None and not create and not path.is_file():
            raise ResultError(
                f"{path} does not exist: run `imagenet-hard curate score` with this --work first"
            )
        self._database = Database(path, SCHEMA, what="use the scores in", option="--work", exclusive=create)
        self._db = self._database.connection

    def fact(self, name: str) -> str | None:
        """A remembered text, such as the recipe's hash."""
        with self._database.explained():
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, **facts: str) -> None:
        """Keep texts by name, replacing earlier ones."""
        with self._database.transaction():
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    def images(self, *, source: str | None = None, state: State | None = None) -> Iterator[ImageRecord]:
        """The images that have been read, of one source or state if given, without views, sorted by id."""
        with self._database.explained():
            cursor = self._db.execute(
                "SELECT id, source, labels, sha256, state, classifier, zoom, error FROM images "
                "WHERE source = coalesce(?, source) AND state = coalesce(?, state) ORDER BY id",
                (source, state),
            )
            for id, source_id, labels, sha256, found, classifier, zoom, error in cursor:
                yield ImageRecord(
                    id, source_id, tuple(json.loads(labels)), sha256, found, classifier, zoom, error
                )

    def views(self, id: str) -> dict[str, Views]:
        """Classifier id -> its views of one image, as far as they are kept."""
        with self._database.explained():
            rows = self._db.execute(
                "SELECT classifier, deficit, predicted, screened FROM views WHERE image = ?", (id,)
            ).fetchall()
        return {
            classifier: Views(
                np.frombuffer(deficit, np.float32).copy(),
                np.frombuffer(predicted, np.int16).copy(),
                np.frombuffer(screened, np.bool_).copy(),
            )
            for classifier, deficit, predicted, screened in rows
        }

    def write(
        self,
        records: Iterable[ImageRecord],
        rates: Mapping[tuple[str, int], tuple[int, int]] | None = None,
        facts: Mapping[str, str] | None = None,
        *,
        keep_views: bool = False,
    ) -> None:
        """Keep where some images stand, how often zooms were tried and solved, and facts: all or nothing.

        The views of a solved image are dropped unless ``keep_views``.
        """
        with self._database.transaction():
            for record in records:
                self._db.execute(
                    "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        record.id,
                        record.source,
                        json.dumps(record.labels),
                        record.sha256,
                        record.state,
                        record.classifier,
                        record.zoom,
                        record.error,
                    ),
                )
                if record.state == "solved" and not keep_views:
                    self._db.execute("DELETE FROM views WHERE image = ?", (record.id,))
                    continue
                self._db.executemany(
                    "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)",
                    [
                        (record.id, name, v.deficit.tobytes(), v.predicted.tobytes(), v.screened.tobytes())
                        for name, v in record.views.items()
                    ],
                )
            self._db.executemany(
                "INSERT OR REPLACE INTO rates VALUES (?, ?, ?, ?)",
                [(name, zoom, *counts) for (name, zoom), counts in (rates or {}).items()],
            )
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list((facts or {}).items()))

    def hashes(self) -> dict[str, str]:
        """Image id -> sha256 of its bytes, of those that could be read."""
        with self._database.explained():
            return dict(self._db.execute("SELECT id, sha256 FROM images WHERE sha256 != ''").fetchall())

    def rates(self) -> dict[tuple[str, int], tuple[int, int]]:
        """(classifier id, zoom) -> how many images tried it, and how many it solved."""
        with self._database.explained():
            rows = self._db.execute("SELECT classifier, zoom, tried, solved FROM rates").fetchall()
        return {(name, zoom): (tried, solved) for name, zoom, tried, solved in rows}

    def survivors(self) -> list[Survivor]:
        """The hard images, sorted by id, each with its standard views and its closest ones."""
        standard = json.loads(self.fact("standard") or "{}")
        return [_survivor(record, self.views(record.id), standard) for record in self.images(state="hard")]

    def summary(self) -> ScoreSummary:
        """Numbers and provenance for the card and the manifest."""
        with self._database.explained():
            counts = self._db.execute("SELECT source, state, COUNT(*) FROM images GROUP BY 1, 2").fetchall()
            failures = dict(self._db.execute("SELECT id, error FROM images WHERE state = 'failed'"))
        sizes: dict[str, int] = json.loads(self.fact("sizes") or "{}")

        def of(*states: str) -> dict[str, int]:
            return {
                name: sum(n for source, state, n in counts if source == name and state in states)
                for name in sizes
            }

        seen = of("open", "solved", "hard", "failed")
        return ScoreSummary(
            recipe_sha256=self.fact("recipe_sha256") or "",
            classifiers={
                name: ModelSpec.model_validate(spec)
                for name, spec in json.loads(self.fact("classifiers") or "{}").items()
            },
            seen=seen,
            solved=of("solved"),
            hard=of("hard"),
            undecided=of("failed"),
            failures=failures,
            complete=bool(sizes) and seen == sizes and self.fact("finished") == "yes",
        )

    def copy_to(self, path: Path) -> None:
        """Write all of it to a new file, also what a killed run has left in SQLite's log."""
        with self._database.explained(), closing(sqlite3.connect(path)) as other:
            self._db.backup(other)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> CurationStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _survivor(record: ImageRecord, views: Mapping[str, Views], standard: Mapping[str, int]) -> Survivor:
    known = {name: views[name] for name in standard if name in views}
    every = [
        View(name, int(zoom), int(v.predicted[zoom]), float(v.deficit[zoom]))
        for name, v in known.items()
        for zoom in np.argsort(v.deficit, kind="stable")[:N_CLOSEST]
        if v.tried[zoom]
    ]
    return Survivor(
        record.id,
        record.source,
        record.labels,
        record.sha256,
        standard=tuple(
            View(name, standard[name], int(v.predicted[standard[name]]), float(v.deficit[standard[name]]))
            for name, v in known.items()
        ),
        closest=tuple(sorted(every, key=lambda view: view.deficit)[:N_CLOSEST]),
    )


def listing(ids: Sequence[str], labels: Sequence[tuple[int, ...]]) -> str:
    """sha256 over ids and labels in order: whether a source still lists the same images."""
    digest = hashlib.sha256()
    for row in zip(ids, labels, strict=True):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
