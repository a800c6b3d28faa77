"""What the board tells of each entry, each thing once: how it is read, written, sorted, shown, taken along.

A ``Field`` is a value: a column of the CSV, a key of the JSON, what scripts sort and search by, a line of the
entry's page. A ``Column`` shows fields in the ranking, on the page and as text. To add one, add it here: the
page, the scripts, the downloads and the table command read these lists.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from imagenet_hard.base.text import pct, pct1, points, signed, size, span
from imagenet_hard.leaderboard.site.data import Board, Ranked
from imagenet_hard.leaderboard.site.imagenet import effective, reported_top1
from imagenet_hard.leaderboard.training import GROUPS

Value = str | int | float | bool | dt.date | None
Shown = Literal["always", "narrow", "wide", "hidden"]
"""At first: always, also in a narrow window, in a wide one, or only when it is chosen."""

TIERS: Mapping[str, str] = {
    "unsubmitted": "A result as it lies on this machine: who is right is what it says.",
    "published": "A figure that a paper reports; no predictions were seen.",
    "self-reported": "No verification of the entry as it is now is recorded; its score here is still "
    "computed from its predictions.",
    "re-scored": "The score was computed again from the submitted predictions.",
    "spot-checked": "Re-scored, and the model was run again on enough images that nobody could foresee.",
    "reproduced": "Re-scored, and the model was run again on all images.",
}

ASKED = "asked"
"""The field, column and filter of answers in words."""

TRAINING_GROUP, DISTILLED = "training_group", "distilled"
"""Fields of what is stated of the training data, by sets."""

MOST_ORIGINS = 8
"""Sources of the images of which the table has columns at first."""


@dataclass(frozen=True)
class Field:
    """A value of each entry.

    ``name``: in CSV, JSON and scripts; ``title``: on the entry's page, which says nothing of it where that is
    "", and ``fact``: how it is written there. ``flat``: a key of its own in JSON, not within a record.
    ``word``: the submitter's, at every tier. ``search``: found by the page's search.
    """

    name: str
    read: Callable[[Ranked], Value]
    title: str = ""
    fact: Callable[[Ranked], str] | None = None
    flat: bool = True
    word: bool = False
    search: bool = False

    def plain(self, entry: Ranked) -> str | int | float | bool | None:
        """The value as JSON has it."""
        value = self.read(entry)
        return value.isoformat() if isinstance(value, dt.date) else value

    def cell(self, entry: Ranked) -> str | int | float | None:
        """The value as CSV has it."""
        value = self.plain(entry)
        return str(value).lower() if isinstance(value, bool) else value

    def written(self, entry: Ranked) -> str:
        """The value on the entry's page; "" where there is none."""
        if self.fact:
            return self.fact(entry)
        value = self.plain(entry)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Column:
    """A column of the ranking.

    ``key``: in the page's address; ``fields``: names of what it shows, in the CSV of what is shown; ``text``:
    a cell. ``sort``: fields by which it sorts, else the first; ``descending``: at the first click. ``about``:
    what it means, where the title does not say. ``macro``: of ``cells.html.jinja``, for a cell that is more
    than its text, and ``css`` its class. ``lead``: stands before all others on the page. ``where``: on the
    page, in text (Markdown, LaTeX), or in both.
    """

    key: str
    title: str
    fields: tuple[str, ...]
    text: Callable[[Ranked], str]
    number: bool = False
    sort: tuple[str, ...] = ()
    descending: bool = False
    shown: Shown = "wide"
    about: str = ""
    macro: str = ""
    css: str = ""
    lead: bool = False
    where: Literal["page", "text", "both"] = "both"

    @property
    def word(self) -> bool:
        """Whether it is the submitter's word."""
        return any(field.word for field in FIELDS if field.name in self.fields)

    @property
    def choice(self) -> str:
        """Its name where the reader chooses columns."""
        return self.title.removesuffix(", %")

    @property
    def heading(self) -> str:
        """Its name in text."""
        return self.title.replace(", %", " %")

    def script(self) -> dict[str, Any]:
        """What the page's script has to know."""
        return {
            "key": self.key,
            "fields": self.fields,
            "sort": self.sort or self.fields[:1],
            "descending": self.descending,
            "number": self.number,
            "shown": self.shown,
        }


@dataclass(frozen=True)
class Filter:
    """A choice that leaves rows out. ``key``: in the page's address; ``field``: what it looks at.

    ``kind``: the very value, a range in millions, or yes and no. ``choices``: (value, its name); without, the
    values that the entries have. ``every``: the name of no choice.
    """

    key: str
    title: str
    field: str
    kind: Literal["exact", "range", "flag"] = "exact"
    choices: tuple[tuple[str, str], ...] = ()
    every: str = "Any"

    def options(self, entries: Sequence[Ranked]) -> tuple[tuple[str, str], ...]:
        """(value, name) of each choice; exact values in order, tiers and training data from the least."""
        if self.choices:
            return self.choices
        found = {str(field(self.field).read(entry)) for entry in entries} - {""}
        order: list[str] = next((list(known) for known in (TIERS, GROUPS) if found <= set(known)), [])
        return tuple((each, each) for each in sorted(found, key=order.index if order else None))


