"""Corrections of labels: from reviewers' decisions to a board that is scored again, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.corrections import (
    CORRECTIONS,
    check_corrections,
    newest,
    read_corrections,
)
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.gold import gold_of
from imagenet_hard.leaderboard.site.build import site_files
from imagenet_hard.leaderboard.site.from_entries import read_site
from tests.leaderboard.boards import Board, change, standard

TIME = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path / "board")


def decide(path: Path, gold: Any, *said: tuple[int, str, str, tuple[int, ...]]) -> Path:
    """A reviewer's file; of each image its row in the gold, action, reason and labels."""
    for row, action, reason, labels in said:
        sha = gold.image_sha256[row]
        append_decision(path, DecisionRow(gold.ids[row], action, reason, labels, path.stem, TIME, sha))
    return path


def command(*args: object) -> int:
    return run(group, ["leaderboard", *map(str, args)], "imagenet-hard")


def correct(board: Board, name: str, *files: object) -> int:
    return command("correct", name, *files, "--benchmark", "imagenet-hard", "--entries", board.entries)


def other(labels: tuple[int, ...]) -> tuple[int, ...]:
    """A class that is none of them."""
    return (next(i for i in range(1000) if i not in labels),)


@pytest.fixture
def two(board: Board, tmp_path: Path) -> tuple[Path, Path]:
    """Two reviewers: image 0 gets what the first entry answers, 1 is taken out, 2 is kept."""
    answers = board.scored(0).predictions.top5[:, 0]
    new = tuple(sorted({*board.gold.labels[0], int(answers[0])} - {board.gold.labels[0][0]})) or (
        int(answers[0]),
    )
    if new == board.gold.labels[0]:
        new = other(new)
    rows = [(0, "relabel", "", new), (1, "drop", "no label fits: a <b>blur</b>", ()), (2, "keep", "", ())]
    return tuple(decide(tmp_path / f"{name}.csv", board.gold, *rows) for name in ("ann", "bob"))


