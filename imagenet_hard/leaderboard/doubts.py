"""The doubtful labels of a benchmark: whose answers are read, the ranked list, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.tables import Table, exact_csv, read_csv
from imagenet_hard.base.text import counted, pct1, shorten
from imagenet_hard.base.types import Predictions, Record
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.evaluation.intervals import wilson
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.corrections import newest, read_corrections
from imagenet_hard.leaderboard.gold import Gold, gold_of
from imagenet_hard.leaderboard.importing import gold_of_labels
from imagenet_hard.leaderboard.rescore import check_ids
from imagenet_hard.leaderboard.stats.doubts import Ballot, Doubts, find_doubts

FIRST = (10, 50, 100, 200, 500, 1000, 3000)
"""Lengths of the list's beginning of which precision and recall are said."""

COLUMNS = (
    *("rank", "id", "labels", "names", "other", "other_name"),
    *("score", "agree", "given", "votes", "entries"),
)


class Doubt(Record):
    """What speaks against the labels of one image; ``stats.doubts`` has what the numbers are."""

    rank: int
    id: str
    labels: tuple[int, ...]
    other: int
    score: float
    agree: float
    given: float
    votes: int


class First(Record):
    """Of the first ``k`` images that the truth knows: how many have labels that it drops (``wrong``).

    ``precision``: their share, with a 95 % interval (Wilson). ``other_right``: the share of those whose other
    class it has. ``found``: the share of all whose labels it drops.
    """

    k: int
    wrong: int
    precision: float
    low: float
    high: float
    other_right: float
    found: float


class Measured(Record):
    """The list against a truth: ``images`` that it labels, of which it drops the labels of ``wrong``.

    ``chance``: the precision of a list in any order.
    """

    images: int
    wrong: int
    chance: float
    average_precision: float
    first: tuple[First, ...]


class DoubtList(Record):
    """All images of a benchmark, the most doubtful first. ``independent``: the entries that counted."""

    benchmark: str
    fingerprint: str
    entries: int
    independent: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    truth: Measured | None = None


@dataclass(frozen=True)
class Read:
    """Ballots on the images of ``gold``, one an entry."""

    gold: Gold
    ballots: tuple[Ballot, ...]


def read_board_answers(board: Path, gold: Gold) -> Read:
    """All entries of a board's folder on the newest version of the benchmark ``gold``.

    Raises:
        ResultError: there is none.
    """
    gold = newest(gold, read_corrections(board))
    fingerprint = gold.info.fingerprint
    entries = (each for each in read_board(board) if each.gold.info.fingerprint == fingerprint)
    ballots = tuple(_ballot(each.entry.id, each.answers) for each in entries)
    if not ballots:
        raise ResultError(
            f"the board in {board} has no entry on {gold.info.name}: give results or predictions"
        )
    return Read(gold, ballots)


def read_files(files: Sequence[Path], labels: Gold | Path) -> Read:
    """Results of ``imagenet-hard eval`` (.json) and tables of class indices, all on the same images.

    ``labels``: the gold of a board, or a label file. Of a file the images that were answered count; those to
    which it gives no label are left out.

    Raises:
        ResultError, DatasetError: a file cannot be read, is of other images than the first, or the labels
            lack an image.
        UsageError: a result among a part of the classes, or one that is given twice.
    """
    ids: tuple[str, ...] = ()
    ballots: dict[str, Ballot] = {}
    for path in files:
        for name, answers in answers_in(path, labels):
            if ids and answers.ids != ids:
                raise ResultError(
                    f"{path}: {name} answers {counted(len(answers.ids), 'image')} that are not the "
                    f"{len(ids):,} of {files[0]}: expected the same images in all"
                )
            ids = answers.ids
            if name in ballots:
                raise UsageError(f"{path} has {shorten(name)}, which came before: each model counts once")
            ballots[name] = _ballot(name, answers)
    if isinstance(labels, Gold):
        return Read(labels, tuple(ballots.values()))
    found = labels_by_id(labels, ids)
    kept = np.array([bool(each) for each in found])
    rows = [(id, given, "", "") for id, given in zip(ids, found, strict=True) if given]
    if not rows:
        raise ResultError(f"{labels} has a label for none of the {len(ids):,} images, such as {ids[0]!r}")
    gold = gold_of(rows, name=labels.name, source="predictions")
    return Read(gold, tuple(_rows(each, kept) for each in ballots.values()))