def _imagenet(entry: Ranked) -> float | None:
    return entry.imagenet.percent / 100 if entry.imagenet else None


def _trained_on(entry: Ranked) -> str:
    if entry.training is None:
        return ""
    by = ", as the name of its weights says" if entry.training.said_by == "tag" else ""
    return f"{entry.training}{by}"


FIELDS = (
    Field("rank", lambda e: e.rank.place, flat=False),
    Field("rank_low", lambda e: e.rank.low, flat=False),
    Field("rank_high", lambda e: e.rank.high, flat=False),
    Field("id", lambda e: e.id, search=True),
    Field("name", lambda e: e.name, search=True),
    Field("org", lambda e: e.org, search=True),
    Field("backend", lambda e: e.backend, title="Backend", search=True),
    Field("architecture", lambda e: e.architecture, title="Architecture"),
    Field("tag", lambda e: e.tag, title="Weights"),
    Field(ASKED, lambda e: e.asked, title="Asked", search=True),
    Field("tier", lambda e: e.tier, search=True),
    Field("n_correct", lambda e: e.top1.n_correct, flat=False),
    Field("n_total", lambda e: e.top1.n_total, flat=False),
    Field("top1", lambda e: e.top1.accuracy, flat=False),
    Field("low", lambda e: e.top1.low, flat=False),
    Field("high", lambda e: e.top1.high, flat=False),
    Field("top5", lambda e: e.top5.accuracy if e.top5 else None, flat=False),
    Field(
        "parameters",
        lambda e: e.parameters,
        title="Parameters",
        fact=lambda e: "" if e.parameters is None else f"{size(e.parameters)} ({e.parameters:,})",
    ),
    Field("training_data", lambda e: e.training_data, title="Training data", word=True, search=True),
    Field(
        "trained_on",
        lambda e: str(e.training or ""),
        title="Trained on",
        fact=_trained_on,
        search=True,
    ),
    Field(TRAINING_GROUP, lambda e: e.training_group),
    Field(DISTILLED, lambda e: bool(e.training and e.training.distilled_from)),
    Field("date", lambda e: e.date, title="Date"),
    Field("used_in_curation", lambda e: e.used_in_curation),
    Field(
        "imagenet_top1_reported",
        _imagenet,
        title="ImageNet top-1, as reported",
        fact=reported_top1,
        flat=False,
    ),
    Field(
        "effective_robustness",
        lambda e: e.effective_robustness,
        title="Effective robustness",
        fact=effective,
    ),
    Field("rank_diff", lambda e: e.rank_diff),
)
"""In the order of the CSV."""

COLUMNS = (
    Column(
        key="rank",
        title="Rank",
        fields=("rank",),
        text=lambda e: str(e.rank.place),
        number=True,
        shown="always",
        macro="rank",
        css="col-rank",
        lead=True,
    ),
    Column(
        key="range",
        title="Rank range",
        fields=("rank_low", "rank_high"),
        text=lambda e: str(e.rank.low) if e.rank.low == e.rank.high else f"{e.rank.low}–{e.rank.high}",
        number=True,
        sort=("rank_low", "rank_high"),
        shown="narrow",
        macro="range",
        css="col-range",
    ),
    Column(
        key="name",
        title="Model",
        fields=("id", "name", "org", "backend", "used_in_curation"),
        text=lambda e: e.name,
        sort=("name",),
        shown="always",
        macro="name",
        css="col-name",
        lead=True,
    ),
    Column(
        key=ASKED,
        title="Asked",
        fields=(ASKED,),
        text=lambda e: e.asked,
        about="Of a model that answers in words, which has a top-1 only: the protocol, its version, and what "
        "was changed of its request",
    ),
    Column(key="by", title="By", fields=("org",), text=lambda e: e.org, where="text"),
    Column(
        key="top1",
        title="Top-1, %",
        fields=("n_correct", "n_total", "top1"),
        text=lambda e: pct(e.top1.accuracy),
        number=True,
        descending=True,
        shown="always",
        macro="strong",
    ),
    Column(
        key="interval",
        title="95 % interval",
        fields=("low", "high"),
        text=lambda e: span(e.top1),
        number=True,
        descending=True,
        macro="interval",
        css="col-iv",
    ),
    Column(
        key="top5",
        title="Top-5, %",
        fields=("top5",),
        text=lambda e: pct(e.top5.accuracy) if e.top5 else "",
        number=True,
        descending=True,
    ),
    Column(
        key="robust",
        title="Effective robustness",
        fields=("effective_robustness",),
        text=lambda e: "" if e.effective_robustness is None else points(e.effective_robustness),
        number=True,
        descending=True,
        about="Points above what the line through this board's entries expects of the reported ImageNet "
        "accuracy",
        where="page",
    ),
    Column(
        key="rankdiff",
        title="Rank against ImageNet",
        fields=("rank_diff",),
        text=lambda e: "" if e.rank_diff is None else signed(e.rank_diff),
        number=True,
        descending=True,
        about="Place by reported ImageNet accuracy less the place here, among entries that report it",
        where="page",
    ),
    Column(
        key="params",
        title="Parameters",
        fields=("parameters",),
        text=lambda e: "" if e.parameters is None else size(e.parameters),
        number=True,
    ),
    Column(
        key="training",
        title="Training data",
        fields=("training_data", "trained_on", TRAINING_GROUP, DISTILLED),
        text=lambda e: e.training_data or str(e.training or ""),
        sort=(TRAINING_GROUP, "training_data"),
    ),
    Column(
        key="date",
        title="Date",
        fields=("date",),
        text=lambda e: e.date.isoformat(),
        descending=True,
        where="page",
    ),
    Column(
        key="tier",
        title="Tier",
        fields=("tier",),
        text=lambda e: f"{e.tier}, used in curation" if e.used_in_curation else e.tier,
        macro="tier",
    ),
)
"""In the order of the text tables; the page has those that lead first."""

