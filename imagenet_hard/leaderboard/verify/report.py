"""What was checked on an entry, when, by which version, with what outcome; and the tier that follows.

The board keeps the reports of accepted entries in ``leaderboard/verified/ID.json``, a folder that submissions
may not touch: a tier is never something that a submitter writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import accumulate
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, Field, model_validator

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.text import printable
from imagenet_hard.base.types import SCHEMA_VERSION, Record, SchemaVersion, Sha256, says_nothing
from imagenet_hard.evaluation.calibration import Share
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.entry import Tier
from imagenet_hard.leaderboard.verify.agreement import MAY_MISS

T = TypeVar("T")

Outcome = Literal["passed", "failed", "flagged", "skipped"]

SPOT_CHECK = "spot check"
REPRODUCTION = "reproduction"
SCORE = "score"

MARKER = "<!-- imagenet-hard verify -->"
"""First line of a Markdown report, by which a later report finds the comment that it replaces."""

NOTHING = "no entry to verify"
MAX_COMMENT = 50_000
"""Bytes of a report in a comment; GitHub takes 65,536 characters."""

_MAX_DETAIL = 500
_MAX_EARLIER = 100


class Check(Record):
    """One check. ``flagged``: a person should look; it fails nothing."""

    name: Annotated[str, Field(max_length=100)]
    outcome: Outcome
    detail: Annotated[str, Field(max_length=_MAX_DETAIL)] = ""
    miss: Share | None = Field(
        default=None, description="of a spot check: its chance to miss a share of 1 % of made-up answers"
    )
    when: AwareDatetime
    version: Annotated[str, Field(max_length=100)] = __version__


class Earlier(Record):
    """A state of an entry that another replaced, as the board had verified it."""

    entry_sha256: Sha256
    top1: Rate
    tier: Tier
    when: AwareDatetime = Field(description="when it was verified")


class Report(Record):
    """The checks of one entry, in the order in which they were made."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    entry: Annotated[str, Field(max_length=255, description="the folder's name")]
    entry_sha256: Sha256 | None = Field(default=None, description="digest of the entry that was checked")
    predictions_sha256: Sha256 | None = None
    fingerprint: Sha256 | None = None
    top1: Rate | None = Field(default=None, description="recomputed from the predictions and the gold labels")
    top5: Rate | None = None
    tier: Tier | None = Field(default=None, description="what the checks amount to; none where one failed")
    checks: tuple[Check, ...]
    earlier: Annotated[tuple[Earlier, ...], Field(max_length=_MAX_EARLIER)] = Field(
        default=(),
        exclude_if=says_nothing,
        description="states of the entry before this one, the oldest first",
    )

    def before(self, entry_sha256: str) -> tuple[Earlier, ...]:
        """The states before the one of this digest: this report's own too, where it is of another state."""
        if self.entry_sha256 in (None, entry_sha256) or self.top1 is None or self.failed or not self.checks:
            return self.earlier
        when = max(check.when for check in self.checks)
        last = Earlier(entry_sha256=self.entry_sha256, top1=self.top1, tier=tier_by(self), when=when)
        return (*self.earlier, last)[-_MAX_EARLIER:]

    @property
    def failed(self) -> bool:
        """Whether any check did not hold."""
        return any(check.outcome == "failed" for check in self.checks)

    @property
    def failures(self) -> str:
        """The checks that did not hold, and why."""
        return "; ".join(f"{c.name}: {c.detail}" for c in self.checks if c.outcome == "failed")

    @property
    def flags(self) -> tuple[Check, ...]:
        """What a person should look at."""
        return tuple(check for check in self.checks if check.outcome == "flagged")

    @model_validator(mode="after")
    def _follows(self) -> Report:
        # Before checks said what they could miss, any spot check made the tier; it does no more, and is read.
        before = tier_of(check.model_copy(update={"miss": 0.0}) for check in self.checks)
        if self.tier not in (expected := tier_of(self.checks), before):
            raise ValueError(f"tier is {self.tier!r}: the checks amount to {expected!r}")
        return self


def tier_of(checks: Iterable[Check]) -> Tier | None:
    """The tier that the checks amount to; None where one failed."""
    checks = tuple(checks)
    outcomes = [(check.name, check.outcome) for check in checks]
    if any(outcome == "failed" for _, outcome in outcomes):
        return None
    if (SCORE, "passed") not in outcomes:
        return "self-reported"
    if (REPRODUCTION, "passed") in outcomes:
        return "reproduced"
    looked = [check.miss for check in checks if (check.name, check.outcome) == (SPOT_CHECK, "passed")]
    return "spot-checked" if any(miss is not None and miss <= MAY_MISS for miss in looked) else "re-scored"


