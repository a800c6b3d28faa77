"""What the page shows: an entry's own records, and the numbers that were worked out beside them.

``SiteData`` holds a ``Board`` per benchmark fingerprint, because scores of different images are never
ranked together, and the published tables beside them. Every string may come from a stranger: escaping is the
templates' part.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.types import N_CLASSES, ModelSpec, Record
from imagenet_hard.evaluation.calibration import Calibration
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.metrics import PerClass, Rate
from imagenet_hard.evaluation.result import Result
from imagenet_hard.leaderboard.corrections import CorrectedGold
from imagenet_hard.leaderboard.entry import Entry, ReportedTop1, Tier
from imagenet_hard.leaderboard.plain_text import MAX_NUMBER, Link
from imagenet_hard.leaderboard.published import PublishedTable
from imagenet_hard.leaderboard.site.said import AllSaid
from imagenet_hard.leaderboard.stats.doubts import Ballot, Doubts, find_doubts
from imagenet_hard.leaderboard.stats.moved import Moved
from imagenet_hard.leaderboard.training import Group, Training
from imagenet_hard.leaderboard.verify.ownership import said_owner
from imagenet_hard.leaderboard.verify.report import Check, Earlier, Report, tier_by
from imagenet_hard.leaderboard.withdrawn import Withdrawal

NO_CONFIDENCE = 255
"""In place of a confidence in percent."""

_LONGEST = 500
"""Characters of a model's backend, name and tag, which no record bounds."""


class Rank(Record):
    """Where an entry stands on its board, and how surely."""

    place: int = Field(ge=1, description="1 + the number of entries that have more images right")
    low: int = Field(ge=1, description="best rank that its comparisons leave open")
    high: int = Field(ge=1, description="worst rank that they leave open")


class Elsewhere(Record):
    """The same model's entry on another benchmark."""

    id: str
    benchmark: str
    fingerprint: str
    top1: Rate
    place: int = Field(ge=1)
    entries: int = Field(ge=1, description="on that benchmark")


