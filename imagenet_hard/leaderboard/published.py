"""Tables that a paper reports: shown beside the board, marked as reported, never ranked with entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import load_record, record_names
from imagenet_hard.base.types import Precision, Record
from imagenet_hard.leaderboard.entry import Tier
from imagenet_hard.leaderboard.plain_text import Line, Link, Name, check_plain

FOLDER = "leaderboard/published"

Date = Annotated[str, Field(pattern=r"^\d{4}(-\d\d){0,2}$", description="year, month or day", strict=True)]


class Release(Record):
    """Which state of the images the figures belong to. Figures of two releases cannot be compared."""

    name: Name
    n: int | None = Field(
        default=None, ge=1, strict=True, description="images in it, where the source says so"
    )
    date: Date
    note: Line = ""


class PublishedRow(Record):
    """A model as the source names it, and its top-1 in percent as printed there."""

    model: Name
    tag: Line = Field(default="", description="weights tag, where the source gives one")
    top1: float = Field(ge=0, le=100, strict=True, description="percent")
    used_in_curation: bool = Field(default=False, strict=True)
    precision: Precision = Field(default="fp32", description="arithmetic that it was computed in")
    note: Line = ""

    @property
    def name(self) -> str:
        """The model with its weights."""
        return f"{self.model} / {self.tag}" if self.tag else self.model


class PublishedTable(Record):
    """One table of a source."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Name
    source: Link
    benchmark: Name = Field(description="the set of images, as its gold labels name it; shown with it alone")
    release: Release
    note: Line = ""
    rows: tuple[PublishedRow, ...] = Field(min_length=1)

    @property
    def notes(self) -> str:
        """What there is to know of the figures, and of the release."""
        return " ".join(filter(None, (self.note, self.release.note)))

    @property
    def tier(self) -> Tier:
        """Always ``published``: nothing was re-scored."""
        return "published"

    @model_validator(mode="after")
    def _sound(self) -> PublishedTable:
        check_plain(self.model_dump(mode="json"))
        keys = [(row.model, row.tag) for row in self.rows]
        if repeated := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"{'/'.join(filter(None, repeated))} stands twice in {self.name}")
        return self


def load_published() -> tuple[PublishedTable, ...]:
    """Every table of ``leaderboard/published``, by name of the file.

    Raises:
        UsageError: a table that breaks a rule; the message names the file and the line.
    """
    return tuple(load_table(name) for name in record_names(FOLDER))


def published_on(benchmark: str, n: int, tables: Iterable[PublishedTable]) -> list[PublishedTable]:
    """The tables of a benchmark of ``n`` images: those on as many first, then the larger releases first."""
    return sorted(
        (table for table in tables if table.benchmark == benchmark),
        key=lambda table: (table.release.n != n, -(table.release.n or 0)),
    )


def load_table(name: str) -> PublishedTable:
    """One table by the name of its file.

    Raises:
        UsageError: as ``load_published``, or there is no such table.
    """
    table = load_record(PublishedTable, name, FOLDER)
    if table.name != name:
        raise UsageError(f"{FOLDER}/{name}.yaml: name is {table.name!r}: expected the file's name")
    return table
