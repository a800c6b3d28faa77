"""What a model answered, as an entry stores it: whole predictions, five classes alone, the first, or words.

``predictions.parquet`` is what ``imagenet-hard-eval`` writes. Models that were published without
probabilities have ``top5.csv``, a header ``id,top5`` and lines such as ``cat.jpg,281 282 285 287 283``: text
needs no parser in C++, and nothing that is derived from probabilities can be shown by mistake. Where only
the best class was published it is ``top1.csv``, ``id,top1``: there is no top-5 then. What a model said is
``answers.jsonl`` (``words.py``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.tables import CsvRow, exact_csv, read_csv
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import N_CLASSES, Predictions
from imagenet_hard.evaluation.predictions import (
    check_predictions,
    predictions_sha256,
    read_predictions,
    write_predictions,
)
from imagenet_hard.evaluation.sandbox import read_sandboxed
from imagenet_hard.leaderboard.words import WORDS_FILE, Words, read_words, words_bytes

PREDICTIONS_FILE = "predictions.parquet"
TOP5_FILE = "top5.csv"
TOP1_FILE = "top1.csv"
ANSWERS_FILES = (PREDICTIONS_FILE, TOP5_FILE, TOP1_FILE, WORDS_FILE)
"""An entry has one of them."""

MAX_CSV_BYTES = 64 * 2**20

_FORM = {
    5: (TOP5_FILE, re.compile(r"[0-9]{1,3}( [0-9]{1,3}){4}"), "five classes"),
    1: (TOP1_FILE, re.compile(r"[0-9]{1,3}"), "a class"),
}
"""Classes an image -> the file that holds them, a cell of it, and that in words."""


@dataclass(frozen=True)
class Answers:
    """Answers to ``n`` images, sorted by id: ``top5`` int16 (n, 5), class indices, best first.

    Where only the best class is known, ``top5`` is (n, 1), and ``NO_CLASS`` where words name none.
    ``predictions``: the same with probabilities, or None where they were not kept. ``words``: what was said;
    None where classes were given.
    """

    ids: tuple[str, ...]
    top5: NDArray[np.int16]
    predictions: Predictions | None = None
    words: Words | None = None

    @classmethod
    def of(cls, predictions: Predictions) -> Answers:
        """Answers that keep their probabilities."""
        return cls(predictions.ids, predictions.top5, predictions)

    @classmethod
    def in_words(cls, words: Words) -> Answers:
        """Answers in words."""
        return cls(words.raw.ids, words.reading.predictions.top5, words=words)

    @classmethod
    def without_probabilities(cls, ids: Sequence[str], top5: NDArray[np.integer]) -> Answers:
        """Classes alone, sorted by id and checked: ``top5`` integers (n, 5), or (n, 1).

        Raises:
            ResultError: ids not unique, another shape, classes outside 0..999 or repeated.
        """
        n = len(ids)
        if top5.shape not in ((n, 5), (n, 1)) or n == 0:
            raise ResultError(
                f"top5 has the shape {top5.shape}: expected ({n}, 5) or ({n}, 1), one row or more"
            )
        if (outside := ((top5 < 0) | (top5 >= N_CLASSES)).any(axis=1)).any():
            row = int(np.argmax(outside))
            raise ResultError(
                f"row {row} (id {shorten(ids[row])}): {top5[row].tolist()}; expected classes in 0..999"
            )
        order = sorted(range(len(ids)), key=ids.__getitem__)
        rows = top5[order].astype(np.int16)
        answers = cls(tuple(ids[i] for i in order), rows)
        answers.check(answers.file)
        return answers

    @property
    def places(self) -> int:
        """Classes an image: 5, or 1 where only the best is known."""
        return int(self.top5.shape[1])

    @property
    def file(self) -> str:
        """The name of the file that holds them."""
        return WORDS_FILE if self.words else answers_file(self.predictions is not None, self.places)

    @cached_property
    def sha256(self) -> str:
        """Hash of the values, independent of the file's encoding."""
        if self.predictions is not None:
            return predictions_sha256(self.predictions)
        if self.words is not None:
            return self.words.raw.sha256
        return hashlib.sha256(_csv(self)).hexdigest()

    def check(self, where: str) -> None:
        """The rules of ``check_predictions``, as far as they go without probabilities.

        Raises:
            ResultError: naming ``where``, the row and what is wrong in it.
        """
        check_predictions(self.predictions or _with_flat_probabilities(self.ids, self.top5), where=where)


