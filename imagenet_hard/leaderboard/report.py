"""What was checked on an entry, when, by which version, with what outcome; and the tier that follows.

The board keeps the reports of accepted entries in ``leaderboard/verified/ID.json``, a folder that submissions
may not touch: a tier is never something that a submitter writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import Sha256
from imagenet_hard.leaderboard.entry import Tier
from imagenet_hard.types import SCHEMA_VERSION, Record
from imagenet_hard.version import __version__

Outcome = Literal["passed", "failed", "flagged", "skipped"]

SPOT_CHECK = "spot check"
REPRODUCTION = "reproduction"
SCORE = "score"

MARKER = "<!-- imagenet-hard verify -->"
"""First line of a Markdown report, by which a later report finds the comment that it replaces."""

_MAX_DETAIL = 500


class Check(Record):
    """One check. ``flagged``: a person should look; it fails nothing."""

    name: Annotated[str, Field(max_length=100)]
    outcome: Outcome
    detail: Annotated[str, Field(max_length=_MAX_DETAIL)] = ""
    when: AwareDatetime
    version: Annotated[str, Field(max_length=100)] = __version__


class Report(Record):
    """The checks of one entry, in the order in which they were made."""

    schema_version: int = SCHEMA_VERSION
    entry: Annotated[str, Field(max_length=255, description="the folder's name")]
    entry_sha256: Sha256 | None = Field(default=None, description="digest of the entry that was checked")
    predictions_sha256: Sha256 | None = None
    fingerprint: Sha256 | None = None
    top1: Rate | None = Field(default=None, description="recomputed from the predictions and the gold labels")
    top5: Rate | None = None
    tier: Tier | None = Field(default=None, description="what the checks amount to; none where one failed")
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether any check did not hold."""
        return any(check.outcome == "failed" for check in self.checks)

    @property
    def flags(self) -> tuple[Check, ...]:
        """What a person should look at."""
        return tuple(check for check in self.checks if check.outcome == "flagged")

    @model_validator(mode="after")
    def _follows(self) -> Report:
        if self.tier != (expected := tier_of(self.checks)):
            raise ValueError(f"tier is {self.tier!r}: the checks amount to {expected!r}")
        return self


def tier_of(checks: Iterable[Check]) -> Tier | None:
    """The tier that the checks amount to; None where one failed."""
    outcomes = [(check.name, check.outcome) for check in checks]
    if any(outcome == "failed" for _, outcome in outcomes):
        return None
    if (SCORE, "passed") not in outcomes:
        return "self-reported"
    if (REPRODUCTION, "passed") in outcomes:
        return "reproduced"
    return "spot-checked" if (SPOT_CHECK, "passed") in outcomes else "re-scored"


def check(name: str, outcome: Outcome, detail: str = "", *, when: datetime | None = None) -> Check:
    """A check made now by this version."""
    when = (when or datetime.now(UTC)).replace(microsecond=0)
    short = detail if len(detail) <= _MAX_DETAIL else detail[: _MAX_DETAIL - 3] + "..."
    return Check(name=name, outcome=outcome, detail=short, when=when)


def text_report(reports: Iterable[Report]) -> str:
    """For a terminal: one line a check, and a summary."""
    lines = []
    for report in reports:
        lines.append(f"{_safe(report.entry)}: {_verdict(report)}")
        lines += [
            f"  {each.outcome:8}{each.name}: {_safe(each.detail)}".rstrip(": ") for each in report.checks
        ]
    return "\n".join(lines)


def markdown_report(reports: Iterable[Report]) -> str:
    """For a comment on a pull request. What strangers wrote stands in code spans: no link, tag or mention."""
    lines = [MARKER, "## Verification of leaderboard entries"]
    for report in reports:
        lines += [
            "",
            f"### {_code(report.entry)}: {_verdict(report)}",
            "",
            "| check | outcome | detail |",
            "|---|---|---|",
        ]
        lines += [
            f"| {each.name} | {_OUTCOME[each.outcome]} | {_code(each.detail)} |" for each in report.checks
        ]
    if len(lines) == 2:
        lines.append("\nNo entry was changed.")
    lines += ["", f"imagenet-hard {__version__}. A flag fails nothing: a person looks at it before merging."]
    return "\n".join(lines) + "\n"


_OUTCOME = {"passed": "passed", "failed": "**FAILED**", "flagged": "**flagged**", "skipped": "skipped"}


def _verdict(report: Report) -> str:
    if report.failed:
        return "FAILED"
    score = f", top-1 {report.top1}" if report.top1 else ""
    flags = f", {len(report.flags)} flagged" if report.flags else ""
    return f"{report.tier}{score}{flags}"


def _safe(text: str) -> str:
    """No character that moves a terminal's cursor or hides text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _code(text: str) -> str:
    # A pipe ends a table's cell even inside a code span, unless it is escaped.
    safe = _safe(text).replace("`", "'").replace("\\", "/").replace("|", "\\|")
    return f"`{safe}`" if safe.strip() else ""