@dataclass(frozen=True, kw_only=True)
class Unranked:
    """A model on a benchmark before it is ranked: its record, and what its answers get.

    ``record``: the entry as it was submitted, or a result that nobody submitted. ``report``: what the board
    checked of the entry, and ``earlier`` the states of it that were replaced, the first first. ``name``: what
    the board calls it, as results have no such name of their own. ``words``: of answers in words, what they
    name, as they are read now, and ``said`` the answers, where they are at hand. ``superclasses``: top-1 on
    the images with a label in each (``imagenet.superclasses``), where labels are known.
    """

    id: str
    name: str
    record: Entry | Result
    used_in_curation: bool
    imagenet: ReportedTop1 | None
    top1: Rate
    top5: Rate | None
    origins: Mapping[str, Rate]
    n_labels: Mapping[str, Rate]
    per_class: PerClass
    calibration: Calibration | None
    report: Report | None = None
    earlier: tuple[Earlier, ...] = ()
    words: AnswersInfo | None = None
    said: AllSaid | None = None
    superclasses: Mapping[str, Rate] = field(default_factory=dict)

    @property
    def entry(self) -> Entry | None:
        """The entry; None on a page of results alone."""
        return self.record if isinstance(self.record, Entry) else None

    @property
    def result(self) -> Result | None:
        """How it was scored, where that is known."""
        return self.record.result if isinstance(self.record, Entry) else self.record

    @property
    def model(self) -> ModelSpec:
        """Which classifier it is."""
        return self.record.model

    @property
    def backend(self) -> str:
        """The library that the model is from."""
        return self.model.backend[:_LONGEST]

    @property
    def asked(self) -> str:
        """How it was asked, where it answers in words."""
        return self.words.how if self.words else ""

    @property
    def read_anew(self) -> str:
        """What the matcher made of the answers that read them for the submission, where it was another."""
        result, now = self.result, self.words
        if not result or not result.answers or not now or result.answers.matcher == now.matcher:
            return ""
        before, right = result.answers.matcher, result.metrics.top1.n_correct
        return f"matcher {before.version} ({before.sha256[:12]}), by which {right:,} were right"

    @property
    def architecture(self) -> str:
        """The model's name there."""
        return self.model.name[:_LONGEST]

    @property
    def tag(self) -> str:
        """Which of its weights."""
        return (self.model.tag or "")[:_LONGEST]

    @property
    def parameters(self) -> int | None:
        """Their number, where it is known."""
        n = self.model.parameters
        return None if n is None or n >= MAX_NUMBER else n

    @property
    def org(self) -> str:
        """Who made the model."""
        return self.entry.org if self.entry else ""

    @property
    def submitter(self) -> str:
        """Who answers for the entry."""
        return self.entry.submitter if self.entry else ""

    @property
    def owner(self) -> str:
        """The accounts that may replace it, in words."""
        return said_owner(self.entry) if self.entry and self.entry.owner else ""

    @property
    def links(self) -> tuple[Link, ...]:
        """Where more is to be read."""
        return self.entry.links if self.entry else ()

    @property
    def training_data(self) -> str:
        """What the model was trained on, in its submitter's words."""
        return self.entry.training_data if self.entry else ""

    @property
    def training(self) -> Training | None:
        """The same by sets, where the entry has that."""
        return self.entry.training if self.entry else None

    @property
    def training_group(self) -> Group:
        """What the board filters by."""
        return self.training.group if self.training else "unstated"

    @property
    def date(self) -> dt.date:
        """When it was scored."""
        return self.record.date if isinstance(self.record, Entry) else self.record.created.date()

    @property
    def tier(self) -> Tier | Literal["unsubmitted"]:
        """How much was checked."""
        return tier_by(self.report) if self.entry else "unsubmitted"

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was checked."""
        return self.report.checks if self.report else ()

    @property
    def predictions_sha256(self) -> str:
        """Hash of the answers."""
        return self.record.predictions_sha256


@dataclass(frozen=True, kw_only=True)
class Ranked(Unranked):
    """The same among the others of its board.

    ``effective_robustness``: top-1 less what the line through the board's entries expects, a share;
    ``rank_diff``: place by reported ImageNet top-1 less the place here, among those with both; ``also_on``:
    the model on other benchmarks.
    """

    rank: Rank
    effective_robustness: float | None = None
    rank_diff: int | None = None
    also_on: tuple[Elsewhere, ...] = ()

    @classmethod
    def of(
        cls, model: Unranked, rank: Rank, *, effective_robustness: float | None, rank_diff: int | None
    ) -> Ranked:
        """A model with its rank."""
        known = {each.name: getattr(model, each.name) for each in fields(Unranked)}
        return cls(**known, rank=rank, effective_robustness=effective_robustness, rank_diff=rank_diff)


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
    entries: tuple[Ranked, ...]
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
    confidence: NDArray[np.uint8] | None = None
    """uint8 (m, n): of each top-1 in percent, ``NO_CONFIDENCE`` where it is not known; None: of all."""
    viewer: str = ""
    """Address of the benchmark's rows in the Hub's data set viewer, where that is where it is."""
    submitted: bool = True
    """Whether its entries are: not those of a page made of results alone."""

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
            "confidence": ((m, n) if self.confidence is None else self.confidence.shape, (m, n)),
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
        """Whether the images' labels are at hand: not where results alone are."""
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

    @cached_property
    def doubts(self) -> Doubts | None:
        """What the first answers speak against the labels; None where these are not at hand."""
        if not all(self.labels):
            return None
        right = np.zeros((self.n, N_CLASSES), np.bool_)
        for row, labels in enumerate(self.labels):
            right[row, list(labels)] = True
        said = zip(self.entries, self.predicted[:, :, None], strict=True)
        return find_doubts([Ballot(entry.id, classes) for entry, classes in said], right)


@dataclass(frozen=True)
class MovedEntry:
    """An entry's score, and its place among the entries of the version, before and after a correction."""

    id: str
    name: str
    moved: Moved
    place_before: int
    place_after: int


@dataclass(frozen=True)
class Corrected:
    """A correction of a board's gold, and what it moved; entries by their place after it."""

    title: str
    slug: str
    version: CorrectedGold
    entries: tuple[MovedEntry, ...]


@dataclass(frozen=True)
class SiteData:
    """The whole site: boards in the order they are shown, and what was published elsewhere.

    ``left_out``: entries and records that could not be placed, each with the reason; ``withdrawn``: what was
    taken back, the latest first; ``corrected``: corrections of gold labels, the newest of each board first.
    """

    boards: tuple[Board, ...]
    published: tuple[PublishedTable, ...] = ()
    version: str = ""
    left_out: tuple[str, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()
    corrected: tuple[Corrected, ...] = ()

    def with_boards(self, boards: Iterable[Board]) -> SiteData:
        """The site of these boards."""
        return replace(self, boards=tuple(boards))

    def only(self, benchmark: str) -> SiteData:
        """The site of one of its boards, by the benchmark's name, title or beginning of the fingerprint.

        Raises:
            UsageError: none is it, or several are.
        """
        found = [
            board
            for board in self.boards
            if benchmark in (board.benchmark, board.title, board.slug)
            or board.fingerprint.startswith(benchmark)
        ]
        if len(found) != 1:
            known = ", ".join(f"{board.title} ({board.fingerprint[:12]}...)" for board in self.boards)
            raise UsageError(f"{len(found)} benchmarks are {benchmark!r}: expected one of {known or 'none'}")
        return self.with_boards(found)

    @property
    def preview(self) -> bool:
        """Whether it is made of results alone, which nobody submitted or scored again."""
        return any(not board.submitted for board in self.boards)