def among(
    answers: Answers, kept: NDArray[np.bool_], ids: tuple[str, ...], labels: Sequence[Sequence[int]]
) -> Answers:
    """The answers to some images alone; ``kept``: bool (n,), which they are; ``ids``, ``labels``: theirs."""
    rows = np.flatnonzero(kept)
    if answers.words is not None:
        return Answers.in_words(answers.words.among(rows.tolist(), labels))
    if len(rows) == len(answers.ids):
        return answers
    predictions = answers.predictions
    if predictions is not None:
        predictions = Predictions(
            ids, predictions.top5[rows], predictions.logprob5[rows], predictions.margin[rows]
        )
    return Answers(ids, answers.top5[rows], predictions)


def answers_file(probabilities: bool, places: int = 5) -> str:
    """The name of the file that holds the answers: with probabilities, or classes in 5 places or 1."""
    return PREDICTIONS_FILE if probabilities else _FORM[places][0]


def write_answers(folder: Path, answers: Answers) -> None:
    """Write the one file that holds them, whole or not at all.

    Raises:
        ResultError: they break a rule, or the disk refuses.
    """
    path = folder / answers.file
    if answers.predictions is not None:
        write_predictions(path, answers.predictions)
    elif answers.words is not None:
        write_atomically(path, words_bytes(answers.words.raw))
    else:
        answers.check(str(path))
        write_atomically(path, _csv(answers))


def read_answers(
    folder: Path,
    *,
    probabilities: bool,
    isolated: bool,
    places: int = 5,
    labels: Mapping[str, Sequence[int]] | None = None,
) -> Answers:
    """The checked answers of an entry's folder.

    ``isolated``: parse the file in a process with limits, for files of strangers; ``places``: classes an
    image, 5 or 1; ``labels``: where answers are in words, those of each image by its id.

    Raises:
        ResultError: naming the file, and the row of the first wrong value.
    """
    if labels is not None:
        return Answers.in_words(read_words(folder / WORDS_FILE, labels, isolated=isolated))
    path = folder / answers_file(probabilities, places)
    if probabilities:
        return Answers.of(read_sandboxed(path) if isolated else read_predictions(path))
    reader = read_top5 if places == 5 else read_top1
    read = read_sandboxed(path, f"{__name__}:{reader.__name__}") if isolated else reader(path)
    return Answers(read.ids, read.top5[:, :places])


def _csv(answers: Answers) -> bytes:
    rows = zip(answers.ids, answers.top5.tolist(), strict=True)
    return exact_csv(
        [_header(answers.places), *((id, " ".join(map(str, classes))) for id, classes in rows)]
    ).encode()


def read_top5(path: str | Path) -> Predictions:
    """The checked answers of a ``top5.csv``, all classes equally likely: it holds no probabilities.

    Raises:
        ResultError: naming the line of the first wrong value.
    """
    return _read_classes(Path(path), 5)


def read_top1(path: str | Path) -> Predictions:
    """The same of a ``top1.csv``; the four places behind the first are made up, to be cut off.

    Raises:
        ResultError: as ``read_top5``.
    """
    return _read_classes(Path(path), 1)


def _read_classes(path: Path, places: int) -> Predictions:
    _, lines = read_csv(path, _header(places), limit=MAX_CSV_BYTES)
    rows = [_classes(line, places) for line in lines]
    ids = tuple(line.cells[0] for line in lines)
    predictions = _with_flat_probabilities(ids, np.array(rows, np.int16).reshape(-1, places))
    check_predictions(predictions, where=str(path))
    return predictions


def _with_flat_probabilities(ids: tuple[str, ...], top5: NDArray[np.int16]) -> Predictions:
    flat = np.full((len(ids), 5), -np.log(1000), np.float32)
    if top5.shape[1] == 1:  # four others, different from it and from each other
        others = np.arange(4, dtype=np.int16) + (np.arange(4) >= top5)
        top5 = np.concatenate([top5, others.astype(np.int16)], axis=1)
    return Predictions(ids, top5, flat, np.zeros(len(ids), np.float32))


def _header(places: int) -> list[str]:
    return ["id", f"top{places}"]


def _classes(line: CsvRow, places: int) -> list[int]:
    _, cell, words = _FORM[places]
    if not cell.fullmatch(line.cells[1]):
        raise ResultError(f"{line.place}: got {shorten(line.cells)}, expected an id and {words} in 0..999")
    return [int(word) for word in line.cells[1].split(" ")]
