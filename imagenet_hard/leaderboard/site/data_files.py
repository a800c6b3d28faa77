"""The data files of the page: values that a script loads when the reader asks for them, small.

A page from ``file://`` may not fetch JSON, so data travel as scripts that hand one JSON value over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import NO_CLASS
from imagenet_hard.base.web import json_text
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.site.columns import fields_of, filters_of, page_columns
from imagenet_hard.leaderboard.site.data import Board

FEW = 0.1
"""Images that at most this share of the entries solves are "solved by few"."""

UNDEFINED = -128


def board_data(board: Board) -> dict[str, Any]:
    """What the table and the plots of a board need; grows with entries, not with images."""
    fields = fields_of(board)
    return {
        "columns": [column.script() for column in page_columns(board)],
        "filters": [{"key": each.key, "field": each.field, "kind": each.kind} for each in filters_of(board)],
        "search": [field.name for field in fields if field.search],
        "fields": [field.name for field in fields],
        "rows": [[field.plain(entry) for field in fields] for entry in board.entries],
        "origins": [_part(name, [e.origins for e in board.entries]) for name in board.origins],
        "labels": [_part(name, [e.n_labels for e in board.entries]) for name in sorted(_label_groups(board))],
        "tied": bits(board.tied),
        "solvedBy": np.bincount(board.solved_by, minlength=len(board.entries) + 1).tolist(),
        "n": board.n,
    }


def agreement_data(board: Board) -> dict[str, Any]:
    """Error consistency of all pairs in percent (int8 (m, m)), and the order that shows its blocks."""
    percent = np.where(np.isnan(board.kappa), UNDEFINED, np.round(100 * np.nan_to_num(board.kappa)))
    return {"kappa": numbers(np.clip(percent, UNDEFINED, 100), "i1"), "order": list(board.similar)}


def entry_data(board: Board, index: int) -> dict[str, Any]:
    """What one entry's page compares: per image the top-1 class and whether it is right."""
    entry = board.entries[index]
    return {
        "correct": bits(board.correct[index]),
        "predicted": numbers(board.predicted[index], "<i2"),
        "classTotal": list(entry.per_class.n_total),
        "classCorrect": list(entry.per_class.n_correct),
    }


def images_data(board: Board) -> dict[str, Any]:
    """One row per image: id, labels, origin, how many entries solve it, its commonest wrong answer, and what
    speaks against its labels: the score in thousandths, and the class (-1 where nobody names another)."""
    names = board.origins or (board.image_origins[0],)
    place = {name: i for i, name in enumerate(names)}
    wrong, votes = commonest_wrong(board)
    doubts = board.doubts
    return {
        "id": list(board.image_ids),
        "labels": [list(each) for each in board.labels],
        "origins": list(names),
        "origin": [place[name] for name in board.image_origins],
        "solvedBy": board.solved_by.tolist(),
        "wrong": wrong.tolist(),
        "votes": votes.tolist(),
        "m": len(board.entries),
        "few": few(board),
        "doubt": np.rint(1000 * doubts.score).astype(int).tolist() if doubts else None,
        "other": np.where(doubts.agree > 0, doubts.other, NO_CLASS).tolist() if doubts else None,
    }


def few(board: Board) -> int:
    """The largest number of entries that still counts as few (0 on a board of one entry)."""
    return min(max(1, int(FEW * len(board.entries))), len(board.entries) - 1)


def group_of(board: Board) -> dict[str, NDArray[np.bool_]]:
    """The images that none, few or all of the entries solve: bool (n,) each."""
    solved = board.solved_by
    return {
        "none": solved == 0,
        "few": (solved > 0) & (solved <= few(board)),
        "all": solved == len(board.entries),
    }


def commonest_wrong(board: Board) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Per image the wrong class that most entries give (lowest on a tie, -1 for none), and how many do."""
    m = len(board.entries)
    answers = np.sort(np.where(board.correct, np.int16(-1), board.predicted.astype(np.int16)), axis=0)
    best, votes, run = np.full(board.n, -1, np.intp), np.zeros(board.n, np.intp), np.zeros(board.n, np.intp)
    for row in range(m):
        same = (answers[row] == answers[row - 1]) if row else np.zeros(board.n, dtype=bool)
        run = np.where(same, run + 1, 1)
        better = (answers[row] >= 0) & (run > votes)
        best, votes = np.where(better, answers[row], best), np.where(better, run, votes)
    return best, votes


def _label_groups(board: Board) -> set[str]:
    return {key for entry in board.entries for key in entry.n_labels}


def _part(name: str, rates: Sequence[Mapping[str, Rate]]) -> tuple[str, list[list[int] | None]]:
    """A group of images, and of each entry how many of them are right, and of how many."""
    found = (each.get(name) for each in rates)
    return name, [[rate.n_correct, rate.n_total] if rate else None for rate in found]


def script(key: str, value: Any) -> str:
    """A script that hands ``value`` to ``base/static/js/data.js`` under ``key``."""
    return f"window.imagenetHard.receive({json_text(key)},{json_text(value)});\n"


def bits(flags: NDArray[np.bool_]) -> str:
    """Booleans, 8 to a byte, the first in the highest bit, as base64."""
    return base64.b64encode(np.packbits(flags.ravel()).tobytes()).decode("ascii")


def numbers(values: NDArray[Any], dtype: str) -> str:
    """Numbers as little-endian ``dtype`` (``<i2``, ``i1``) in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
