"""The tables of a study as CSV: counts beside every share, zooms as scale, row and column.

The paper's own figures stand beside them (``data/published_study.csv``; percent).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.tables import package_csv, spreadsheet_csv
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.imagenet.zoom import ANCHORS, ZoomGrid
from imagenet_hard.study.cover import Cover
from imagenet_hard.study.figures import Figures
from imagenet_hard.study.matrix import Matrix

COVER = "cover.csv"
"""The cover of everything: a list of zooms that ``curate score --order`` and ``--tta-zooms`` take."""

Table = tuple[Sequence[str], Iterator[Sequence[object]]]

_RATE = ("n_correct", "n_total", "accuracy", "low", "high")
_COVER = ("rank", "scale", "row", "column", "gained", "solved", "n_solvable")


def write_tables(matrix: Matrix, figures: Figures, out: Path) -> list[Path]:
    """Write every table into ``out``; their paths.

    Raises:
        ResultError: the disk is full or read-only.
    """
    paths = []
    for name, (head, rows) in _tables(matrix, figures).items():
        write_atomically(out / name, spreadsheet_csv(head, rows).encode())
        paths.append(out / name)
    return paths


def _tables(matrix: Matrix, figures: Figures) -> dict[str, Table]:
    key = ("source", "classifier")
    return {
        "accuracy.csv": ((*key, "quantity", *_RATE, "published_percent"), _accuracy(matrix, figures)),
        "anchors.csv": ((*key, "row", "column", *_RATE), _anchors(figures)),
        "scales.csv": ((*key, "scale", "quantity", *_RATE), _scales(matrix, figures)),
        "groups.csv": ((*key, "group", "quantity", *_RATE), _groups(figures)),
        "covers.csv": ((*key, *_COVER), _covers(matrix.grid, figures)),
        COVER: (_COVER, _cover(matrix.grid, figures.together)),
    }


def _accuracy(matrix: Matrix, figures: Figures) -> Iterator[Sequence[object]]:
    variants = {each.source: each.variant for each in matrix.info.images}
    for pair in figures.pairs:
        theirs = published(matrix.info.classifiers[pair.classifier], variants[pair.source])
        for name, rate in (("one_crop", pair.accuracy.one_crop), ("best", pair.accuracy.best)):
            yield pair.source, pair.classifier, name, *_rate(rate), theirs.get(name, "")


def _anchors(figures: Figures) -> Iterator[Sequence[object]]:
    for pair in figures.pairs:
        for anchor, rate in zip(ANCHORS, pair.accuracy.anchors, strict=True):
            yield pair.source, pair.classifier, *anchor, *_rate(rate)


def _scales(matrix: Matrix, figures: Figures) -> Iterator[Sequence[object]]:
    for pair in figures.pairs:
        for name, rates in (("one_crop", pair.accuracy.scales), ("best_of_9", pair.accuracy.best_of_9)):
            for scale, rate in zip(matrix.info.scales, rates, strict=True):
                yield pair.source, pair.classifier, scale, name, *_rate(rate)


def _groups(figures: Figures) -> Iterator[Sequence[object]]:
    for pair in figures.pairs:
        for group in pair.accuracy.groups:
            yield pair.source, pair.classifier, group.name, "solved", *_rate(group.solved)
            yield pair.source, pair.classifier, group.name, "alone", *_rate(group.alone)


def _covers(grid: ZoomGrid, figures: Figures) -> Iterator[Sequence[object]]:
    for pair in figures.pairs:
        for row in _cover(grid, pair.cover):
            yield pair.source, pair.classifier, *row
    for classifier, cover in figures.covers.items():
        for row in _cover(grid, cover):
            yield "all", classifier, *row


def _cover(grid: ZoomGrid, cover: Cover) -> Iterator[Sequence[object]]:
    solved = 0
    for rank, (number, gained) in enumerate(zip(cover.zooms, cover.gained, strict=True), 1):
        zoom, solved = grid[number], solved + gained
        yield rank, zoom.scale, zoom.row, zoom.column, gained, solved, cover.n_solvable


def _rate(rate: Rate) -> tuple[object, ...]:
    return rate.n_correct, rate.n_total, *(f"{x:.6f}" for x in (rate.accuracy, rate.low, rate.high))


MEAN = "mean"
"""Stands for the paper's seven sets together."""


def published(model: ModelSpec, variant: str) -> Mapping[str, float]:
    """Quantity (``one_crop``, ``best``; of the mean, ``zoom-in`` and ``zoom-in alone``) -> percent.

    Empty where the paper has none for these weights on this set.
    """
    return _figures().get((model.backend, model.name, model.tag or "", variant), {})


@cache
def _figures() -> dict[tuple[str, str, str, str], dict[str, float]]:
    found: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for row in package_csv("imagenet_hard.study", "published_study.csv"):
        key = (row["backend"], row["model"], row["tag"], row["set"])
        found.setdefault(key, {})[row["quantity"]] = float(row["percent"])
    return found
