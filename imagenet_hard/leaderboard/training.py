"""What a model was trained on, as its entry states it: data sets by name with sizes, and its teachers.

Whether a set holds images of a benchmark is not said here: nobody looks into them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.text import shorten, size
from imagenet_hard.base.types import Record
from imagenet_hard.leaderboard.plain_text import MAX_NUMBER, Name

MAX_SETS = 20
WEB_SCALE = 100_000_000
"""Images from which a set is called web-scale."""

_SLACK = 1.1
"""A known set's size is rounded, and differs between its releases."""


@dataclass(frozen=True, slots=True)
class KnownSet:
    """``images``: how many, or how many pairs of an image and a text, rounded as its authors do; ``also``:
    other names of it, in small letters and digits alone."""

    images: int
    also: tuple[str, ...] = ()


_M, _B = 10**6, 10**9
KNOWN_SETS: Mapping[str, KnownSet] = MappingProxyType(
    {
        "ImageNet-1k": KnownSet(1_281_167, ("in1k", "imagenet", "ilsvrc2012")),
        "ImageNet-12k": KnownSet(12 * _M, ("in12k",)),
        "ImageNet-21k": KnownSet(14_197_122, ("in21k", "in22k", "imagenet22k")),
        "CC-3M": KnownSet(3_300_000),
        "CC-12M": KnownSet(12_400_000),
        "COYO-700M": KnownSet(747 * _M),
        "DataComp-1B": KnownSet(1_400 * _M, ("datacompxl",)),
        "DFN-2B": KnownSet(2 * _B),
        "DFN-5B": KnownSet(5 * _B),
        "IG-1B": KnownSet(_B),
        "IG-3.6B": KnownSet(3_600 * _M),
        "JFT-300M": KnownSet(300 * _M),
        "JFT-3B": KnownSet(3 * _B),
        "LAION-400M": KnownSet(413 * _M),
        "LAION-Aesthetic": KnownSet(900 * _M, ("laiona",)),
        "LAION-2B": KnownSet(2_320 * _M, ("laion2ben",)),
        "LAION-5B": KnownSet(5_850 * _M),
        "LVD-142M": KnownSet(142 * _M),
        "LVD-1689M": KnownSet(1_689 * _M),
        "Merged-30M": KnownSet(30 * _M),
        "Merged-38M": KnownSet(38 * _M),
        "Merged-2B": KnownSet(2 * _B),
        "MetaCLIP-400M": KnownSet(400 * _M),
        "MetaCLIP-2.5B": KnownSet(2_500 * _M, ("metaclipfullcc",)),
        "Places365": KnownSet(1_800_000),
        "SA-1B": KnownSet(11 * _M),
        "WebLI": KnownSet(10 * _B),
        "WIT-400M": KnownSet(400 * _M, ("webimagetext",)),
        "YFCC-15M": KnownSet(15 * _M),
        "YFCC-100M": KnownSet(100 * _M),
    }
)
"""Name -> what is known of it. Other names are allowed."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SPELT = {spelling: name for name, known in KNOWN_SETS.items() for spelling in (_plain(name), *known.also)}
_IMAGENET_1K, _IMAGENET = {"ImageNet-1k"}, {"ImageNet-1k", "ImageNet-12k", "ImageNet-21k"}

UNNAMED = "a model that is not named"
"""In place of a teacher's name, where only that there was one is known."""

Group = Literal[
    "ImageNet-1k only", "ImageNet-1k, distilled", "ImageNet-21k", "web-scale", "other", "unstated"
]
"""By what a board filters."""

GROUPS: tuple[Group, ...] = (
    *("ImageNet-1k only", "ImageNet-1k, distilled", "ImageNet-21k"),
    *("web-scale", "other", "unstated"),
)


class TrainingSet(Record):
    """A data set that a model was trained on; ``images``: how many of it, where that is not all of it."""

    name: Annotated[Name, Field(max_length=100)]
    images: Annotated[int, Field(ge=1, lt=MAX_NUMBER)] | None = Field(
        default=None, description="or pairs of an image and a text; null: those that the set is known to have"
    )

    @field_validator("name")
    @classmethod
    def _as_it_is_written(cls, name: str) -> str:
        if not name.isascii():  # or a letter of another alphabet would make a known set an unknown one
            raise ValueError(f"{name!a} has letters beyond ASCII: write it in those of the English alphabet")
        if (known := _SPELT.get(_plain(name), name)) != name:
            raise ValueError(f"{name!r} is written {known!r}")
        return name

    @model_validator(mode="after")
    def _not_too_many(self) -> TrainingSet:
        known = KNOWN_SETS.get(self.name)
        if known and self.images and self.images > _SLACK * known.images:
            raise ValueError(f"images is {self.images:,}: {self.name} has about {known.images:,}")
        return self

    @property
    def size(self) -> int | None:
        """Images, as stated or as known."""
        return self.images or (KNOWN_SETS[self.name].images if self.name in KNOWN_SETS else None)

    def __str__(self) -> str:
        return f"{self.name} ({size(self.size)})" if self.size else self.name


