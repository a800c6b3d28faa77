"""Taking an entry back: what is left of it, and that nobody gets its id."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.submit import make_submission, write_submission
from imagenet_hard.leaderboard.verify.ownership import check_ownership
from imagenet_hard.leaderboard.verify.run import verify
from imagenet_hard.leaderboard.withdrawn import Withdrawal
from tests.leaderboard.boards import FIRST, Board, change, standard


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path / "board")


def withdraw(
    board: Board, entry: str, *more: str, by: str = "github:alice", why: str = "wrong weights"
) -> int:
    args = ["withdraw", entry, "--by", by, "--why", why, "--entries", str(board.entries), *more]
    return run(command, args, "imagenet-hard leaderboard")


def test_who_when_and_why_are_kept(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder goes, the board goes on without it."""
    entry = read_entry(board.first)
    assert withdraw(board, FIRST) == 0
    path = board.root / "withdrawn" / f"{FIRST}.json"
    assert capsys.readouterr().out == f"{path}\n"
    record = read_record(path, Withdrawal)
    assert (record.by, record.why, record.entry_sha256) == ("github:alice", "wrong weights", entry.digest)
    assert record.date == dt.datetime.now(dt.UTC).date()
    assert not board.first.exists()
    left_out: list[str] = []
    assert len(list(read_board(board.root, left_out.append))) == 2
    assert left_out == []


def test_nobody_gets_the_id(board: Board, tmp_path: Path) -> None:
    """Neither the entry itself, nor another, nor one in other capitals; a copy on the board is left out."""
    kept = tmp_path / "kept" / FIRST
    shutil.copytree(board.first, kept)
    withdraw(board, FIRST)
    (report,) = verify([kept], golds=board.golds, base=board.entries)
    assert "was withdrawn on" in "".join(c.detail for c in report.checks if c.outcome == "failed")
    twin = read_entry(kept).model_copy(update={"id": FIRST.upper()})
    with pytest.raises(ResultError, match="by github:alice: wrong weights. Its id is not given again"):
        check_ownership(twin, board.entries)
    with pytest.raises(ResultError, match="was withdrawn on"):
        board.submit()
    shutil.copytree(kept, board.first)
    left_out: list[str] = []
    assert FIRST not in [each.entry.id for each in read_board(board.root, left_out.append)]
    assert f"{FIRST} is left out: {FIRST} was withdrawn on" in left_out[0]


def test_what_cannot_be_withdrawn(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown and linked entries, twice the same, reasons and accounts that no record may have."""
    (board.entries / "X__link").symlink_to(FIRST)
    for entry, by, why, code, message in (
        ("X__Y", "github:a", "y", 1, "there is no entry 'X__Y'"),
        ("X__link", "github:a", "y", 1, "there is no entry 'X__link'"),
        (f"../entries/{FIRST}", "github:a", "y", 1, "there is no entry"),
        (FIRST, "alice", "y", 2, "is not an account"),
        (FIRST, "github:a", "", 2, "cannot be withdrawn: why"),
        (FIRST, "github:a", "<b>", 2, "cannot be withdrawn: why"),
        (FIRST, "github:a", "two\nlines", 2, "cannot be withdrawn: why"),
        (FIRST, "github:a", "y", 0, ""),
        (FIRST, "github:a", "y", 1, f"{FIRST} was withdrawn on"),
    ):
        assert withdraw(board, entry, by=by, why=why) == code
        assert message in capsys.readouterr().err
    assert sorted(p.name for p in (board.root / "withdrawn").iterdir()) == [f"{FIRST}.json"]


def test_an_entry_that_changed_keeps_no_old_answers(board: Board) -> None:
    """Replacing one that had classes alone leaves one file of answers."""
    (board.first / "top5.csv").write_text("id,top5\n")
    change(board.first, "training_data", to="before")
    submission = make_submission(board.result(board.scored()), board.golds, name="ViT-B/32", org="Some Lab")
    assert write_submission(board.entries, submission, replace=True)
    assert sorted(p.name for p in board.first.iterdir()) == ["entry.json", "predictions.parquet"]
