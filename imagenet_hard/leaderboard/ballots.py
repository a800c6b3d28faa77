"""Whose answers are read to find doubtful labels: a board's entries, results, tables of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.types import Predictions
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.corrections import newest, read_corrections
from imagenet_hard.leaderboard.gold import Gold, gold_of
from imagenet_hard.leaderboard.importing import gold_of_labels
from imagenet_hard.leaderboard.rescore import check_ids
from imagenet_hard.leaderboard.stats.doubts import Ballot


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
