"""The board's folder: entries scored again, tiers from the board's own reports."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.board import accept, accepted_report, entry_folders, read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.verify.report import Report, check, tier_by, tier_of
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import Board, change, standard, without_result


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def with_spot_check(report: Report) -> Report:
    done = check("spot check", "passed", "fine", when=datetime(2026, 1, 1, tzinfo=UTC), miss=0.01)
    checks = (*report.checks, done)
    return report.model_copy(update={"checks": checks, "tier": tier_of(checks)})


def test_tiers_come_from_reports(board: Board) -> None:
    """Without a report an entry is self-reported; with one it has that report's tier."""
    assert [tier_by(each.report) for each in read_board(board.root)] == ["self-reported"] * 3
    (report,) = verify([board.first], golds=board.golds)
    accept(board.root / "verified", read_entry(board.first), with_spot_check(report))
    found = {each.entry.id: each for each in read_board(board.root)}
    assert tier_by(found[board.first.name].report) == "spot-checked"
    assert found[board.first.name].report.checks[-1].name == "spot check"
    assert found[board.first.name].answers.predictions is not None
    assert [tier_by(each.report) for each in found.values()].count("self-reported") == 2


def test_a_later_report_keeps_what_was_run(board: Board) -> None:
    """A nightly verification does not take a spot check back."""
    (report,) = verify([board.first], golds=board.golds)
    entry, verified = read_entry(board.first), board.root / "verified"
    accept(verified, entry, with_spot_check(report))
    again = accept(verified, entry, report)
    assert again.tier == "spot-checked"
    assert accepted_report(verified, entry) == again
    assert [c.name for c in again.checks].count("spot check") == 1


def test_a_report_on_another_state_is_void(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """An entry that changed after its check is self-reported again; no report is kept for it."""
    (report,) = verify([board.first], golds=board.golds)
    verified = board.root / "verified"
    accept(verified, read_entry(board.first), report)
    change(board.first, "training_data", to="something else")
    assert accepted_report(verified, read_entry(board.first)) is None
    assert "verify it again" in caplog.text
    assert [tier_by(e.report) for e in read_board(board.root)] == ["self-reported"] * 3
    with pytest.raises(ResultError, match="cannot be kept"):
        accept(verified, read_entry(board.first), report)


def test_what_contradicts_its_predictions_is_not_shown(board: Board) -> None:
    """The board scores again whenever it is read."""
    right = read_entry(board.first).claim.n_correct
    value = {"n_correct": 0, "n_top5": 60, "n_total": 60}
    without_result(board.first, claim=value)
    left_out: list[str] = []
    assert board.first.name not in [each.entry.id for each in read_board(board.root, left_out.append)]
    assert left_out == [
        f"{board.first.name} is left out: top-1 is claimed to be 0 of 60 images: predictions get {right}"
    ]


def test_what_cannot_be_placed_stops_nobody(board: Board) -> None:
    """Twins by capitals, an entry without gold, a damaged record: named, and the others are there."""
    twin = board.first.with_name(board.first.name.upper())
    shutil.copytree(board.first, twin)
    change(board.entries / "Some-Lab__ResNet-50", "benchmark", "fingerprint", to="0" * 64)
    without_result(board.entries / "Some-Lab__ResNet-50")
    (board.root / "verified").mkdir()
    (board.root / "verified" / "Some-Lab__ConvNeXt.json").write_text("{}")
    left_out: list[str] = []
    assert [each.entry.id for each in read_board(board.root, left_out.append)] == ["Some-Lab__ConvNeXt"]
    told = "\n".join(left_out)
    assert told.count("another entry's name differs from it in capitals only") == 2
    assert "Some-Lab__ResNet-50 is left out: the fingerprint 000000000000... is of no benchmark" in told
    assert "the record on Some-Lab__ConvNeXt is left out" in told


def test_folders_of_entries(board: Board, tmp_path: Path) -> None:
    """Files and hidden folders are passed over, links are not."""
    (board.entries / "README.md").touch()
    (board.entries / ".tmp").mkdir()
    (board.entries / "link").symlink_to("/etc")
    assert [p.name for p in entry_folders(board.entries)][-1] == "link"
    assert len(entry_folders(board.entries)) == 4
    with pytest.raises(ResultError, match="--entries"):
        entry_folders(tmp_path / "nothing")