class Training(Record):
    """What a model was trained on first, what it was fine-tuned on, and which models taught it."""

    trained_on: Annotated[tuple[TrainingSet, ...], Field(max_length=MAX_SETS)] = ()
    fine_tuned_on: Annotated[tuple[TrainingSet, ...], Field(max_length=MAX_SETS)] = ()
    distilled_from: Annotated[tuple[Name, ...], Field(max_length=MAX_SETS)] = ()
    said_by: Literal["submitter", "tag"] = Field(
        default="submitter",
        description="tag: the name of the weights states it (leaderboard/training_tags.py)",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Training:
        if not self.sets:
            raise ValueError("no data set: expected one at least in trained_on or fine_tuned_on")
        for field in ("trained_on", "fine_tuned_on"):
            names = [each.name for each in getattr(self, field)]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{field} has {twice[0]!r} twice")
        if len(set(self.distilled_from)) < len(self.distilled_from):
            raise ValueError("distilled_from has a model twice")
        return self

    @property
    def sets(self) -> tuple[TrainingSet, ...]:
        """All of them."""
        return (*self.trained_on, *self.fine_tuned_on)

    @property
    def group(self) -> Group:
        """By the largest or least usual of the sets; what a teacher was trained on does not count."""
        names = {each.name for each in self.sets}
        if any((each.size or 0) >= WEB_SCALE for each in self.sets):
            return "web-scale"
        if not names <= _IMAGENET:
            return "other"
        if not names <= _IMAGENET_1K:
            return "ImageNet-21k"
        return "ImageNet-1k, distilled" if self.distilled_from else "ImageNet-1k only"

    def __str__(self) -> str:
        parts = [", ".join(map(str, self.trained_on))]
        parts += [f"fine-tuned on {', '.join(map(str, self.fine_tuned_on))}"] * bool(self.fine_tuned_on)
        parts += [f"distilled from {', '.join(self.distilled_from)}"] * bool(self.distilled_from)
        return "; ".join(filter(None, parts))

    @property
    def facts(self) -> tuple[object, ...]:
        """What it states, whoever says so and however closely."""
        names = (tuple(each.name for each in stage) for stage in (self.trained_on, self.fine_tuned_on))
        return *names, bool(self.distilled_from)


def training_set(text: str) -> TrainingSet:
    """A set as somebody typed it: ``NAME`` or ``NAME=IMAGES``, such as ``in22k`` or ``Photos=1.5M``.

    Raises:
        UsageError: no such number, or a name that no record may have.
    """
    name, equals, number = (part.strip() for part in text.rpartition("=")) if "=" in text else (text, "", "")
    try:
        return TrainingSet(name=_SPELT.get(_plain(name), name), images=_number(number) if equals else None)
    except ValidationError as error:
        raise UsageError(f"the training data {shorten(text)}: {first_problem(error)}") from None


def _number(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([kMB]?)", text.replace(",", ""), re.ASCII)
    if not match:
        raise UsageError(f"{shorten(text)} is no number of images: expected one such as 1281167, 14.2M or 2B")
    return round(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}[match[2]])


def training_of(
    trained_on: Sequence[str] = (), fine_tuned_on: Sequence[str] = (), distilled_from: Sequence[str] = ()
) -> Training | None:
    """What a submitter typed, each set as ``training_set`` reads it; None where that is nothing.

    Raises:
        UsageError: it does not hold together.
    """
    if not (trained_on or fine_tuned_on or distilled_from):
        return None
    first, later = (tuple(map(training_set, each)) for each in (trained_on, fine_tuned_on))
    try:
        return Training(trained_on=first, fine_tuned_on=later, distilled_from=tuple(distilled_from))
    except ValidationError as error:
        raise UsageError(f"the training data: {first_problem(error)}") from None