def tier_by(report: Report | None) -> Tier:
    """The tier of an entry with this report on it, or with none."""
    return (tier_of(report.checks) if report else None) or "self-reported"


def check(
    name: str,
    outcome: Outcome,
    detail: str = "",
    *,
    when: datetime | None = None,
    miss: float | None = None,
) -> Check:
    """A check made now by this version."""
    when = (when or datetime.now(UTC)).replace(microsecond=0)
    short = detail if len(detail) <= _MAX_DETAIL else detail[: _MAX_DETAIL - 3] + "..."
    return Check(name=name, outcome=outcome, detail=short, miss=miss, when=when)


Finding = tuple[bool, str] | str
"""What a look for anomalies gives: (flagged, what was found), or why nothing could be looked for."""


def _nothing(_: object) -> Finding:
    return False, ""


class CheckFailed(Exception):
    """A check failed that the later ones build on; it is on the list already."""


class Checklist:
    """Checks in the order in which they are made, all dated ``now``."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._checks: list[Check] = []

    @property
    def now(self) -> datetime:
        """When the checks are made."""
        return self._now

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was made so far."""
        return tuple(self._checks)

    def add(self, name: str, outcome: Outcome, detail: str = "", *, miss: float | None = None) -> None:
        """Note a check."""
        self._checks.append(check(name, outcome, detail, when=self._now, miss=miss))

    def step(self, name: str, do: Callable[[], T], found: Callable[[T], Finding] = _nothing) -> T:
        """Make a check that others build on: ``do``'s value, described (and flagged) by ``found``.

        Raises:
            CheckFailed: ``do`` raised a ResultError, which is noted.
        """
        try:
            value = do()
        except ResultError as error:
            self.add(name, "failed", str(error))
            raise CheckFailed from None
        said = found(value)
        self.flag(name, (False, said) if isinstance(said, str) else said)
        return value

    def flag(self, name: str, finding: Finding) -> None:
        """Note a look for an anomaly."""
        if isinstance(finding, str):
            self.add(name, "skipped", finding)
        else:
            flagged, detail = finding
            self.add(name, "flagged" if flagged else "passed", detail)


def text_report(reports: Iterable[Report], problems: Iterable[str] = ()) -> str:
    """For a terminal: one line a check, and a summary; ``problems`` of the request as a whole come first."""
    lines = [f"REFUSED: {printable(problem)}" for problem in problems]
    for report in reports:
        lines += _lines(report, report.checks)
    return "\n".join(lines)


def markdown_report(reports: Iterable[Report], problems: Iterable[str] = ()) -> str:
    """For a comment on a request: what each entry amounts to, what failed and what is flagged.

    All of it stands in one block of code that holds no backtick: nothing in there is a link, tag or mention.
    It has at most ``MAX_COMMENT`` bytes; how many lines were left out is said.
    """
    lines = [f"REFUSED: {printable(problem)}" for problem in problems]
    for report in reports:
        lines += _lines(report, [c for c in report.checks if c.outcome in ("failed", "flagged")])
    return "\n".join(
        [
            MARKER,
            "## Verification of leaderboard entries",
            "",
            "```text",
            _cut([line.replace("`", "'") for line in lines] or [NOTHING]),
            "```",
            "",
            f"imagenet-hard {__version__}. A flag fails nothing: a person looks at it before merging.",
            "",
        ]
    )


def _lines(report: Report, checks: Iterable[Check]) -> list[str]:
    shown = (f"  {each.outcome:8}{each.name}: {printable(each.detail)}".rstrip(": ") for each in checks)
    return [f"{printable(report.entry)}: {_verdict(report)}", *shown]


def _cut(lines: list[str]) -> str:
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    kept = sum(size <= MAX_COMMENT for size in sizes)
    more = [f"... and {len(lines) - kept} more lines: see the full report"] if kept < len(lines) else []
    return "\n".join([*lines[:kept], *more])


def _verdict(report: Report) -> str:
    if report.failed:
        return "FAILED"
    score = f", top-1 {report.top1}" if report.top1 else ""
    flags = f", {len(report.flags)} flagged" if report.flags else ""
    return f"{report.tier}{score}{flags}"
