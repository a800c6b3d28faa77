"""What the page shows: checked records of text and numbers, arrays where there is one value per image.

``SiteData`` holds a ``Board`` per benchmark fingerprint, because scores of different images are never
ranked together, and the published tables beside them. Every string may come from a stranger: here it
is bounded and links are https; escaping is the templates' part.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import Record
from imagenet_hard.evaluation.calibration import Calibration
from imagenet_hard.evaluation.metrics import PerClass, Rate

Text = Annotated[str, Field(max_length=500)]
EntryId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
Tier = Literal["unsubmitted", "published", "self-reported", "re-scored", "spot-checked", "reproduced"]


class Link(Record):
    """A labelled https address."""

    label: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(max_length=2000)]

    @field_validator("url")
    @classmethod
    def _https(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme == "https" and bool(parts.hostname) and value.isprintable()
        except ValueError:
            good = False
        if not good or any(c in value for c in " \\\"'<>`"):
            raise ValueError("expected an address that begins with https://")
        return value


class Rank(Record):
    """Where an entry stands on its board, and how surely."""

    place: int = Field(ge=1, description="1 + the number of entries that have more images right")
    low: int = Field(ge=1, description="best rank that its comparisons leave open")
    high: int = Field(ge=1, description="worst rank that they leave open")


class Check(Record):
    """One thing that was done to verify an entry."""

    name: Text
    outcome: Literal["passed", "failed", "skipped", "flagged"]
    detail: Annotated[str, Field(max_length=2000)] = ""
    when: Text = ""
    version: Text = ""


class Facts(Record):
    """A group of provenance: its title and what it lists, in order."""

    title: Text
    rows: tuple[tuple[Text, Annotated[str, Field(max_length=4000)]], ...]


class SiteEntry(Record):
    """Everything a page shows about one entry besides what is stored per image."""

    id: EntryId
    name: Text
    org: Text
    owner: Text = ""
    submitter: Text = ""
    links: tuple[Link, ...] = ()
    training_data: Text = ""
    date: dt.date | None = None
    used_in_curation: bool = False
    tier: Tier
    backend: Text
    architecture: Text
    tag: Text = ""
    parameters: int | None = Field(default=None, ge=0)
    imagenet_top1: float | None = Field(default=None, ge=0, le=100, description="percent, as reported")
    imagenet_source: Link | None = None
    effective_robustness: float | None = Field(
        default=None, description="top-1 less what the line through the board's entries expects, a share"
    )
    rank_diff: int | None = Field(
        default=None,
        description="place by reported ImageNet top-1 less the place here, among those with both",
    )
    top1: Rate
    top5: Rate | None = None
    rank: Rank
    origins: Mapping[str, Rate] = {}
    n_labels: Mapping[str, Rate] = {}
    per_class: PerClass
    calibration: Calibration | None = None
    checks: tuple[Check, ...] = ()
    provenance: tuple[Facts, ...] = ()
    predictions_sha256: Text = ""


class PublishedRow(Record):
    """A model and the top-1 that a paper reports, in percent."""

    model: Text
    top1: float = Field(ge=0, le=100)
    used_in_curation: bool = False
    note: Text = ""


class PublishedTable(Record):
    """Figures as reported elsewhere, never re-scored and never ranked here."""

    slug: Slug
    title: Text
    source: Link | None = None
    benchmark: Text = Field(default="", description="under which it stands: `Board.benchmark`")
    release: Text = Field(description="which release of the images, in words")
    n: int | None = Field(default=None, ge=1, description="images in that release, where known")
    date: Text = ""
    note: Text = ""
    rows: tuple[PublishedRow, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Board:
    """One benchmark and its entries, best first.

    With m entries and n images: ``correct`` bool (m, n) and ``predicted`` int16 (m, n) are the top-1;
    ``kappa`` float (m, m) is the error consistency, NaN where undefined; ``tied`` bool (m, m) says
    which pairs the images do not tell apart; ``similar`` (m,) orders the entries so that those
    that err alike stand side by side. ``labels`` has an empty set for each image where they are not known.
    """

    slug: str
    title: str
    source: str
    fingerprint: str
    entries: tuple[SiteEntry, ...]
    image_ids: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    image_origins: tuple[str, ...]
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int16]
    kappa: NDArray[np.floating]
    tied: NDArray[np.bool_]
    similar: tuple[int, ...]
    neighbours_apart: int
    oracle: Rate
    note: str = ""
    benchmark: str = ""
    """Its name in the gold labels, which published tables go by; ``title`` is for reading."""

    def __post_init__(self) -> None:
        m, n = len(self.entries), len(self.image_ids)
        shapes = {
            "correct": (self.correct.shape, (m, n)),
            "predicted": (self.predicted.shape, (m, n)),
            "kappa": (self.kappa.shape, (m, m)),
            "tied": (self.tied.shape, (m, m)),
            "labels": ((len(self.labels),), (n,)),
            "image_origins": ((len(self.image_origins),), (n,)),
            "similar": (tuple(sorted(self.similar)), tuple(range(m))),
        }
        for name, (got, expected) in shapes.items():
            if got != expected:
                raise ResultError(f"board {self.slug}: {name} has the shape {got}: expected {expected}")
        for entry, right in zip(self.entries, self.correct.sum(axis=1).tolist(), strict=True):
            if (entry.top1.n_correct, entry.top1.n_total) != (right, n):
                raise ResultError(
                    f"board {self.slug}: {entry.id} claims {entry.top1}: its predictions get {right} of {n}"
                )

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    @property
    def labelled(self) -> bool:
        """Whether the images' labels are at hand: not on a page made of results alone."""
        return any(self.labels)

    @cached_property
    def origins(self) -> tuple[str, ...]:
        """Names of the variants that the images come from, the largest first; empty if there is only one."""
        names, counts = np.unique(np.array(self.image_origins, dtype=object), return_counts=True)
        order = np.lexsort((np.arange(len(names)), -counts))
        return tuple(str(names[i]) for i in order) if len(names) > 1 else ()

    @cached_property
    def solved_by(self) -> NDArray[np.intp]:
        """intp (n,): for each image the number of entries whose top-1 is right."""
        counts: NDArray[np.intp] = self.correct.sum(axis=0, dtype=np.intp)
        return counts


@dataclass(frozen=True)
class SiteData:
    """The whole site: boards in the order they are shown, and what was published elsewhere.

    ``left_out``: entries and records that could not be placed, each with the reason.
    """

    boards: tuple[Board, ...]
    published: tuple[PublishedTable, ...] = ()
    version: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def preview(self) -> bool:
        """Whether it is made of results alone, which nobody submitted or scored again."""
        return any(not board.labelled for board in self.boards)
