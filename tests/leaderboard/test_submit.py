"""From a result to an entry in a folder."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.records import read_record
from imagenet_hard.evaluation.result import Result, read_result, write_result
from imagenet_hard.leaderboard.answers import PREDICTIONS_FILE
from imagenet_hard.leaderboard.entry import ENTRY_FILE, Entry, entry_json, read_entry
from imagenet_hard.leaderboard.site.provenance import result_facts
from imagenet_hard.leaderboard.submit import Submission, make_submission, write_submission
from imagenet_hard.leaderboard.training import training_of
from imagenet_hard.leaderboard.verify.run import verify
from imagenet_hard.tta.settings import tta_settings
from tests.leaderboard.boards import Board, change, standard


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def made(board: Board, seed: int = 0, **fields: object) -> Submission:
    fields = {"name": "ViT-B/32", "org": "Some Lab", **fields}
    return make_submission(board.result(board.scored(seed)), board.golds, **fields)  # type: ignore[arg-type]


def test_what_is_given_and_what_follows(board: Board) -> None:
    """Fields as given; the rest from the result; the files are those that the board verifies."""
    submission = made(
        board,
        name="New",
        submitter="alice",
        links=[("Paper", "https://a.org")],
        training_data="ImageNet-1k",
        date=dt.date(2026, 2, 3),
    )
    entry = submission.entry
    assert (entry.id, entry.submitter, entry.date) == ("Some-Lab__New", "alice", dt.date(2026, 2, 3))
    assert entry.links[0].url == "https://a.org"
    assert write_submission(board.entries, submission)
    folder = board.entries / entry.id
    assert read_entry(folder) == entry
    assert {f"entries/{entry.id}/{p.name}": p.read_bytes() for p in folder.iterdir()} == submission.files()
    (report,) = verify([folder], golds=board.golds)
    assert report.tier == "re-scored"
    assert made(board, name="New").entry.date == dt.date(2026, 1, 31)


def test_training_data_by_the_tag_or_by_the_submitter(board: Board) -> None:
    """Stated by sets: what the tag says unless it is told otherwise; verified, and written into the entry."""
    model = read_result(board.result(board.scored()))[0].model
    tagged = model.model_copy(update={"backend": "timm", "tag": "augreg_in21k_ft_in1k"})
    path = board.result(board.scored(), model=tagged)
    about: dict[str, Any] = {"name": "Tagged", "org": "Some Lab"}
    entry = make_submission(path, board.golds, **about).entry
    assert str(entry.training) == "ImageNet-21k (14.2 M); fine-tuned on ImageNet-1k (1.3 M)"
    assert entry_json(entry).count('"said_by": "tag"') == 1
    silent = make_submission(path, board.golds, training_by_its_tag=False, **about)
    assert "training" not in json.loads(entry_json(silent.entry))
    assert write_submission(board.entries, silent)
    # An entry from before tags were read is the same submission still.
    assert write_submission(board.entries, make_submission(path, board.golds, **about)) is False
    own = make_submission(path, board.golds, training=training_of(["in1k"]), **about)
    assert write_submission(board.entries, own, replace=True)
    folder = board.entries / own.entry.id
    (report,) = verify([folder], golds=board.golds)
    (check,) = (each for each in report.checks if each.name == "training data")
    assert check.outcome == "flagged"
    assert check.detail == (
        "the entry states 'ImageNet-1k (1.3 M)'; the tag states 'ImageNet-21k (14.2 M); fine-tuned on "
        "ImageNet-1k (1.3 M)'"
    )
    change(folder, "training", "said_by", to="tag")
    (report,) = verify([folder], golds=board.golds)
    assert "'ImageNet-1k (1.3 M)', which is to be what its tag states; the tag" in report.flags[-1].detail


def test_the_same_submission_again_does_nothing(board: Board) -> None:
    """No file is touched, and the marker is the same."""
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in board.first.iterdir()}
    again = made(board)
    assert write_submission(board.entries, again) is False
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in board.first.iterdir()}
    assert again.marker == made(board).marker
    assert again.marker != made(board, training_data="more").marker


def test_another_of_the_same_name_is_refused(board: Board) -> None:
    """Another's id never; one's own earlier entry only when asked."""
    before = (board.first / ENTRY_FILE).read_bytes()
    with pytest.raises(ResultError, match="with the submitter 'Some Lab': got 'mallory'"):
        write_submission(board.entries, made(board, submitter="mallory"), replace=True)
    updated = made(board, seed=7)
    with pytest.raises(ResultError, match="give --replace"):
        write_submission(board.entries, updated)
    assert (board.first / ENTRY_FILE).read_bytes() == before
    assert write_submission(board.entries, updated, replace=True)
    assert read_entry(board.first) == updated.entry
    assert sorted(p.name for p in board.entries.iterdir()) == [
        "Some-Lab__ConvNeXt",
        "Some-Lab__ResNet-50",
        "Some-Lab__ViT-B-32",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "<script>alert(1)</script>"}, "name: has the character '<'"),
        ({"org": "../.."}, "makes no folder name"),
        ({"name": ""}, "makes no folder name"),
        ({"submitter": "a\nb"}, "submitter"),
        ({"links": [("x", "http://a.org")]}, "the link 'x' to 'http://a.org': url: expected an address"),
        ({"links": [("<b>", "https://a.org")]}, "the link '<b>' to 'https://a.org': label: has"),
        ({"training_data": "x" * 301}, "training_data"),
    ],
)
def test_fields_that_no_entry_has(board: Board, fields: dict[str, object], message: str) -> None:
    """Refused before anything is written, as wrong usage."""
    with pytest.raises(UsageError) as error:
        made(board, **fields)
    assert message in str(error.value)


def test_results_that_the_board_would_refuse(board: Board, tmp_path: Path) -> None:
    """Another benchmark, a file that is no result, a result without its predictions."""
    path = board.result(board.scored())
    result = read_record(path, Result)
    other = result.benchmark.model_copy(update={"fingerprint": "1" * 64})
    with pytest.raises(ResultError, match="it has imagenet-hard"):
        make_submission(board.result(board.scored(), benchmark=other), board.golds, name="a", org="b")
    with pytest.raises(ResultError, match="not a result"):
        make_submission(path.with_suffix(".parquet"), board.golds, name="a", org="b")
    path.with_suffix(".parquet").unlink()
    with pytest.raises(ResultError, match="not there"):
        make_submission(path, board.golds, name="a", org="b")


def test_a_crash_leaves_nothing_half(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last step fails there is no entry, and no leftover."""
    submission = made(board, name="New")

    def full(self: Path, target: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ResultError, match="cannot write .*Some-Lab__New: No space left"):
        write_submission(board.entries, submission)
    assert len(list(board.entries.iterdir())) == 3
    assert (board.first / PREDICTIONS_FILE).exists()


