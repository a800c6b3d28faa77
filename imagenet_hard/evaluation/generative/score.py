"""What answers in words are read as: right or not, and how many name no class, as a result records it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import (
    N_CLASSES,
    NO_CLASS,
    Predictions,
    Record,
    Sha256,
    says_nothing,
)
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.matcher import KINDS, VERSION, Kind, Match, match, matcher_sha256
from imagenet_hard.evaluation.generative.prompts import Asked
from imagenet_hard.evaluation.metrics import Metrics
from imagenet_hard.imagenet import classes, wordnet

Count = Annotated[int, Field(ge=0)]
FILTERED = "content_filter"
TRUNCATED = "length"
"""Why an answer ended: it was kept back; it was too long."""


class MatcherInfo(Record):
    """Which rules read the answers."""

    version: Annotated[int, Field(ge=1)]
    sha256: str = Field(description="hash of the rules and of the facts that they read")


def this_matcher() -> MatcherInfo:
    """The one of this release."""
    return MatcherInfo(version=VERSION, sha256=matcher_sha256())


@dataclass(frozen=True)
class Reading:
    """What raw answers are read as, one of each an image. ``right``: bool (n,); ``wanted``: the labels."""

    ids: tuple[str, ...]
    matches: tuple[Match, ...]
    wanted: tuple[frozenset[int], ...]
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, ids: tuple[str, ...], matches: tuple[Match, ...], labels: Sequence[Sequence[int]]) -> Reading:
        """What was matched, against the ``labels`` in the order of ``ids``."""
        wanted = tuple(map(frozenset, labels))
        right = [not labels.isdisjoint(m.classes) for labels, m in zip(wanted, matches, strict=True)]
        return cls(ids, matches, wanted, np.array(right))

    @property
    def predictions(self) -> Predictions:
        """The class that each names: of several that share a name the one that is right, else the first."""
        named = [
            min(set(m.classes) & labels or m.classes, default=NO_CLASS)
            for m, labels in zip(self.matches, self.wanted, strict=True)
        ]
        return Predictions.in_words(self.ids, np.array(named))

    @property
    def shared(self) -> int:
        """Right answers by a name that several classes share."""
        return sum(
            bool(right) and len(m.classes) > 1 for right, m in zip(self.right, self.matches, strict=True)
        )

    @property
    def credit(self) -> float:
        """The mean of 1 where right, else ``depth_credit``."""
        each = zip(self.right, self.matches, self.wanted, strict=True)
        values = [1.0 if right else depth_credit(m, labels) for right, m, labels in each]
        return sum(values) / len(values)

    def kinds(self, of: Sequence[str] | None = None, origin: str = "") -> dict[Kind, int]:
        """How many answers are of each kind: all, or those of an origin (``of``: each image's)."""
        return _kinds([m for i, m in enumerate(self.matches) if of is None or of[i] == origin])


def matched(raw: RawAnswers) -> tuple[Match, ...]:
    """What each answer names. What a content filter kept back is a refusal, whatever it says."""
    matches = [match(answer) for answer in raw.answers]
    for i, why in enumerate(raw.finish):
        if why == FILTERED:
            matches[i] = Match("refusal", rule="content filter")
    return tuple(matches)


def read_answers(raw: RawAnswers, labels: Sequence[Sequence[int]]) -> Reading:
    """What each answer names, and whether that is a label of its image; ``labels`` in the answers' order."""
    return Reading.of(raw.ids, matched(raw), labels)


class AnswersInfo(Record):
    """Of a result: what a model's answers in words name, and how it was asked."""

    matcher: MatcherInfo
    answers_sha256: Sha256 = Field(description="hash of the ids, raw answers and why they ended, beside it")
    kinds: Mapping[Kind, Count] = Field(
        description="answers that name a class, and those that do not, by why"
    )
    kinds_by_origin: Mapping[str, Mapping[Kind, Count]] = Field(description="the same for each origin")
    shared: Count = Field(description="of the right ones, those by a name that several classes share")
    depth_credit: float = Field(
        ge=0, le=1, description="as in the record of `imagenet-hard match`: beside top-1, never in it"
    )
    truncated: Count = Field(description="answers that ended because they were too long")
    asked: Asked | None = Field(
        None, exclude_if=says_nothing, description="how; None for answers that were produced elsewhere"
    )

    @classmethod
    def of(
        cls, raw: RawAnswers, reading: Reading, origins: Sequence[str], asked: Asked | None
    ) -> AnswersInfo:
        """Of raw answers as they are read; ``origins`` in their order."""
        return cls(
            matcher=this_matcher(),
            answers_sha256=raw.sha256,
            kinds=reading.kinds(),
            kinds_by_origin={each: reading.kinds(origins, each) for each in sorted(set(origins))},
            shared=reading.shared,
            depth_credit=reading.credit,
            truncated=raw.finish.count(TRUNCATED),
            asked=asked,
        )

    def check(self, metrics: Metrics) -> None:
        """Do the counts fit the metrics?

        Raises:
            ValueError: they do not.
        """
        kinds = Counter[Kind]()
        for each in self.kinds_by_origin.values():
            kinds.update(each)
        if sum(self.kinds.values()) != metrics.n_total or kinds != Counter(self.kinds):
            raise ValueError(f"answers.kinds counts other images than the {metrics.n_total} of the metrics")
        if not self.shared <= metrics.n_correct <= self.kinds.get("class", 0):
            raise ValueError("metrics count more right answers than answers.kinds has that name a class")

    @property
    def choices(self) -> int:
        """Among how many names the model chose, where a label of the image is always among them and most
        classes are not; else 0. Such a score is of another task than the benchmark's."""
        names = self.asked.prompt.names if self.asked else 0
        return names if names < N_CLASSES else 0

    @property
    def how(self) -> str:
        """How it was asked, in a few words: "open 1, temperature 1"."""
        if self.asked is None:
            return "in words"
        prompt, settings = self.asked.prompt, self.asked.settings
        fields = sorted({*prompt.settings, *settings})
        changed = [field for field in fields if prompt.settings.get(field) != settings.get(field)]
        return ", ".join([self.asked.label, *(_setting(field, settings) for field in changed)])

    @property
    def words(self) -> str:
        """How many answers name no class, and why; "" where all do."""
        return ", ".join(f"{n:,} {kind}" for kind, n in self.kinds.items() if n and kind != "class")


def _setting(field: str, settings: Mapping[str, Any]) -> str:
    return f"{field} {shorten(settings[field], 40)}" if field in settings else f"no {field}"


def _kinds(matches: Sequence[Match]) -> dict[Kind, int]:
    counts = Counter(each.kind for each in matches)
    return {kind: counts[kind] for kind in KINDS}


def depth_credit(match: Match, labels: frozenset[int]) -> float:
    """Of a wider term: its depth in WordNet over that of a label below it, the best of all; else 0.

    >>> from imagenet_hard.evaluation.generative.matcher import match
    >>> round(depth_credit(match("dog"), frozenset({207})), 2), depth_credit(match("cat"), frozenset({207}))
    (0.67, 0.0)
    """
    wnids = [classes.wnids()[label] for label in labels]
    return max(
        (
            wordnet.depth(wider) / wordnet.depth(wnid)
            for wnid in wnids
            for wider in match.wider
            if wider in wordnet.ancestors(wnid)
        ),
        default=0.0,
    )