def answers_in(path: Path, labels: Gold | Path | None = None) -> list[tuple[str, Answers]]:
    """The models of a result (.json) or a table of classes, by name; of the images of ``labels``, if a gold.

    Raises:
        ResultError: it cannot be read, or is of other images.
        UsageError: a result among a part of the classes.
    """
    if path.suffix.lower() == ".json":
        result, predictions = read_result(path)
        if result.protocol.classes is not None:
            raise UsageError(
                f"{path} is a result among {result.protocol.classes.label}: expected all classes"
            )
        tta = result.protocol.tta
        found = [(f"{result.model.key} + {tta.label}" if tta else result.model.key, Answers.of(predictions))]
        if isinstance(labels, Gold) and result.benchmark.fingerprint != labels.info.fingerprint:
            raise ResultError(
                f"{path} is a result on {result.benchmark.name} ({result.benchmark.fingerprint[:12]}...): "
                f"expected {labels.info.name} ({labels.info.fingerprint[:12]}...)"
            )
    else:
        table = read_answer_table(path)
        found = [
            (name, Answers.without_probabilities(table.ids, classes))
            for name, classes in sorted(table.models.items())
        ]
    if isinstance(labels, Gold):
        for _, answers in found:
            check_ids(answers, labels)
    return found


def _ballot(name: str, answers: Answers) -> Ballot:
    predictions: Predictions | None = answers.predictions
    with_probabilities = predictions is not None and not predictions.top1_only
    p = np.exp(predictions.logprob5) if predictions is not None and with_probabilities else None
    return Ballot(name, answers.top5, p)


def _rows(ballot: Ballot, kept: NDArray[np.bool_]) -> Ballot:
    p = ballot.probabilities
    return Ballot(ballot.name, ballot.classes[kept], None if p is None else p[kept])


def labels_by_id(path: Path, ids: Sequence[str]) -> list[tuple[int, ...]]:
    """The labels that a file has for each image, () where it has none.

    Names match whole, or else without folder and ending.

    Raises:
        ResultError, DatasetError: it cannot be read, lacks an image, or has two of one name.
    """
    if path.suffix.lower() == ".parquet":
        gold = gold_of_labels(path, path.stem)
        table: Mapping[str, tuple[int, ...]] = dict(zip(gold.ids, gold.labels, strict=True))
    else:
        table = read_label_file(path)
    short: dict[str, list[str]] = {}
    for name in table:
        short.setdefault(_short(name), []).append(name)
    found = []
    for id in ids:
        names = [id] if id in table else short.get(_short(id), [])
        if len(names) != 1:
            raise ResultError(
                f"{path} has {'no image' if not names else f'{len(names)} images'} called {id!r}"
                f"{'' if not names else ': ' + shorten(names)}"
            )
        found.append(table[names[0]])
    return found


def _short(name: str) -> str:
    return PurePosixPath(name).stem


def doubt_list(read: Read, truth: Sequence[tuple[int, ...]] | None = None) -> DoubtList:
    """The doubts of what was read; ``truth``: better labels of the same images, () where it has none.

    Raises:
        UsageError: the truth drops the labels of no image, so that there is nothing to find.
    """
    gold, found = read.gold, find_doubts(read.ballots, read.gold.right)
    return DoubtList(
        benchmark=gold.info.name,
        fingerprint=gold.info.fingerprint,
        entries=len(read.ballots),
        independent=found.speakers,
        doubts=tuple(
            Doubt(
                rank=rank,
                id=gold.ids[i],
                labels=gold.labels[i],
                other=int(found.other[i]),
                score=float(found.score[i]),
                agree=float(found.agree[i]),
                given=float(found.given[i]),
                votes=int(found.votes[i]),
            )
            for rank, i in enumerate(found.order.tolist(), start=1)
        ),
        truth=None if truth is None else measured(found, gold.labels, truth),
    )


