"""The score of answers in words: top-1 alone, and how many name no class, all from the raw answers.

The record has no top-5, no calibration and no near-ties: words have no scores. It lies beside the raw answers
(``answers.py``), so that everything in it is computed again where it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import pct, shorten, span
from imagenet_hard.base.types import (
    N_CLASSES,
    NO_CLASS,
    SCHEMA_VERSION,
    BenchmarkInfo,
    Predictions,
    Record,
    SchemaVersion,
    Sha256,
    says_nothing,
)
from imagenet_hard.evaluation.generative.answers import RawAnswers, check_same_ids, read_raw, write_raw
from imagenet_hard.evaluation.generative.matcher import KINDS, VERSION, Kind, Match, match, matcher_sha256
from imagenet_hard.evaluation.generative.prompts import Asked
from imagenet_hard.evaluation.metrics import Metrics, Rate, rates_by
from imagenet_hard.imagenet import classes, wordnet

RECORD_SUFFIX = ".matched.json"
ANSWERS_SUFFIX = ".answers.parquet"

Count = Annotated[int, Field(ge=0)]
FILTERED = "content_filter"
TRUNCATED = "length"
"""Why an answer ended: it was kept back; it was too long."""

_CLOSE = 1e-12


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


class Origin(Record):
    """The images of one origin."""

    top1: Rate
    kinds: Mapping[Kind, Count]


class MatchedAnswers(Record):
    """What answers in words get on a benchmark."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    metrics: Literal["top-1 only"] = Field(
        default="top-1 only", description="words have no scores: no top-5, no calibration, no near-ties"
    )
    name: str = Field(min_length=1, max_length=256, description="whose answers they are")
    benchmark: BenchmarkInfo
    matcher: MatcherInfo
    answers_sha256: str = Field(description="hash of the ids and raw answers in the Parquet file beside it")
    top1: Rate = Field(description="right: the answer names a label of the image; of all images")
    kinds: Mapping[Kind, Count] = Field(
        description="answers that name a class, and those that do not, by why"
    )
    shared: Count = Field(description="of the right ones, those by a name that several classes share")
    depth_credit: float = Field(
        ge=0,
        le=1,
        description="mean over all images of 1 where right, the depth of a wider term over that of the label "
        "below it in WordNet, and 0; beside top-1, never in it",
    )
    by_origin: Mapping[str, Origin]
    package: str = Field(default=__version__, description="version of imagenet-hard")


def score_answers(
    raw: RawAnswers,
    ids: Sequence[str],
    labels: Sequence[Sequence[int]],
    origins: Sequence[str],
    benchmark: BenchmarkInfo,
    *,
    name: str,
    where: str = "answers",
) -> MatchedAnswers:
    """Score raw answers against the ``labels`` and ``origins`` of ``ids``, in any order.

    Raises:
        ResultError: not exactly one answer to each image.
    """
    check_same_ids(raw, ids, benchmark.name, where)
    place = {id: i for i, id in enumerate(ids)}
    rows = [place[id] for id in raw.ids]
    of = [origins[i] for i in rows]
    reading = read_answers(raw, [labels[i] for i in rows])
    right = reading.right
    return MatchedAnswers(
        name=name,
        benchmark=benchmark,
        matcher=this_matcher(),
        answers_sha256=raw.sha256,
        top1=Rate.of(int(right.sum()), len(right)),
        kinds=reading.kinds(),
        shared=reading.shared,
        depth_credit=reading.credit,
        by_origin={
            origin: Origin(top1=rate, kinds=reading.kinds(of, origin))
            for origin, rate in rates_by(right, of).items()
        },
    )


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


def write_matched(folder: Path, stem: str, record: MatchedAnswers, raw: RawAnswers) -> Path:
    """Write ``<stem>.answers.parquet``, then ``<stem>.matched.json``; the JSON's path.

    Raises:
        ResultError: the disk refuses.
    """
    write_raw(folder / f"{stem}{ANSWERS_SUFFIX}", raw)
    path = folder / f"{stem}{RECORD_SUFFIX}"
    write_atomically(path, (record.model_dump_json(indent=2) + "\n").encode())
    return path


def read_matched(path: Path) -> tuple[MatchedAnswers, RawAnswers]:
    """A record and the raw answers beside it, which are those that it names.

    Raises:
        ResultError: naming the file and what is wrong.
    """
    if not path.name.endswith(RECORD_SUFFIX):
        raise ResultError(f"{path} is not a record of answers: expected a name that ends in {RECORD_SUFFIX}")
    record = read_record(path, MatchedAnswers)
    beside = path.with_name(path.name.removesuffix(RECORD_SUFFIX) + ANSWERS_SUFFIX)
    raw = read_raw(beside)
    if raw.sha256 != record.answers_sha256:
        raise ResultError(
            f"{beside} hashes to {raw.sha256[:16]}...: {path.name} names {record.answers_sha256[:16]}..."
        )
    return record, raw


def check_recomputed(
    record: MatchedAnswers,
    raw: RawAnswers,
    ids: Sequence[str],
    labels: Sequence[Sequence[int]],
    origins: Sequence[str],
    *,
    where: str = "record",
) -> None:
    """Every figure of a record follows from the raw answers, the gold and this matcher.

    Raises:
        ResultError: another matcher made it, or the first figure that does not.
    """
    found = score_answers(raw, ids, labels, origins, record.benchmark, name=record.name, where=where)
    if record.matcher != found.matcher:
        raise ResultError(
            f"{where}: made by matcher {record.matcher.version} ({record.matcher.sha256[:12]}...), this is "
            f"{found.matcher.version} ({found.matcher.sha256[:12]}...): match the answers again"
        )
    for field in ("answers_sha256", "top1", "kinds", "shared", "depth_credit", "by_origin"):
        got, expected = getattr(record, field), getattr(found, field)
        same = abs(got - expected) < _CLOSE if field == "depth_credit" else got == expected
        if not same:
            raise ResultError(f"{where}: {field} is {got}: the answers give {expected}")


def matched_tables(record: MatchedAnswers) -> list[Table]:
    """The score and the kinds of answers, for all images and for each origin where there are several."""
    header = ["images", "n", "top-1 %", "95 % interval", *KINDS]
    rows = [("all", record.top1, record.kinds)]
    if len(record.by_origin) > 1:
        rows += [(origin or "(none)", each.top1, each.kinds) for origin, each in record.by_origin.items()]
    return [
        Table(
            header,
            [
                [name, f"{rate.n_total:,}", pct(rate.accuracy), span(rate), *(f"{kinds[k]:,}" for k in KINDS)]
                for name, rate, kinds in rows
            ],
            align="l" + "r" * (len(header) - 1),
            title=f"{record.name} on {record.benchmark.name}: top-1 only",
            caption=f"Depth credit {pct(record.depth_credit)} % (not in top-1); {record.shared} right by a "
            f"name that several classes share; matcher {record.matcher.version} "
            f"({record.matcher.sha256[:12]})",
        )
    ]
