"""An entry of the board: what a submitter says about one model on one benchmark.

It stands in ``leaderboard/entries/ID/entry.json`` (``ids.py``) beside the predictions. Nothing in it is
believed: the score is recomputed from the predictions, and the tier is not in here but in the board's own
verification record (``report.py``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import (
    SCHEMA_VERSION,
    BenchmarkInfo,
    ModelSpec,
    Record,
    SchemaVersion,
    Sha256,
    says_nothing,
)
from imagenet_hard.evaluation.calibration import Count
from imagenet_hard.evaluation.generative.prompts import OPEN, PROMPTS
from imagenet_hard.evaluation.generative.score import AnswersInfo
from imagenet_hard.evaluation.result import Protocol, Result
from imagenet_hard.leaderboard.ids import MAX_ID, benchmark_of, entry_id, model_of
from imagenet_hard.leaderboard.plain_text import Line, Link, Name, check_plain
from imagenet_hard.leaderboard.training import Training

ENTRY_FILE = "entry.json"
MAX_ENTRY_BYTES = 4 * 2**20
MAX_LINKS = 20
MAX_PARAMETERS = 10**13
MAX_SIDE = 2**16

Tier = Literal["published", "self-reported", "re-scored", "spot-checked", "reproduced"]
"""How much of a score was checked, from nothing to all of it; each includes the ones before."""


class Claim(Record):
    """The counts that a submitter states."""

    n_correct: Count
    n_top5: Count | None = Field(description="null where only the best class of each image is known")
    n_total: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Claim:
        most = self.n_total if self.n_top5 is None else self.n_top5
        if not self.n_correct <= most <= self.n_total:
            raise ValueError(
                f"expected n_correct <= n_top5 <= n_total: {self.n_correct}, {self.n_top5}, {self.n_total}"
            )
        return self


class ReportedTop1(Record):
    """Top-1 on ImageNet's 50,000 validation images as somebody reports it."""

    percent: Annotated[float, Field(ge=0, le=100)]
    source: Link = Field(description="where it is reported")