def measured(doubts: Doubts, labels: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> Measured:
    """How well the list finds the images of whose labels the truth has none.

    Raises:
        UsageError: there is no such image, or no other.
    """
    known = np.array([i for i in doubts.order.tolist() if truth[i]], np.intp)
    wrong = np.array([not set(labels[i]) & set(truth[i]) for i in known], np.bool_)
    right = np.array([doubts.other[i] in truth[i] for i in known], np.bool_)
    total = int(wrong.sum())
    if not 0 < total < len(known):
        raise UsageError(
            f"the truth drops the labels of {total} of the {len(known)} images that it knows: there is "
            "nothing to tell apart"
        )
    lengths = [k for k in FIRST if k < len(known)]
    return Measured(
        images=len(known),
        wrong=total,
        chance=total / len(known),
        average_precision=average_precision(wrong),
        first=tuple(_first(k, wrong, right) for k in lengths),
    )


def average_precision(wrong: NDArray[np.bool_]) -> float:
    """The mean, over what is to be found, of the precision of the list down to it; one of them at least.

    >>> average_precision(np.array([True, False, True]))  # (1 / 1 + 2 / 3) / 2
    0.8333333333333333
    """
    places = np.flatnonzero(wrong) + 1
    return float((np.arange(1, len(places) + 1) / places).mean())


def _first(k: int, wrong: NDArray[np.bool_], right: NDArray[np.bool_]) -> First:
    n = int(wrong[:k].sum())
    low, high = wilson(n, k)
    return First(
        k=k,
        wrong=n,
        precision=n / k,
        low=low,
        high=high,
        other_right=float(right[:k].mean()),
        found=n / int(wrong.sum()),
    )


def as_csv(found: DoubtList) -> str:
    """One row an image, the most doubtful first."""
    names = distinct_names()
    rows = (
        (
            each.rank,
            each.id,
            " ".join(map(str, each.labels)),
            "; ".join(names[i] for i in each.labels),
            each.other,
            names[each.other],
            f"{each.score:.6f}",
            f"{each.agree:.6f}",
            f"{each.given:.6f}",
            each.votes,
            len(found.independent),
        )
        for each in found.doubts
    )
    return exact_csv([COLUMNS, *rows])


def read_doubted(path: Path) -> dict[str, int]:
    """Image id -> the other class, in the order of a list that ``as_csv`` wrote.

    Raises:
        ResultError: it is no such list, or has an image twice.
    """
    found: dict[str, int] = {}
    for place, (id, other) in read_csv(path, ("id", "other"), more=True)[1]:
        if not other.isascii() or not other.isdigit() or int(other) > 999:
            raise ResultError(f"{place}: other is {shorten(other)}: expected a class index in 0..999")
        if id in found:
            raise ResultError(f"{place}: {id!r} appears twice")
        found[id] = int(other)
    return found


def tables(found: DoubtList, top: int) -> list[Table]:
    """The first images, and how good the list is where that is known."""
    names = distinct_names()
    shown = [
        (
            each.rank,
            each.id,
            ", ".join(names[i] for i in each.labels),
            names[each.other],
            f"{each.score:.3f}",
            pct1(each.agree),
            pct1(each.given),
            each.votes,
        )
        for each in found.doubts[:top]
    ]
    voices = f"{counted(found.entries, 'entry')}, {len(found.independent)} of them independent"
    parts = [
        Table(
            ["", "image", "labels", "other class", "score", "agree %", "given %", "entries"],
            shown,
            "rlllrrrr",
            f"Doubtful labels of {found.benchmark}: {len(found.doubts):,} images, {voices}",
        )
    ]
    if found.truth:
        parts.append(_truth_table(found.truth))
    return parts


def _truth_table(truth: Measured) -> Table:
    return Table(
        ["first", "label dropped %", "interval", "other class right %", "of all dropped found %"],
        [
            (
                f"{each.k:,}",
                pct1(each.precision),
                f"{pct1(each.low)} to {pct1(each.high)}",
                pct1(each.other_right),
                pct1(each.found),
            )
            for each in truth.first
        ],
        "rrrrr",
        "Against the truth",
        f"average precision {truth.average_precision:.3f}, chance {truth.chance:.3f}: it drops the labels of "
        f"{truth.wrong:,} of the {truth.images:,} images that it knows",
    )
