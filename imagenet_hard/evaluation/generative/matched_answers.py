"""The record that `imagenet-hard match` writes: the score of answers in words, from the raw answers alone.

It has top-1 alone, no top-5, no calibration and no near-ties: words have no scores. It lies beside the raw
answers (``answers.py``), so that everything in it can be computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import pct, span
from imagenet_hard.base.types import SCHEMA_VERSION, BenchmarkInfo, Record, SchemaVersion
from imagenet_hard.evaluation.generative.answers import RawAnswers, check_same_ids, read_raw, write_raw
from imagenet_hard.evaluation.generative.matcher import KINDS, Kind
from imagenet_hard.evaluation.generative.score import Count, MatcherInfo, read_answers, this_matcher
from imagenet_hard.evaluation.metrics import Rate, rates_by

RECORD_SUFFIX = ".matched.json"
ANSWERS_SUFFIX = ".answers.parquet"

_CLOSE = 1e-12


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
