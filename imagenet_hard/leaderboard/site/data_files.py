"""The data files of the page: small values that a script loads when the reader asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.leaderboard.site.data import Board, SiteEntry
from imagenet_hard.leaderboard.site.scripts import bits, numbers

FEW = 0.1
"""Images that at most this share of the entries solves are "solved by few"."""

UNDEFINED = -128


def board_payload(board: Board) -> dict[str, Any]:
    """What the table and the plots of a board need; grows with entries, not with images."""
    return {
        "origins": list(board.origins),
        "labels": sorted(_label_groups(board)),
        "entries": [_row(entry) for entry in board.entries],
        "tied": bits(board.tied),
        "solvedBy": np.bincount(board.solved_by, minlength=len(board.entries) + 1).tolist(),
        "n": board.n,
    }


def agreement_payload(board: Board) -> dict[str, Any]:
    """Error consistency of all pairs in percent (int8 (m, m)), and the order that shows its blocks."""
    percent = np.where(np.isnan(board.kappa), UNDEFINED, np.round(100 * np.nan_to_num(board.kappa)))
    return {"kappa": numbers(np.clip(percent, UNDEFINED, 100), "i1"), "order": list(board.similar)}


def entry_payload(board: Board, index: int) -> dict[str, Any]:
    """What one entry's page compares: per image the top-1 class and whether it is right."""
    entry = board.entries[index]
    return {
        "correct": bits(board.correct[index]),
        "predicted": numbers(board.predicted[index], "<i2"),
        "classTotal": list(entry.per_class.n_total),
        "classCorrect": list(entry.per_class.n_correct),
    }


def images_payload(board: Board) -> dict[str, Any]:
    """One row per image: id, labels, origin, how many entries solve it, and its commonest wrong answer."""
    names = board.origins or (board.image_origins[0],)
    place = {name: i for i, name in enumerate(names)}
    wrong, votes = commonest_wrong(board)
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


def _row(entry: SiteEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "org": entry.org,
        "backend": entry.backend,
        "tier": entry.tier,
        "training": entry.training_data,
        "curation": entry.used_in_curation,
        "params": entry.parameters,
        "imagenet": entry.imagenet_top1,
        "robust": None if entry.effective_robustness is None else round(entry.effective_robustness, 6),
        "rankDiff": entry.rank_diff,
        "date": entry.date.isoformat() if entry.date else None,
        "right": entry.top1.n_correct,
        "low": round(entry.top1.low, 6),
        "high": round(entry.top1.high, 6),
        "top5": round(entry.top5.accuracy, 6) if entry.top5 else None,
        "rank": [entry.rank.place, entry.rank.low, entry.rank.high],
        "origins": {name: [rate.n_correct, rate.n_total] for name, rate in entry.origins.items()},
        "labels": {name: [rate.n_correct, rate.n_total] for name, rate in entry.n_labels.items()},
    }
