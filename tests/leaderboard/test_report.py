"""Reports: the tier that follows from the checks, and texts that do no harm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.report import (
    MARKER,
    Check,
    Outcome,
    Report,
    check,
    markdown_report,
    text_report,
    tier_of,
)

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def made(*outcomes: tuple[str, Outcome], detail: str = "") -> tuple[Check, ...]:
    return tuple(check(name, outcome, detail, when=WHEN) for name, outcome in outcomes)


@pytest.mark.parametrize(
    ("outcomes", "tier"),
    [
        ([("score", "passed")], "re-scored"),
        ([("score", "passed"), ("near-copies", "flagged")], "re-scored"),
        ([("score", "passed"), ("spot check", "passed")], "spot-checked"),
        ([("score", "passed"), ("spot check", "skipped")], "re-scored"),
        ([("score", "passed"), ("spot check", "passed"), ("reproduction", "passed")], "reproduced"),
        ([("score", "passed"), ("spot check", "failed")], None),
        ([("schema", "passed")], "self-reported"),
        ([("spot check", "passed")], "self-reported"),
        ([], "self-reported"),
    ],
)
def test_tiers_follow_from_what_was_done(outcomes: list[tuple[str, Outcome]], tier: str | None) -> None:
    """Nothing skipped or flagged lifts a tier; one failure takes it."""
    assert tier_of(made(*outcomes)) == tier


def test_nobody_writes_a_tier() -> None:
    """A report whose tier its checks do not support is no report."""
    with pytest.raises(ValidationError, match="the checks amount to 're-scored'"):
        Report(entry="a__b", tier="reproduced", checks=made(("score", "passed")))


def test_round_trip() -> None:
    """JSON gives the same report."""
    report = Report(entry="a__b", tier="re-scored", top1=Rate.of(1, 2), checks=made(("score", "passed")))
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_markdown_is_inert() -> None:
    """What a stranger wrote becomes no tag, link, mention, column or second table."""
    hostile = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) @everyone | pipe `tick` \\| \n| a | b |"
    report = Report(entry="`x` | y", tier=None, checks=made(("schema", "failed"), detail=hostile))
    text = markdown_report([report])
    assert text.startswith(MARKER)
    row = next(line for line in text.splitlines() if line.startswith("| schema"))
    cell = row.removeprefix("| schema | **FAILED** | `").removesuffix("` |")
    assert "`" not in cell
    assert cell.count("|") == cell.count("\\|") == 5
    assert "\n" not in cell
    assert "### `'x' \\| y`: FAILED" in text
    assert "No entry was changed" in markdown_report([])


def test_text_moves_no_cursor() -> None:
    """Escape sequences of a terminal do not pass, and long details are cut."""
    report = Report(
        entry="a\x1b[2Jb", tier=None, checks=made(("schema", "failed"), detail="\x1b]0;x\x07" + "y" * 900)
    )
    text = text_report([report])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.splitlines()[0].endswith(": FAILED")
    assert len(report.checks[0].detail) == 500
    assert text.splitlines()[1].startswith("  failed  schema: ")
