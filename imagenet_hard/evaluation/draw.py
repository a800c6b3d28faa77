"""Which images an estimate looks at: strata of difficulty, and a draw from them that anybody can repeat.

A table of difficulties belongs to one benchmark, by its fingerprint. With it and a seed the draw is fixed:
in each stratum the images come in the order of their ``sha256("SEED:ID")``, so that a smaller estimate of one
seed looks at images of every larger one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.runtime import content_dir
from imagenet_hard.base.types import SCHEMA_VERSION, Record, SchemaVersion, Sha256
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.subset import draw_key, selection_of
from imagenet_hard.evaluation.estimation import (
    STRATA,
    Floats,
    allocate,
    difficulty_of,
    strata_of,
)

KNOWN = "leaderboard/benchmarks"
"""Content folder; below it ``difficulty/<fingerprint>.json``, beside the gold."""

LEAST = 2 * STRATA
"""Images of an estimate: two of each stratum."""


class Difficulties(Record):
    """How many of the known models get each image of one benchmark right."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    benchmark: str = Field(description="its name")
    fingerprint: Sha256 = Field(description="of all its images")
    models: tuple[str, ...] = Field(min_length=1, description="the known models: BACKEND:NAME/TAG")
    ids: tuple[str, ...] = Field(min_length=1, description="sorted")
    difficulty: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        description="0: none of them gets the image right, 1: all do; weighted by their accuracy squared"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Difficulties:
        if len(self.ids) != len(self.difficulty):
            raise ValueError(f"{len(self.difficulty)} difficulties for {len(self.ids)} ids")
        if list(self.ids) != sorted(set(self.ids)):
            raise ValueError("ids: expected them sorted, each once")
        return self

    @property
    def sha256(self) -> str:
        """Hash of what a draw depends on: fingerprint, ids and difficulties."""
        parts = [self.fingerprint, list(self.ids), [f"{value:.4f}" for value in self.difficulty]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def difficulties(
    correct: NDArray[np.bool_], ids: Sequence[str], models: Sequence[str], *, benchmark: str, fingerprint: str
) -> Difficulties:
    """The table of bool (models, n), who gets which image right; ids sorted."""
    shares = tuple(round(float(each), 4) for each in difficulty_of(correct))
    return Difficulties(
        benchmark=benchmark,
        fingerprint=fingerprint,
        models=tuple(models),
        ids=tuple(ids),
        difficulty=shares,
    )


def write_difficulties(path: Path, table: Difficulties) -> None:
    """Write it as JSON.

    Raises:
        ResultError: the disk refuses.
    """
    write_atomically(path, (table.model_dump_json() + "\n").encode())


def difficulties_for(benchmark: Benchmark, path: str | Path | None = None) -> Difficulties:
    """The table at ``path``, else the one that is known for this benchmark; reads and hashes every image.

    Raises:
        UsageError: none is known, or it is another benchmark's.
        ResultError: the file is no such table.
        DatasetError, ImageError: the benchmark cannot be read.
    """
    ids = tuple(sorted(benchmark.ids))
    if path is not None and (table := _read(Path(path))).ids != ids:
        raise UsageError(
            f"the difficulties in {path} are of {table.benchmark} ({len(table.ids):,} images, fingerprint "
            f"{table.fingerprint[:12]}...): {benchmark.name} has {len(benchmark):,} images, and other ids. "
            "Make a table of results on it: imagenet-hard difficulty RESULTS... --out FILE"
        )
    return known_difficulties(benchmark.name, benchmark.fingerprint(), path)


def known_difficulties(name: str, fingerprint: str, path: str | Path | None = None) -> Difficulties:
    """The table at ``path``, else the one that is known, for the benchmark ``name`` of this fingerprint.

    Raises:
        UsageError: none is known, or it is another benchmark's.
        ResultError: the file is no such table.
    """
    if path is None:
        known = content_dir(KNOWN) / "difficulty" / f"{fingerprint}.json"
        if not known.is_file():
            raise UsageError(
                f"no difficulties are known for {name} (fingerprint {fingerprint[:12]}...): give "
                "--difficulty FILE, which `imagenet-hard difficulty RESULTS... --out FILE` makes of the "
                "results that known models have on all of it"
            )
        path = known
    table = _read(Path(path))
    if table.fingerprint != fingerprint:
        raise UsageError(
            f"the difficulties in {path} are for the fingerprint {table.fingerprint[:12]}... "
            f"({table.benchmark}): {name} has {fingerprint[:12]}..., other images or labels. Make a table of "
            "results on it: imagenet-hard difficulty RESULTS... --out FILE"
        )
    return table


def _read(path: Path) -> Difficulties:
    try:
        return read_record(path, Difficulties)
    except ResultError as error:
        made = ": expected a table that `imagenet-hard difficulty RESULTS... --out FILE` made"
        raise ResultError(f"{error}{made}") from error


@dataclass(frozen=True)
class Draw:
    """``order``: of each stratum the ids that are drawn, in the order of the draw; ``sizes``: int (H,), all
    images of each; ``guess``: float64 (H,), their mean difficulty; ``until``: half-width in points."""

    fingerprint: str
    seed: int
    table_sha256: str
    order: tuple[tuple[str, ...], ...]
    sizes: NDArray[np.int64]
    guess: Floats
    until: float | None = None

    def first(self, drawn: Sequence[int]) -> Draw:
        """The first so many of each stratum."""
        kept = tuple(ids[: int(n)] for ids, n in zip(self.order, drawn, strict=True))
        return replace(self, order=kept)

    def even(self) -> Draw:
        """With nothing expected of any stratum."""
        return replace(self, guess=np.full(len(self.sizes), 0.5))

    @property
    def drawn(self) -> NDArray[np.int64]:
        """int (H,)"""
        return np.array([len(ids) for ids in self.order])


def whole_draw(table: Difficulties, seed: int = 0, until: float | None = None) -> Draw:
    """All images of each stratum, in the order in which they would be drawn."""
    shares = np.array(table.difficulty)
    # A hash of their own parts images of one difficulty: the draw's would bring its order into the strata.
    place = strata_of(shares, [hashlib.sha256(id.encode()).hexdigest() for id in table.ids])
    keys = {id: draw_key(seed, id) for id in table.ids}
    strata = [[table.ids[row] for row in np.flatnonzero(place == h)] for h in range(STRATA)]
    order = [tuple(sorted(ids, key=keys.__getitem__)) for ids in strata]
    sizes = np.bincount(place, minlength=STRATA)
    guess = np.bincount(place, weights=shares) / sizes
    return Draw(table.fingerprint, seed, table.sha256, tuple(order), sizes, guess, until)


class DrawnBenchmark(Benchmark):
    """The images of a draw, in the benchmark's order; ``draw`` says how to weigh them."""

    def __init__(self, whole: Benchmark, draw: Draw) -> None:
        wanted = {id for ids in draw.order for id in ids}
        rows = [row for row, id in enumerate(whole.ids) if id in wanted]
        more = {"seed": draw.seed, "difficulty_sha256": draw.table_sha256, "until": draw.until}
        super().__init__(
            whole.about,
            [whole.ids[row] for row in rows],
            [whole.labels[row] for row in rows],
            [whole.origins[row] for row in rows],
            lambda i: whole._read(rows[i]),
            whole.limit,
            selection_of("estimate", whole, rows, **more),
        )
        self.whole, self.draw = whole, draw

    def first(self, rounds: int) -> DrawnBenchmark:
        """Only the first so many images of each stratum."""
        return DrawnBenchmark(self.whole, self.draw.first(np.minimum(self.draw.drawn, rounds).tolist()))


def draw_for_estimate(
    benchmark: Benchmark,
    n: int | None,
    seed: int = 0,
    *,
    until: float | None = None,
    difficulty: str | Path | None = None,
) -> DrawnBenchmark:
    """The images of an estimate from ``n``; with ``until``, all that may be needed (see ``first``).

    Raises:
        UsageError: too few images, or as many as there are; and as ``difficulties_for``.
        ResultError, DatasetError, ImageError: as ``difficulties_for``.
    """
    total = len(benchmark)
    if total <= LEAST:
        raise UsageError(f"{benchmark.name} has {total} images, too few for an estimate: score all of them")
    if n is not None and n < LEAST:
        raise UsageError(f"an estimate from {n} images: expected {LEAST} or more, two of each stratum")
    if n is not None and n >= total:
        raise UsageError(
            f"an estimate from {n:,} images: {benchmark.name} has {total:,}. Give a smaller number, or leave "
            "it out and score all of them"
        )
    if until is not None and not 0 < until < 50:
        raise UsageError(f"until {until:g}: expected a half-width in points, above 0 and below 50")
    if benchmark.part:
        raise UsageError(f"an estimate is of all images, and only {benchmark.part} is at hand")
    draw = whole_draw(difficulties_for(benchmark, difficulty), seed, until)
    return DrawnBenchmark(benchmark, draw if n is None else draw.first(allocate(n, draw.sizes).tolist()))
