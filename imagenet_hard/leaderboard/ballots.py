"""Whose answers are read to find doubtful labels: a board's entries, results, tables of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.types import Predictions
from imagenet_hard.dataset.image_names import match_names
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.evaluation.variant import variant
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
    """All entries of a board's folder on the newest version of the benchmark ``gold``, among all classes.

    Raises:
        ResultError: there is none.
    """
    gold = newest(gold, read_corrections(board))
    fingerprint = gold.info.fingerprint
    ballots = tuple(
        _ballot(each.entry.id, each.answers)
        for each in read_board(board)
        if each.gold.info.fingerprint == fingerprint and not each.entry.choices
    )
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
        for name, model, answers in answers_in(path, labels):
            if ids and answers.ids != ids:
                raise ResultError(
                    f"{path}: {name} answers {counted(len(answers.ids), 'image')} that are not the "
                    f"{len(ids):,} of {files[0]}: expected the same images in all"
                )
            ids = answers.ids
            if model in ballots:
                raise UsageError(f"{path} has {shorten(model)}, which came before: each model counts once")
            ballots[model] = _ballot(name, answers)
    if isinstance(labels, Gold):
        return Read(labels, tuple(ballots.values()))
    found = labels_by_id(labels, ids)
    kept = np.array([bool(each) for each in found])
    rows = [(id, given, "", "") for id, given in zip(ids, found, strict=True) if given]
    if not rows:
        raise ResultError(f"{labels} has a label for none of the {len(ids):,} images, such as {ids[0]!r}")
    gold = gold_of(rows, name=labels.name, source="predictions")
    return Read(gold, tuple(_rows(each, kept) for each in ballots.values()))


class Answered(NamedTuple):
    """``name``: of a result, the model's and how it ran if that is not usual. ``model``: its key, or name."""

    name: str
    model: str
    answers: Answers


def answers_in(path: Path, labels: Gold | Path | None = None) -> list[Answered]:
    """The models of a result (.json) or a table of classes; of the images of ``labels``, if a gold.

    Raises:
        ResultError: it cannot be read, or is of other images.
        UsageError: a result among a part of the classes, or among a few names.
    """
    if path.suffix.lower() == ".json":
        result, predictions = read_result(path)
        if result.among:
            raise UsageError(f"{path} is a result among {result.among}: expected all classes")
        key, how = result.model.key, variant(result.model, result.protocol, result.answers)
        found = [Answered(f"{key} ({how})" if how else key, key, Answers.of(predictions))]
        if isinstance(labels, Gold) and result.benchmark.fingerprint != labels.info.fingerprint:
            raise ResultError(
                f"{path} is a result on {result.benchmark.name} ({result.benchmark.fingerprint[:12]}...): "
                f"expected {labels.info.name} ({labels.info.fingerprint[:12]}...)"
            )
    else:
        table = read_answer_table(path)
        found = [
            Answered(name, name, Answers.without_probabilities(table.ids, classes))
            for name, classes in sorted(table.models.items())
        ]
    if isinstance(labels, Gold):
        for each in found:
            check_ids(each.answers, labels)
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

    Names match as those of a folder's label file do (``dataset/image_names.py``).

    Raises:
        ResultError, DatasetError: it cannot be read, lacks an image, or does not say which is which.
    """
    if path.suffix.lower() == ".parquet":
        gold = gold_of_labels(path, path.stem)
        table: Mapping[str, tuple[int, ...]] = dict(zip(gold.ids, gold.labels, strict=True))
    else:
        table = read_label_file(path)
    names = match_names(ids, table, str(path))
    missing = [id for id in ids if id not in names]
    if missing:
        raise ResultError(
            f"{path} has no image called {missing[0]!r}"
            + (f", nor {counted(len(missing) - 1, 'other')} of {len(ids):,}" if len(missing) > 1 else "")
        )
    return [table[names[id]] for id in ids]