def test_from_decisions_to_a_corrected_board(board: Board, two: tuple[Path, Path], capsys: Any) -> None:
    """Scores by the new labels, counted by hand; entries and gold stay as they were."""
    stored = {p: p.read_bytes() for p in board.root.rglob("*.*") if "results" not in p.parts}
    before = {each.entry.id: each for each in read_board(board.root)}
    assert correct(board, "first-look", *two) == 0
    made = read_corrections(board.root)["first-look"]
    gold = board.gold
    assert [each.id for each in made.images] == list(gold.ids[:2])
    assert (made.images[1].after, made.images[1].reason) == ((), "no label fits")
    assert made.images[0].reviewers == ("ann", "bob")
    assert (made.agreement[0].n, made.agreement[0].equal, made.agreement[0].kappa) == (3, 1.0, 1.0)
    labels = [made.images[0].after, *gold.labels[2:]]
    for each in read_board(board.root):
        top1 = np.delete(before[each.entry.id].answers.top5[:, 0], 1)
        right = [answer in truth for answer, truth in zip(top1.tolist(), labels, strict=True)]
        assert each.rescored.correct.tolist() == right
        assert each.rescored.top1.n_total == len(gold.ids) - 1
        assert each.gold.info.fingerprint == made.corrected
        assert each.answers.ids == each.gold.ids
        ((version, what),) = each.corrected
        assert version.name == "first-look"
        assert what.before == before[each.entry.id].rescored.top1
        assert what.after == each.rescored.top1
        assert what.low <= what.difference <= what.high
    assert stored == {p: p.read_bytes() for p in stored}
    rows = (
        (id, each, o, s)
        for id, each, o, s in zip(
            (gold.ids[0], *gold.ids[2:]),
            labels,
            (gold.origins[0], *gold.origins[2:]),
            (gold.image_sha256[0], *gold.image_sha256[2:]),
            strict=True,
        )
    )
    assert made.corrected == gold_of(rows, name="x", source="y").info.fingerprint
    capsys.readouterr()
    assert command("corrections", "--entries", board.entries, "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert [e["place_after"] for e in shown["entries"]] == sorted(e["place_after"] for e in shown["entries"])
    assert command("corrections", "--entries", board.entries) == 0
    assert "first-look, 2 images, 1 taken out" in capsys.readouterr().out


def test_the_page_shows_what_moved(board: Board, two: tuple[Path, Path]) -> None:
    """A page and its link where there are corrections; one board, of the newest version."""
    assert "corrections.html" not in dict(site_files(read_site(board.entries)))
    correct(board, "first-look", *two)
    site = read_site(board.entries)
    (shown,) = site.boards
    made = read_corrections(board.root)["first-look"]
    assert shown.fingerprint == made.corrected
    files = dict(site_files(site))
    page = files["corrections.html"].decode()
    assert 'href="corrections.html"' in files["index.html"].decode()
    for text in ("taken out", "ann, bob", "Cohen’s kappa 1.000", "2 images of imagenet-hard, 1 of them"):
        assert text in page
    for entry in shown.entries:
        assert f"entries/{entry.id}.html" in page


def test_corrections_make_a_chain(board: Board, two: tuple[Path, Path], tmp_path: Path) -> None:
    """The second is of what the first made, and each says what it moved."""
    correct(board, "first-look", *two)
    gold = newest(board.gold, read_corrections(board.root))
    again = decide(tmp_path / "eve.csv", gold, (5, "relabel", "", other(gold.labels[5])))
    assert correct(board, "second-look", again) == 0
    second = read_corrections(board.root)["second-look"]
    assert second.fingerprint == gold.info.fingerprint
    each = next(read_board(board.root))
    assert [version.name for version, _ in each.corrected] == ["first-look", "second-look"]
    assert each.corrected[0][1].after == each.corrected[1][1].before
    assert [each.version.name for each in read_site(board.entries).corrected] == ["second-look", "first-look"]
    check_corrections(board.root)


def test_reviewers_who_differ_make_none(board: Board, tmp_path: Path, capsys: Any) -> None:
    """Until somebody settles it."""
    gold = board.gold
    ann = decide(tmp_path / "ann.csv", gold, (0, "drop", "ambiguous", ()), (3, "drop", "other: x", ()))
    bob = decide(tmp_path / "bob.csv", gold, (0, "keep", "", ()), (3, "drop", "other: y", ()))
    assert correct(board, "one", ann, bob) == 2
    assert f"differ about 1 image ({gold.ids[0]}): settle them with --adjudication" in capsys.readouterr().err
    settled = [(0, "relabel", "", other(gold.labels[0])), (3, "drop", "other: z", ())]
    chief = decide(tmp_path / "chief.csv", gold, *settled)
    assert correct(board, "one", ann, bob, chief, "--adjudication", chief) == 0
    made = read_corrections(board.root)["one"]
    assert made.adjudicated == (gold.ids[0],)
    assert made.images[0].reviewers == ("chief",)
    assert made.agreement[0].equal == 0.5
    assert correct(board, "one", ann) == 2
    assert "already exists" in capsys.readouterr().err


def test_nothing_to_correct(board: Board, tmp_path: Path, capsys: Any) -> None:
    """Kept images, or another board's bytes, make no correction."""
    keep = decide(tmp_path / "ann.csv", board.gold, (0, "keep", "", ()))
    assert correct(board, "none", keep) == 2
    assert "change no label" in capsys.readouterr().err
    assert correct(board, "No", keep) == 2
    keep.write_text(keep.read_text().replace(board.gold.image_sha256[0], "a" * 64))
    assert correct(board, "none", keep) == 1
    assert "images that have changed since" in capsys.readouterr().err


def tampered(board: Board, two: tuple[Path, Path], edit: Any) -> None:
    correct(board, "first-look", *two)
    path = board.root / CORRECTIONS / "first-look.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def image(**changes: Any) -> Any:
    return lambda value: value["images"][0].update(changes)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (image(id="img-new"), "sorted by id|no such image; ids are never changed or added"),
        (image(image_sha256="b" * 64), "image_sha256 is 'bbbb"),
        (image(image_sha256="B" * 64), "image_sha256"),
        (image(before=[1, 999]), "before is (1, 999): the gold has"),
        (image(after=[1000]), "less than 1000"),
        (image(after=[-1]), "greater than or equal to 0"),
        (image(after=[5, 5]), "rise, none twice"),
        (image(after=[4, 3]), "rise, none twice"),
        (image(after=["n01440764"]), "valid integer"),
        (image(after=[True]), "valid integer"),
        (image(reason="<script>alert(1)</script>"), "without < and >"),
        (image(reason="see https://example.org"), "Markdown makes a link"),
        (image(reason=""), "at least 1"),
        (image(reviewers=[]), "at least 1 item"),
        (image(reviewers=["@everybody"]), "Markdown makes a link"),
        (image(extra=1), "extra"),
        (lambda v: v["images"].append(v["images"][0]), "expected each once"),
        (lambda v: v["images"].reverse(), "sorted by id"),
        (lambda v: v["images"].pop(), "it says"),
        (lambda v: v.update(corrected="c" * 64), "it says cccc"),
        (lambda v: v.update(fingerprint="c" * 64), "of no version of a benchmark"),
        (lambda v: v.update(schema_version=2), "this release reads 1"),
        (lambda v: v.update(adjudicated=["x"]), "none of the images"),
    ],
)
def test_what_is_refused(board: Board, two: tuple[Path, Path], edit: Any, said: str) -> None:
    """Each by the check of a request; a board that has it anyway says so, and keeps the gold it had."""
    tampered(board, two, edit)
    with pytest.raises(ResultError) as error:
        check_corrections(board.root)
    assert any(each in str(error.value) for each in said.split("|"))
    left_out: list[str] = []
    found = list(read_board(board.root, left_out.append))
    assert {each.gold.info.fingerprint for each in found} == {board.gold.info.fingerprint}
    assert left_out or "of no version" in said