def test_an_imagenet_accuracy_comes_with_its_source(board: Board) -> None:
    """As given; either alone, or out of range, is refused."""
    entry = made(board, name="New", imagenet_top1=76.13, imagenet_source="https://a.org/table").entry
    assert entry.imagenet is not None
    assert (entry.imagenet.percent, entry.imagenet.source.url) == (76.13, "https://a.org/table")
    stated = made(board).entry.imagenet  # torchvision's own weights
    assert stated is not None
    assert (stated.percent, stated.source.label) == (75.912, "torchvision")
    for fields, message in (
        ({"imagenet_top1": 76.13}, "needs its source"),
        ({"imagenet_source": "https://a.org"}, "needs its source"),
        ({"imagenet_top1": 761.3, "imagenet_source": "https://a.org"}, "ImageNet top-1 761.3"),
        ({"imagenet_top1": 76.13, "imagenet_source": "http://a.org"}, "the link"),
    ):
        with pytest.raises(UsageError, match=message):
            made(board, name="New", **fields)


def test_a_share_is_no_percentage(board: Board) -> None:
    """0.761 is 76.1 %, and nobody means 0.761 %."""
    with pytest.raises(UsageError, match=r"0\.761: expected percent, as 76\.1; a share times 100"):
        made(board, imagenet_top1=0.761, imagenet_source="https://a.org")


def test_test_time_augmentation_is_part_of_the_name(board: Board) -> None:
    """A TTA result makes a row of its own, beside the plain one; the entry's page says what was done."""
    plain = made(board)
    result, predictions = read_result(board.result(board.scored(0)))
    memo = tta_settings("memo", views=8)
    assert memo is not None
    protocol = result.protocol.model_copy(update={"tta": memo.recorded()})
    tta = write_result(board.root / "tta", result.model_copy(update={"protocol": protocol}), predictions)
    entry = make_submission(tta, board.golds, name="ViT-B/32", org="Some Lab").entry
    assert (entry.name, entry.id) == ("ViT-B/32 + memo8", plain.entry.id + "-memo8")
    assert make_submission(tta, board.golds, name="memo8 ViT", org="Some Lab").entry.name == "memo8 ViT"
    bad = {**entry.model_dump(), "name": "ViT-B/32", "id": plain.entry.id}
    with pytest.raises(ValueError, match="nobody takes a score with test-time augmentation"):
        Entry.model_validate(bad)
    facts = {key: value for each in result_facts(entry.result) for key, value in each.rows}
    assert '"method":"memo"' in facts["Test-time augmentation"]
