"""A model on several benchmarks: one model, one owner, one entry a benchmark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.cli.leaderboard import command as leaderboard
from imagenet_hard.cli.main import run
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.verify.ownership import Author, check_ownership
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import Board, Two, change, without_result

ALICE, MALLORY = Author("github", "alice"), Author("github", "mallory")
MAIN, ON_4K = "Lab__Net", "Lab__Net__imagenet-hard-4k"


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path / "board")


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with both entries, made once."""
    two = Two(root := tmp_path_factory.mktemp("board"))
    assert two.submit(two.main) == 0
    assert two.submit(two.big, seed=1) == 0
    return root


@pytest.fixture
def both(submitted: Path, tmp_path: Path) -> Two:
    return Two(Path(shutil.copytree(submitted, tmp_path / "board")))


def failure(report: Report) -> str:
    return "; ".join(f"{c.name}: {c.detail}" for c in report.checks if c.outcome == "failed")


def test_one_model_on_two_benchmarks(both: Two, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids say the other benchmark; again does nothing, and each is replaced for itself."""
    assert both.names() == [MAIN, ON_4K]
    assert {read_entry(both.entries / name).model_id for name in both.names()} == {MAIN}
    assert both.submit(both.big, seed=1) == 0
    assert f"unchanged: {both.entries / ON_4K}" in capsys.readouterr().out
    before = read_entry(both.entries / MAIN)
    assert both.submit(both.big, "--replace", seed=2) == 0
    assert f"wrote {both.entries / ON_4K}" in capsys.readouterr().out
    assert read_entry(both.entries / MAIN) == before
    assert {e.entry.id: e.gold.info.name for e in read_board(both.main.root)} == {
        MAIN: "imagenet-hard",
        ON_4K: "imagenet-hard-4k",
    }


def test_whose_the_model_is(both: Two, tmp_path: Path) -> None:
    """Her second benchmark is the owner's; a stranger gets no further id of her model, whatever is typed."""
    stranger = Two(tmp_path / "strangers")
    assert stranger.submit(stranger.big, owner="mallory") == 0
    theirs = stranger.entries / ON_4K
    mine = both.entries / ON_4K
    kept = Path(shutil.copytree(mine, tmp_path / "kept" / ON_4K))
    shutil.rmtree(mine)
    (report,) = both.request(tmp_path, kept, author=ALICE).values()
    assert not report.failed
    assert "adds a benchmark to Lab__Net of the same owner, github:alice" in str(report.checks)
    (report,) = both.request(tmp_path, theirs, author=MALLORY).values()
    assert "ownership: the board has Lab__Net already, with the owner 'github:alice'" in failure(report)
    change(theirs, "owner", to={"github": "alice"})
    (report,) = both.request(tmp_path, theirs, author=MALLORY).values()
    assert "the request was opened by github:mallory" in failure(report)
    with pytest.raises(ResultError, match="with the owner"):
        check_ownership(read_entry(theirs).model_copy(update={"owner": {"github": "mallory"}}), both.entries)
    (report,) = both.request(tmp_path, theirs, author=None).values()
    assert [c.name for c in report.flags] == ["ownership"]  # nobody says who asks


@pytest.mark.parametrize(
    ("place", "to", "message"),
    [
        (("submitter",), "Other", "with the submitter 'Lab': got 'Other'"),
        (("model", "name"), "another", "with the model"),
        (("model", "tag"), "another", "with the model"),
    ],
)
def test_what_is_one_in_a_model(
    both: Two, tmp_path: Path, place: tuple[str, ...], to: str, message: str
) -> None:
    """Submitter and model are; against the board and within one request."""
    first, second = both.entries / MAIN, both.entries / ON_4K
    for folder in (first, second):
        without_result(folder)
    change(second, *place, to=to)
    reports = {r.entry: r for r in verify([first, second], golds=both.golds)}
    assert all("ownership: the request has Lab__Net" in failure(r) for r in reports.values())
    moved = Path(shutil.copytree(second, tmp_path / "moved" / ON_4K))
    shutil.rmtree(second)
    assert f"ownership: the board has {MAIN} already, {message}" in failure(
        both.request(tmp_path, moved, author=ALICE)[ON_4K]
    )


def test_other_weights_are_flagged(both: Two) -> None:
    """A name can stay the same while the weights do not; a person looks."""
    folder = both.entries / ON_4K
    without_result(folder)
    change(folder, "model", "weights_sha256", to="1" * 64)
    without_result(both.entries / MAIN)
    change(both.entries / MAIN, "model", "weights_sha256", to="2" * 64)
    shutil.copytree(folder, folder.parents[1] / "new" / ON_4K)
    shutil.rmtree(folder)
    new = folder.parents[1] / "new" / ON_4K
    (report,) = verify([new], golds=both.golds, base=both.entries, author=ALICE)
    (flag,) = (c for c in report.flags if c.name == "ownership")
    assert "has other weights than Lab__Net" in flag.detail


def renamed(folder: Path, id: str, **fields: Any) -> Path:
    """The entry under another id, as someone who edits the file."""
    target = folder.with_name(id)
    shutil.copytree(folder, target)
    without_result(target)
    value = json.loads((target / "entry.json").read_text()) | {"id": id} | fields
    (target / "entry.json").write_text(json.dumps(value))
    return target


@pytest.mark.parametrize(
    ("id", "fields", "check", "message"),
    [
        ("Lab__Net__evil", {}, "benchmark", "the id says 'evil' of its benchmark, which is imagenet-hard-4k"),
        ("Lab__Net__imagenet-hard", {}, "benchmark", "the id says 'imagenet-hard' of its benchmark"),
        ("Lab__Net__imagenet-hard-4k__x", {}, "schema", "its third part is"),
        ("Lab__Net__", {}, "schema", "its third part is"),
        ("Lab__Net__IMAGENET-hard-4k", {}, "schema", "its third part is"),
        ("Lab__Net2__imagenet-hard-4k", {}, "schema", "org and name make 'Lab__Net'"),
        ("lab__net__imagenet-hard-4k", {"org": "lab", "name": "net"}, "ownership", "in capitals only"),
        ("Lab__Net__" + "x" * 150, {}, "schema", "its third part is"),
        ("Lab__" + "x" * 300, {}, "schema", "at most"),
        ("Lab", {}, "schema", "org and name make"),
    ],
)
def test_ids_that_are_refused(
    both: Two, tmp_path: Path, id: str, fields: dict[str, str], check: str, message: str
) -> None:
    """Another benchmark's part, too many, capitals, too long."""
    if len(id) > 250:  # no folder can be called so
        with pytest.raises(OSError, match="too long"):
            renamed(both.entries / ON_4K, id)
        return
    bad = renamed(both.entries / ON_4K, id, **fields)
    moved = tmp_path / "moved" / id
    moved.parent.mkdir()
    bad.rename(moved)
    shutil.rmtree(both.entries / ON_4K)
    found = failure(both.request(tmp_path, moved, author=ALICE)[id])
    assert found.startswith(f"{check}: ")
    assert message in found


def test_a_second_entry_on_one_benchmark(both: Two, tmp_path: Path) -> None:
    """Under the plain id or with digits: neither verified nor built, whichever came first stays."""
    digits = both.big.gold.info.fingerprint[:8]
    again = renamed(both.entries / ON_4K, f"{ON_4K}-{digits}")
    left_out: list[str] = []
    assert [each.entry.id for each in read_board(both.main.root, left_out.append)] == [MAIN, ON_4K]
    assert left_out == [f"{again.name} is left out: its model is on this benchmark already, as {ON_4K}"]
    reports = {r.entry: r for r in verify([both.entries / ON_4K, again], golds=both.golds)}
    assert all("has this model on this benchmark already" in failure(r) for r in reports.values())
    moved = Path(shutil.copytree(again, tmp_path / "moved" / again.name))
    shutil.rmtree(again)
    assert f"already, as {ON_4K}" in failure(both.request(tmp_path, moved, author=ALICE)[moved.name])


def test_twins_across_benchmarks(both: Two) -> None:
    """Models that differ in capitals only stand apart on no benchmark: both are named, nothing else stops."""
    renamed(both.entries / ON_4K, "LAB__net__imagenet-hard-4k", org="LAB", name="net")
    shutil.rmtree(both.entries / ON_4K)
    both.submit(both.main, name="Other", seed=3)
    left_out: list[str] = []
    assert [each.entry.id for each in read_board(both.main.root, left_out.append)] == ["Lab__Other"]
    assert len(left_out) == 2
    reports = verify(sorted(both.entries.iterdir()), golds=both.golds)
    assert ["in capitals only" in failure(r) for r in reports] == [True, True, False]


def test_an_entry_from_before_keeps_its_id(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    """On another benchmark, with the plain id: valid, replaced as it is, and no second one comes."""
    two.submit(two.big)
    old = renamed(two.entries / ON_4K, MAIN)
    shutil.rmtree(two.entries / ON_4K)
    (report,) = verify([old], golds=two.golds, base=two.entries)
    assert not report.failed
    capsys.readouterr()
    assert two.submit(two.big, "--replace", seed=2) == 0
    assert f"wrote {old}" in capsys.readouterr().out
    assert two.submit(two.main) == 1
    assert "the board has Lab__Net already, with the benchmark" in capsys.readouterr().err


def withdraw(two: Two, id: str) -> int:
    args = ["withdraw", id, "--by", "github:alice", "--why", "wrong", "--entries", str(two.entries)]
    return run(leaderboard, args, "imagenet-hard leaderboard")


def test_one_of_two_withdrawn(both: Two, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other stays; the pair of model and benchmark is given up, and with the last entry the model."""
    kept = {id: Path(shutil.copytree(both.entries / id, tmp_path / "kept" / id)) for id in (MAIN, ON_4K)}
    assert withdraw(both, MAIN) == 0
    assert [each.entry.id for each in read_board(both.main.root)] == [ON_4K]
    capsys.readouterr()
    assert both.submit(both.main, seed=5) == 1
    assert "Lab__Net was withdrawn on" in capsys.readouterr().err
    detour = renamed(kept[MAIN], f"{MAIN}__imagenet-hard")
    assert "was withdrawn on" in failure(both.request(tmp_path, detour, author=ALICE)[detour.name])
    assert both.submit(both.big, "--replace", seed=5) == 0
    assert withdraw(both, ON_4K) == 0
    stranger = Two(tmp_path / "strangers")
    third = Board(both.main.root, n=30, name="lite")
    Board(stranger.main.root, n=30, name="lite")
    assert stranger.submit(third, owner="mallory") == 0
    (report,) = both.request(tmp_path, stranger.entries / "Lab__Net__lite", author=MALLORY).values()
    assert "was withdrawn on" in failure(report)