def test_two_corrections_of_one_version(board: Board, tmp_path: Path) -> None:
    """Whichever comes second is made again; none of the two counts until then."""
    gold = board.gold
    for name, row in (("one", 0), ("two", 1)):
        file = decide(tmp_path / f"{name}.csv", gold, (row, "relabel", "", other(gold.labels[row])))
        correct(board, name, file)
        path = board.root / CORRECTIONS / f"{name}.json"
        path.rename(tmp_path / path.name)
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").rename(board.root / CORRECTIONS / f"{name}.json")
    with pytest.raises(ResultError, match="one and two correct one version of imagenet-hard"):
        check_corrections(board.root)
    left_out: list[str] = []
    assert all(not each.corrected for each in read_board(board.root, left_out.append))
    assert "one and two" in left_out[0]


def test_a_correction_does_not_go_back(board: Board, tmp_path: Path, capsys: Any) -> None:
    """The old labels again would be the old version: take the correction away instead."""
    gold = board.gold
    correct(board, "one", decide(tmp_path / "a.csv", gold, (0, "relabel", "", other(gold.labels[0]))))
    now = newest(gold, read_corrections(board.root))
    capsys.readouterr()
    back = decide(tmp_path / "b.csv", now, (0, "relabel", "", gold.labels[0]))
    assert correct(board, "two", back) == 1
    assert "the correction two goes back to an earlier version" in capsys.readouterr().err
    assert [*read_corrections(board.root)] == ["one"]


def test_a_claim_is_checked_against_its_own_gold(board: Board, two: tuple[Path, Path]) -> None:
    """A count that the newest version would give, and the entry's does not, is a wrong claim."""
    correct(board, "first-look", *two)
    entry = read_entry(board.first)
    change(board.first, "claim", "n_correct", to=entry.claim.n_correct + 1)
    left_out: list[str] = []
    assert board.first.name not in [each.entry.id for each in read_board(board.root, left_out.append)]


def test_answers_in_words_are_read_by_the_new_labels(board: Board, two: tuple[Path, Path]) -> None:
    """All but the corrected images as before; what is taken out is gone from what was said too."""
    folder = board.submit_words()
    before = {each.entry.id: each for each in read_board(board.root)}[folder.name]
    correct(board, "first-look", *two)
    after = {each.entry.id: each for each in read_board(board.root)}[folder.name]
    assert after.answers.words is not None
    assert after.answers.words.raw.ids == after.gold.ids == (before.gold.ids[0], *before.gold.ids[2:])
    assert after.rescored.correct[1:].tolist() == before.rescored.correct[2:].tolist()
    named = after.answers.words.reading.matches[0].classes
    assert bool(after.rescored.correct[0]) == bool(set(named) & set(after.gold.labels[0]))
    assert after.rescored.words is not None
