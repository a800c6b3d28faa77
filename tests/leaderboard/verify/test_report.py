"""Reports: the tier that follows from the checks, and texts that do no harm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.verify.report import (
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
    return tuple(
        check(name, outcome, detail, when=WHEN, miss=0.0 if name == "spot check" else None)
        for name, outcome in outcomes
    )


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


def test_a_check_that_finds_little_makes_no_tier() -> None:
    """A spot check counts by what it could have missed; a record from before that was kept is still read."""
    score = check("score", "passed", when=WHEN)
    for miss, tier in (
        (0.01, "spot-checked"),
        (0.011, "re-scored"),
        (0.99, "re-scored"),
        (None, "re-scored"),
    ):
        checks = (score, check("spot check", "passed", when=WHEN, miss=miss))
        assert tier_of(checks) == tier
    old = {
        "entry": "a__b",
        "tier": "spot-checked",
        "checks": [score, {**checks[1].model_dump(), "miss": None}],
    }
    assert tier_of(Report.model_validate(old).checks) == "re-scored"


def test_markdown_is_inert() -> None:
    """What a stranger wrote stands in one block of code that it cannot end, and only what matters."""
    hostile = (
        "<img src=x onerror=alert(1)> [x](javascript:alert(1)) @everyone | `tick` ``` ~~~ \\| \n```\n| a |"
    )
    checks = (*made(("schema", "failed"), detail=hostile), *made(("folder", "passed"), detail="all is well"))
    text = markdown_report([Report(entry="```\nx", tier=None, checks=checks)], problems=["a\n```"])
    assert text.startswith(MARKER)
    lines = text.splitlines()
    assert [i for i, line in enumerate(lines) if "`" in line] == [3, len(lines) - 3]
    assert (lines[3], lines[-3]) == ("```text", "```")
    assert lines[4] == "REFUSED: a\\n" + 3 * "'"
    assert lines[6].startswith("  failed  schema: <img src=x")
    assert "all is well" not in text
    assert "no entry to verify" in markdown_report([])


def test_a_long_report_is_cut_at_a_line() -> None:
    """Of 300 entries that fail, as many as fit; how many lines are left out is said."""
    report = Report(entry="a__b", tier=None, checks=made(("schema", "failed"), detail="é" * 400))
    text = markdown_report([report] * 300)
    assert len(text.encode()) < 51_000
    shown = text.split("```text\n")[1].split("\n...")[0].count("\n") + 1
    assert f"... and {600 - shown} more lines: see the full report" in text
    assert 100 < shown < 150


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