Platform = Literal["github", "hub"]
Account = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class Entry(Record):
    """One model on one benchmark, as submitted."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=MAX_ID)]
    name: Name = Field(description="what the board calls the model")
    org: Name = Field(description="who made or trained it")
    submitter: Name = Field(description="who answers for the entry, e.g. a Hub or GitHub user name")
    owner: Mapping[Platform, Account] | None = Field(
        default=None,
        min_length=1,
        exclude_if=says_nothing,
        description="the accounts that may replace the entry",
    )
    links: tuple[Link, ...] = Field(default=(), max_length=MAX_LINKS)
    training_data: Line = ""
    training: Training | None = Field(
        default=None, exclude_if=says_nothing, description="what it was trained on, by sets with their sizes"
    )
    date: dt.date = Field(description="when it was scored")
    used_in_curation: bool = Field(
        default=False, description="whether the model chose the images; it is biased low on them then"
    )
    imagenet: ReportedTop1 | None = Field(
        default=None,
        exclude_if=says_nothing,
        description="ImageNet top-1 as reported elsewhere; shown, never ranked by",
    )
    model: ModelSpec
    benchmark: BenchmarkInfo
    claim: Claim
    probabilities: bool = Field(
        description="true: predictions.parquet with log probabilities; false: classes only, top5.csv, or "
        "top1.csv where claim.n_top5 is null; or answers.jsonl, where the result is of answers in words"
    )
    predictions_sha256: Sha256 = Field(description="of the answers, whatever file they are in")
    result: Result | None = Field(
        default=None, description="full provenance, where imagenet-hard scored the model"
    )

    @property
    def model_id(self) -> str:
        """``ORG__MODEL``: the same in the entries of one model on several benchmarks."""
        return model_of(self.id)

    @property
    def protocol(self) -> Protocol | None:
        """How the images went through the model, where that is known."""
        return self.result.protocol if self.result else None

    @property
    def words(self) -> AnswersInfo | None:
        """What the entry says of answers in words, where its answers are."""
        return self.result.answers if self.result else None

    @property
    def choices(self) -> int:
        """Among how many names, the right one with them, the model chose: 0 but where it was given some."""
        return self.words.choices if self.words else 0

    @property
    def places(self) -> int:
        """Classes that are known of each image: 5, or 1."""
        return 1 if self.claim.n_top5 is None else 5

    @property
    def digest(self) -> str:
        """sha256 of the entry's canonical JSON, however the file is laid out."""
        return hashlib.sha256(entry_json(self).encode()).hexdigest()

    @model_validator(mode="after")
    def _agrees(self) -> Entry:
        check_plain(self._strings())
        if (self.model.parameters or 0) > MAX_PARAMETERS:
            raise ValueError(
                f"model.parameters is {self.model.parameters}: expected at most {MAX_PARAMETERS}"
            )
        if not all(1 <= side <= MAX_SIDE for side in self.model.input_size or ()):
            raise ValueError(f"model.input_size is {self.model.input_size}: expected 1 to {MAX_SIDE} pixels")
        if (expected := entry_id(self.org, self.name)) != self.model_id:
            raise ValueError(f"id is {self.id!r}: org and name make {expected!r}, or {expected}__BENCHMARK")
        benchmark_of(self.id)
        if self.claim.n_total != self.benchmark.n:
            raise ValueError(
                f"the claim counts {self.claim.n_total} images: benchmark.n is {self.benchmark.n}"
            )
        if self.probabilities and self.claim.n_top5 is None:
            raise ValueError("claim.n_top5 is null: an entry with probabilities has its five best classes")
        if (result := self.result) is None:
            return self
        if (tta := result.protocol.tta) and tta.label not in self.name:
            raise ValueError(
                f"name is {self.name!r}: expected {f'{self.name} + {tta.label}'!r}, so that nobody takes a "
                "score with test-time augmentation for one without"
            )
        words = result.answers
        if words is not None:
            self._check_asked(words)
        if (classes := result.protocol.classes) is not None:
            raise ValueError(
                f"it was scored among {len(classes.indices)} classes only ({classes.name}): the board ranks "
                "answers among all 1000; score it without --classes"
            )
        metrics = result.metrics
        for name, got, expected_value in (
            ("model", self.model, result.model),
            ("benchmark", self.benchmark, result.benchmark),
            (
                "predictions_sha256",
                self.predictions_sha256,
                words.answers_sha256 if words else result.predictions_sha256,
            ),
            ("claim.n_correct", self.claim.n_correct, metrics.n_correct),
            ("claim.n_top5", self.claim.n_top5, metrics.top5 and metrics.top5.n_correct),
            ("probabilities", self.probabilities, words is None),
        ):
            if got != expected_value:
                raise ValueError(f"{name} is not what result says")
        return self

    def _check_asked(self, words: AnswersInfo) -> None:
        if words.asked is None:
            raise ValueError(
                "nothing is known of how the model was asked, and a score among five names is another than "
                "one among all: ask it with imagenet-hard-eval --model api:MODEL"
            )
        protocol = words.asked.prompt.name
        if protocol != OPEN and protocol not in self.name.split():
            raise ValueError(
                f"name is {self.name!r}: expected {f'{self.name} + {protocol}'!r}, so that nobody takes a "
                f"score with the protocol {protocol!r} for one with {OPEN!r}"
            )

    def _strings(self) -> Any:
        """All that is in it, but for the words of a prompt that are our own: those have lines."""
        value = self.model_dump(mode="json")
        asked = self.words.asked if self.words else None
        if asked and asked.prompt.text == PROMPTS[asked.prompt.name].text:
            value["result"]["answers"]["asked"]["prompt"]["text"] = ""
        return value


def entry_json(entry: Entry) -> str:
    """The entry as JSON, one line per key, so that a diff shows what changed."""
    fields = entry.model_dump(mode="json").items()
    lines = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_entry(folder: Path) -> Entry:
    """The checked ``entry.json`` of an entry's folder.

    Raises:
        ResultError: naming the file and what is wrong in it.
    """
    path = folder / ENTRY_FILE
    try:
        size = path.stat().st_size if path.is_file() else 0
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror or error}") from None
    if size > MAX_ENTRY_BYTES:
        raise ResultError(f"{path} has {size} bytes: an entry has at most {MAX_ENTRY_BYTES}")
    entry = read_record(path, Entry)
    if entry.id != folder.name:
        raise ResultError(f"{path}: the id is {entry.id!r}: expected the folder's name {folder.name!r}")
    return entry
