"""What a model answered, as an entry stores it: whole predictions, or the five classes alone.

``predictions.parquet`` is what ``imagenet-hard-eval`` writes. Models that were published without
probabilities have ``top5.csv``, a header ``id,top5`` and lines such as ``cat.jpg,281 282 285 287 283``: text
needs no parser in C++, and nothing that is derived from probabilities can be shown by mistake.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.errors import ResultError
from imagenet_hard.evaluation.isolated import read_isolated
from imagenet_hard.evaluation.predictions import (
    check_predictions,
    predictions_sha256,
    read_predictions,
    write_predictions,
)
from imagenet_hard.files import read_bounded, write_atomically
from imagenet_hard.types import Predictions
from imagenet_hard.validation import shorten

PREDICTIONS_FILE = "predictions.parquet"
TOP5_FILE = "top5.csv"
MAX_CSV_BYTES = 64 * 2**20

_HEADER = ["id", "top5"]
_FIVE = re.compile(r"[0-9]{1,3}( [0-9]{1,3}){4}")


@dataclass(frozen=True)
class Answers:
    """Answers to ``n`` images, sorted by id: ``top5`` int16 (n, 5), class indices, best first.

    ``predictions``: the same with probabilities, or None where they were not kept.
    """

    ids: tuple[str, ...]
    top5: NDArray[np.int16]
    predictions: Predictions | None = None

    @classmethod
    def of(cls, predictions: Predictions) -> Answers:
        """Answers that keep their probabilities."""
        return cls(predictions.ids, predictions.top5, predictions)

    @classmethod
    def without_probabilities(cls, ids: Sequence[str], top5: NDArray[np.integer]) -> Answers:
        """Classes alone, sorted by id and checked: ``top5`` integers (n, 5).

        Raises:
            ResultError: ids not unique, another shape, classes outside 0..999 or repeated.
        """
        if top5.shape != (len(ids), 5) or len(ids) == 0:
            raise ResultError(f"top5 has the shape {top5.shape}: expected ({len(ids)}, 5), one row or more")
        order = sorted(range(len(ids)), key=ids.__getitem__)
        # Clipped, so that 65,536 does not wrap to class 0 on its way to int16.
        rows = np.clip(top5[order], -1, 2**15 - 1).astype(np.int16)
        answers = cls(tuple(ids[i] for i in order), rows)
        answers.check(TOP5_FILE)
        return answers

    @property
    def sha256(self) -> str:
        """Hash of the values, independent of the file's encoding."""
        if self.predictions is not None:
            return predictions_sha256(self.predictions)
        return hashlib.sha256(_csv(self)).hexdigest()

    def check(self, where: str) -> None:
        """The rules of ``check_predictions``, as far as they go without probabilities.

        Raises:
            ResultError: naming ``where``, the row and what is wrong in it.
        """
        check_predictions(self.predictions or _with_flat_probabilities(self.ids, self.top5), where=where)


def answers_file(probabilities: bool) -> str:
    """The name of the file that holds the answers."""
    return PREDICTIONS_FILE if probabilities else TOP5_FILE


def write_answers(folder: Path, answers: Answers) -> None:
    """Write ``predictions.parquet`` or ``top5.csv``, whole or not at all.

    Raises:
        ResultError: they break a rule, or the disk refuses.
    """
    if answers.predictions is not None:
        write_predictions(folder / PREDICTIONS_FILE, answers.predictions)
    else:
        answers.check(str(folder / TOP5_FILE))
        write_atomically(folder / TOP5_FILE, _csv(answers))


def read_answers(folder: Path, *, probabilities: bool, isolated: bool) -> Answers:
    """The checked answers of an entry's folder.

    ``isolated``: parse the file in a process with limits, for files of strangers.

    Raises:
        ResultError: naming the file, and the row of the first wrong value.
    """
    path = folder / answers_file(probabilities)
    if probabilities:
        return Answers.of(read_isolated(path) if isolated else read_predictions(path))
    read = read_isolated(path, f"{__name__}:{read_top5.__name__}") if isolated else read_top5(path)
    return Answers(read.ids, read.top5)


def _csv(answers: Answers) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # quotes either in an id
    writer.writerow(_HEADER)
    writer.writerows(
        (each, " ".join(map(str, row))) for each, row in zip(answers.ids, answers.top5.tolist(), strict=True)
    )
    return text.getvalue().encode()


def read_top5(path: str | Path) -> Predictions:
    """The checked answers of a ``top5.csv``, all classes equally likely: it holds no probabilities.

    Raises:
        ResultError: naming the line of the first wrong value.
    """
    path = Path(path)
    data = read_bounded(path, MAX_CSV_BYTES)
    ids: list[str] = []
    rows: list[list[int]] = []
    try:
        lines = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        if next(lines, None) != _HEADER:
            raise ResultError(f"{path}: expected the header {','.join(_HEADER)}")
        for line in lines:
            ids.append(line[0] if line else "")
            rows.append(_classes(line, f"{path}, line {lines.line_num}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResultError(f"{path} is not a CSV file in UTF-8: {error}") from None
    predictions = _with_flat_probabilities(tuple(ids), np.array(rows, np.int16).reshape(-1, 5))
    check_predictions(predictions, where=str(path))
    return predictions


def _with_flat_probabilities(ids: tuple[str, ...], top5: NDArray[np.int16]) -> Predictions:
    flat = np.full((len(ids), 5), -np.log(1000), np.float32)
    return Predictions(ids, top5, flat, np.zeros(len(ids), np.float32))


def _classes(line: list[str], where: str) -> list[int]:
    if len(line) != 2 or not _FIVE.fullmatch(line[1]):
        raise ResultError(f"{where}: got {shorten(line)}, expected an id and five classes in 0..999")
    return [int(word) for word in line[1].split(" ")]