FILTERS = (
    Filter(key="backend", title="Backend", field="backend"),
    Filter(
        key="size",
        title="Parameters",
        field="parameters",
        kind="range",
        choices=(
            ("0-10", "up to 10 M"),
            ("10-50", "10 to 50 M"),
            ("50-200", "50 to 200 M"),
            ("200-", "over 200 M"),
        ),
    ),
    Filter(key="trained", title="Trained on", field=TRAINING_GROUP),
    Filter(
        key="distilled",
        title="Distilled",
        field=DISTILLED,
        kind="flag",
        choices=(("no", "Hide those models"), ("yes", "Only those models")),
        every="Show all",
    ),
    Filter(key="training", title="Training data, in words", field="training_data"),
    Filter(key="tier", title="Tier", field="tier"),
    Filter(
        key="curation",
        title="Used in curation",
        field="used_in_curation",
        kind="flag",
        choices=(("no", "Hide those models"), ("yes", "Only those models")),
        every="Show all",
    ),
    Filter(key=ASKED, title="Asked", field=ASKED),
)


def field(name: str) -> Field:
    """A field by its name."""
    return next(each for each in FIELDS if each.name == name)


def fields_of(board: Board) -> tuple[Field, ...]:
    """The fields of a board: besides the usual, top-1 on each source of its images."""
    usual = (each for each in FIELDS if each.name != ASKED or in_words(board))
    return (*usual, *(Field(_on(name), _top1_on(name), flat=False) for name in board.origins))


def in_words(board: Board) -> bool:
    """Whether any entry of a board answers in words; what tells of that alone is left out otherwise."""
    return any(entry.asked for entry in board.entries)


def filters_of(board: Board) -> tuple[Filter, ...]:
    """The choices of a board's page."""
    stated = any(entry.training for entry in board.entries)
    shown = {ASKED: in_words(board), TRAINING_GROUP: stated, DISTILLED: stated}
    return tuple(each for each in FILTERS if shown.get(each.field, True))


def page_columns(board: Board) -> list[Column]:
    """The columns of a board's page, in their order."""
    origins = board.origins
    shown: Shown = "wide" if len(origins) <= MOST_ORIGINS else "hidden"
    usual = sorted((each for each in _columns(board) if each.where != "text"), key=lambda each: not each.lead)
    # A date tells least; columns of the images' sources need the room.
    usual = [replace(c, shown="hidden") if origins and c.key == "date" else c for c in usual]
    return [
        *usual,
        *(
            Column(f"o{i}", name, (_on(name),), _text_on(name), number=True, descending=True, shown=shown)
            for i, name in enumerate(origins)
        ),
    ]


def text_columns(board: Board) -> list[Column]:
    """The columns of a board's tables in Markdown and LaTeX, in their order."""
    return [each for each in _columns(board) if each.where != "page"]


def _columns(board: Board) -> list[Column]:
    return [each for each in COLUMNS if each.key != ASKED or in_words(board)]


def _on(origin: str) -> str:
    return f"top1 {origin}"


def _top1_on(origin: str) -> Callable[[Ranked], Value]:
    return lambda entry: entry.origins[origin].accuracy if origin in entry.origins else None


def _text_on(origin: str) -> Callable[[Ranked], str]:
    return lambda entry: pct1(entry.origins[origin].accuracy) if origin in entry.origins else ""
