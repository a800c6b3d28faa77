"""The data of the explorer in pieces: what the first view needs, blocks of images, confusions of classes.

``images.js`` has a row an image, ``entries/ID.js`` what one entry says; both are of ``data_files.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.imagenet.originals import original_file
from imagenet_hard.imagenet.zoom import ANCHORS
from imagenet_hard.leaderboard.site.data import Board
from imagenet_hard.leaderboard.site.data_files import bits, numbers, script
from imagenet_hard.leaderboard.stats.alike import neighbours
from imagenet_hard.leaderboard.stats.confusions import confusions

ANSWERS = 32_768
"""Answers in a block of images: about 130 kB."""

MOST_IMAGES = 256
"""Images in a block."""

COMMONEST = 12
"""Confusions of a class in either direction."""


@dataclass(frozen=True)
class Zooms:
    """Which zooms solve which image, by a study. ``bits``: image id -> bool (classifiers, zooms).

    Zooms are ``scales`` x ``imagenet.zoom.ANCHORS``.
    """

    classifiers: tuple[str, ...]
    scales: tuple[int, ...]
    bits: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Extras:
    """What the explorer shows besides a board: ``zooms`` of a study; ``pictures``: where images are served by
    their number, "" where none may be shown. ``alone``: the site has the explorer alone.
    """

    zooms: Zooms | None = None
    pictures: str = ""
    alone: bool = False


NOTHING = Extras()


def explorer_data(board: Board, extras: Extras = NOTHING) -> Iterator[tuple[str, str]]:
    """(path, text) of every data file that is the explorer's own."""
    size, prefix = block_size(len(board.entries)), f"{board.slug}/explorer"
    yield _file(f"{prefix}/head", _head(board, extras, size))
    yield _file(f"{prefix}/confusions", _confusions(board))
    near, shared = neighbours(board.predicted)
    for number, start in enumerate(range(0, board.n, size)):
        rows = slice(start, start + size)
        block = {
            "predicted": numbers(board.predicted[:, rows].T, "<i2"),
            "confidence": None if board.confidence is None else numbers(board.confidence[:, rows].T, "u1"),
            "correct": None if board.labelled else bits(board.correct[:, rows].T),
            "near": near[rows].tolist(),
            "shared": shared[rows].tolist(),
            "original": [original_file(id) for id in board.image_ids[rows]],
            "zooms": [_zooms(extras.zooms, id) for id in board.image_ids[rows]] if extras.zooms else None,
        }
        yield _file(f"{prefix}/{number}", block)


def block_size(entries: int) -> int:
    """Images in a block, of so many entries."""
    return max(1, min(MOST_IMAGES, ANSWERS // entries))


def _file(key: str, value: Any) -> tuple[str, str]:
    return f"data/{key}.js", script(key, value)


def _head(board: Board, extras: Extras, size: int) -> dict[str, Any]:
    zooms = extras.zooms
    return {
        "entries": [[e.id, e.name, e.rank.place] for e in board.entries],
        "block": size,
        "independent": len(board.doubts.speakers) if board.doubts else None,
        "viewer": board.viewer if _rows_are_ids(board.image_ids) else "",
        "pictures": extras.pictures,
        "alone": extras.alone,
        "zooms": {
            "classifiers": list(zooms.classifiers),
            "scales": list(zooms.scales),
            "anchors": [list(each) for each in ANCHORS],
        }
        if zooms
        else None,
    }


def _rows_are_ids(ids: tuple[str, ...]) -> bool:
    """Whether ids are numbers of rows, which is so where a data set on the Hub has no ids of its own."""
    return set(ids) == set(map(str, range(len(ids))))


def _zooms(zooms: Zooms, id: str) -> list[str] | None:
    found = zooms.bits.get(id)
    return None if found is None else [bits(each) for each in found]


def _confusions(board: Board) -> dict[str, Any]:
    """Class -> [other class, how many answers] of those that it is taken for, and that are taken for it."""
    if not board.labelled:
        return {"takenFor": {}, "takes": {}}
    counts = confusions(board.predicted, board.correct, board.labels)
    return {"takenFor": _first(counts), "takes": _first(counts.T)}


def _first(counts: NDArray[np.int64]) -> dict[str, list[list[int]]]:
    found = {}
    for row in np.flatnonzero(counts.any(axis=1)).tolist():
        order = np.argsort(-counts[row], kind="stable")[:COMMONEST]
        found[str(row)] = [[int(i), int(counts[row, i])] for i in order if counts[row, i]]
    return found
