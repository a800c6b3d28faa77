"""Entries that were taken back: who did it, when and why. Nothing else is kept, and no other gets the id.

``leaderboard/withdrawn/ID.json`` stands in the place of the entry's folder.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import first_problem, read_record
from imagenet_hard.base.types import SCHEMA_VERSION, Record, SchemaVersion, Sha256
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.ids import MAX_ID, model_of
from imagenet_hard.leaderboard.plain_text import Line, check_plain

WITHDRAWN = "withdrawn"


class Withdrawal(Record):
    """What is left of an entry that was taken back."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    entry: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=MAX_ID)]
    entry_sha256: Sha256 = Field(description="digest of the entry as it was")
    fingerprint: Sha256 = Field(description="of its benchmark")
    by: Annotated[str, Field(pattern=r"^(github|hub):[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=110)]
    date: dt.date
    why: Annotated[Line, Field(min_length=1)]

    @model_validator(mode="after")
    def _plain(self) -> Withdrawal:
        check_plain(self.model_dump(mode="json"))
        return self

    def __str__(self) -> str:
        return f"{self.entry} was withdrawn on {self.date} by {self.by}: {self.why}"


def read_withdrawn(board: Path) -> dict[str, Path]:
    """Id without capitals -> record, of everything that was taken back."""
    return {path.stem.casefold(): path for path in sorted((board / WITHDRAWN).glob("*.json"))}


def withdrawals(board: Path, leave_out: Callable[[str], None]) -> tuple[Withdrawal, ...]:
    """What was taken back, the latest first; ``leave_out`` is told of records that cannot be read."""
    found = []
    for path in read_withdrawn(board).values():
        try:
            found.append(read_record(path, Withdrawal))
        except ResultError as error:
            leave_out(f"the record of a withdrawal is left out: {error}")
    return tuple(sorted(found, key=lambda each: each.date, reverse=True))


def refuse_withdrawn(
    board: Path, entry: str, fingerprint: str | None = None, *, whole_model: bool = False
) -> None:
    """An id that was taken back is nobody's any more, also in other capitals.

    Nor is another id of its model on the same benchmark, ``fingerprint``; and where nothing of the model is
    left on the board (``whole_model``), nor is any.

    Raises:
        ResultError: when, by whom and why it was.
    """
    model = model_of(entry).casefold()
    for id, path in read_withdrawn(board).items():
        if model_of(id) != model:
            continue
        record = read_record(path, Withdrawal)
        if id == entry.casefold() or whole_model or record.fingerprint == fingerprint:
            raise ResultError(f"{record}. Its id is not given again: choose another name")


def withdraw(entries: Path, entry: str, *, by: str, why: str, date: dt.date) -> Path:
    """Put a record in the place of an entry's folder; the record's path. The board's report on it stays.

    ``by``: the account that takes it back, ``github:LOGIN`` or ``hub:USER``.

    Raises:
        ResultError: there is no such entry, it was withdrawn before, or the disk refuses.
        UsageError: a reason or an account that no record may have.
    """
    folder, board = entries / entry, entries.absolute().parent
    if not folder.is_dir() or folder.is_symlink() or folder.name != entry:
        refuse_withdrawn(board, entry)
        raise ResultError(f"there is no entry {entry!r} in {entries}: give the name of its folder")
    found = read_entry(folder)
    refuse_withdrawn(board, entry)
    try:
        record = Withdrawal(
            entry=found.id,
            entry_sha256=found.digest,
            fingerprint=found.benchmark.fingerprint,
            by=by,
            date=date,
            why=why,
        )
    except ValidationError as error:
        raise UsageError(f"{entry} cannot be withdrawn: {first_problem(error)}") from None
    path = board / WITHDRAWN / f"{entry}.json"
    # The record first: an entry that is there and was withdrawn is left out, none is lost without a trace.
    write_atomically(path, (record.model_dump_json(indent=2) + "\n").encode())
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ResultError(f"cannot remove {folder}: {error.strerror or error}; remove it") from error
    return path


def withdrawal_problem(record: Path, entry: Path, author: object = None) -> str:
    """What is wrong with the record by which a request takes an entry back; "" where nothing is.

    ``record``: the request's file; ``entry``: the folder on the board; ``author``: the account that asks, as
    its platform says.
    """
    advice = f"run `imagenet-hard leaderboard withdraw {entry.name}`"
    if not record.is_file():
        return f"is removed without a record of who took it back and why: {advice}"
    try:
        said, was = read_record(record, Withdrawal), read_entry(entry)
    except ResultError as error:
        return f"is removed, and {error}"
    if (said.entry, said.entry_sha256, said.fingerprint) != (was.id, was.digest, was.benchmark.fingerprint):
        return f"is removed with a record that is of another entry, or of another state of it: {advice}"
    if author is not None and said.by.casefold() != str(author).casefold():
        return f"is removed by {author}, and the record says {said.by}: {advice} --by {author}"
    return ""
