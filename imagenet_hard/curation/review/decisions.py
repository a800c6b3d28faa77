"""One reviewer's decisions: a CSV that only grows, every row flushed to disk, read strictly."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.tables import exact_csv, read_csv
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.curation.review.actions import ACTIONS, UNDECIDED

COLUMNS = ("id", "action", "reason", "labels", "reviewer", "time", "image_sha256")
REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A reviewer's name: it is the name of a file too."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One saved decision; a row below it of the same reviewer about the same image replaces it.

    ``action``: a name of ``ACTIONS``, or "undecided". ``labels``: class indices, rising, where the action
    takes some. ``time``: UTC, whole seconds. ``image_sha256``: 64 hex digits, the hash of the bytes that the
    reviewer saw.

    Raises:
        ResultError: a field breaks these rules.
    """

    id: str
    action: str
    reason: str
    labels: tuple[int, ...]
    reviewer: str
    time: datetime
    image_sha256: str

    def __post_init__(self) -> None:
        if problem := self._problem():
            field, expected = problem
            got = getattr(self, field)
            raise ResultError(
                f"{field} is {shorten(str(got) if field == 'time' else got)}: expected {expected}"
            )

    def __str__(self) -> str:
        """What it says, as messages put it: ``relabel 3 8``."""
        return " ".join([self.action, *map(str, self.labels)])

    @property
    def stamp(self) -> str:
        """The time as the file has it."""
        return self.time.isoformat().replace("+00:00", "Z")

    def _problem(self) -> tuple[str, str] | None:
        """The first wrong field, and what it should be."""
        if not self.id:
            return "id", "the id of an image"
        if self.action not in (*ACTIONS, UNDECIDED):
            return "action", f"one of {', '.join((*ACTIONS, UNDECIDED))}"
        if list(self.labels) != sorted(set(self.labels) & set(range(N_CLASSES))):
            return "labels", f"class indices in 0..{N_CLASSES - 1}, rising, none twice"
        action = ACTIONS.get(self.action)
        takes_labels = action is not None and action.takes_labels
        if takes_labels and not self.labels:
            return "labels", f"one or more class indices, because the action is {self.action}"
        if self.labels and not takes_labels:
            return "labels", f"none, because the action is {self.action}"
        if action is not None and action.needs_reason and not self.reason:
            return "reason", f"why the image is {action.past}"
        if not REVIEWER.fullmatch(self.reviewer):
            return "reviewer", "up to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        if self.time.utcoffset() != timedelta(0) or self.time.microsecond:
            return "time", "UTC in whole seconds"
        if not re.fullmatch("[0-9a-f]{64}", self.image_sha256):
            return "image_sha256", "64 hexadecimal digits"
        return None


def read_decisions(path: Path) -> list[DecisionRow]:
    """Every row of a decisions CSV, in the order of the file.

    Raises:
        ResultError: ``FILE:LINE:`` with what stands there and what was expected.
    """
    return [row for _, row in placed_rows(path)]


def append_decision(path: Path, row: DecisionRow) -> None:
    """Add a row and flush it to disk before returning; a new file gets its header first.

    Raises:
        ResultError: the system refuses; the file is then as it was.
    """
    if not path.exists():
        write_decisions(path, ())
    try:
        with path.open("r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - 1, 0))
            data = (b"" if file.read(1) in (b"", b"\n") else b"\n") + _line(_cells(row))
            try:
                if file.write(data) != len(data):
                    raise OSError("the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise ResultError(
            f"the decision about {row.id!r} cannot be written to {path}: {error.strerror or error}"
        ) from error


def write_decisions(path: Path, rows: Iterable[DecisionRow]) -> None:
    """A new file with these rows, whole or not at all.

    Raises:
        ResultError: the system refuses.
    """
    write_atomically(path, b"".join(map(_line, [COLUMNS, *map(_cells, rows)])))


def placed_rows(path: Path) -> list[tuple[str, DecisionRow]]:
    """``(FILE:LINE, row)`` for every row, for messages that name the place.

    Raises:
        ResultError: as ``read_decisions``.
    """
    hint = "a row that was cut off may be deleted, and its image decided again"
    rows = list[tuple[str, DecisionRow]]()
    for place, cells in read_csv(path, COLUMNS, hint=hint)[1]:
        try:
            rows.append((place, _parsed(cells)))
        except ResultError as error:
            raise ResultError(f"{place}: {error}") from None
    return rows


def _parsed(fields: list[str]) -> DecisionRow:
    id, action, reason, labels, reviewer, time, sha256 = fields
    if not re.fullmatch(r"([0-9]{1,4}( +|$))*", labels.strip()):
        raise ResultError(f"labels is {shorten(labels)}: expected class indices separated by blanks")
    try:
        moment = datetime.strptime(time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ResultError(f"time is {shorten(time)}: expected UTC such as 2023-04-12T09:30:00Z") from None
    indices = tuple(sorted(map(int, labels.split())))
    return DecisionRow(id, action, reason, indices, reviewer, moment, sha256)


def _cells(row: DecisionRow) -> tuple[str, ...]:
    labels = " ".join(map(str, row.labels))
    return row.id, row.action, row.reason, labels, row.reviewer, row.stamp, row.image_sha256


def _line(fields: Sequence[str]) -> bytes:
    return exact_csv([fields]).removesuffix("\r\n").encode() + b"\n"
