"""The command that ranks doubtful labels: what it reads, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from imagenet_hard.cli.main import group, run
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.doubt_tables import COLUMNS, read_doubted
from imagenet_hard.leaderboard.stats.doubts import Ballot, find_doubts
from tests.leaderboard.boards import standard

ANSWERS = """id,a,b,c
x/cat.jpg,281,282,282
x/dog.jpg,207,207,208
x/tick.jpg,1,1,1
x/kite.jpg,21,21,21
"""
LABELS = "cat.jpg 281\ndog.jpg 207\ntick.jpg 0\nkite.jpg 21\nmore.jpg 5\n"


def command(*args: object) -> int:
    return run(group, ["doubts", *map(str, args)], "imagenet-hard")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "top1.csv").write_text(ANSWERS)
    (tmp_path / "val.txt").write_text(LABELS)
    (tmp_path / "real.json").write_text(
        json.dumps({"cat": [281, 282], "dog": [207], "tick": [1, 2], "kite": []})
    )
    return tmp_path


def test_top1_alone_with_a_truth(files, capsys):
    """The tick is another class by all; the truth says so too, and has no label of the kite."""
    args = (files / "top1.csv", "--labels", files / "val.txt", "--truth", files / "real.json")
    assert command(*args, "--json", "-o", files / "doubts.csv") == 0
    got = json.loads(capsys.readouterr().out)
    first = got["doubts"][0]
    assert (first["rank"], first["id"], first["labels"], first["other"]) == (1, "x/tick.jpg", [0], 1)
    assert (first["score"], first["agree"], first["given"], first["votes"]) == (1.0, 1.0, 0.0, 3)
    assert (got["entries"], len(got["independent"])) == (3, 3)
    truth = got["truth"]
    assert (truth["images"], truth["wrong"], truth["average_precision"]) == (3, 1, 1.0)
    assert truth["chance"] == pytest.approx(1 / 3)
    rows = list(csv.reader((files / "doubts.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1][:6] == ["1", "x/tick.jpg", "0", "tench", "1", distinct_names()[1]]
    assert len(rows) == 5
    assert read_doubted(files / "doubts.csv")["x/tick.jpg"] == 1


def test_the_table(files, capsys):
    assert command(files / "top1.csv", "--labels", files / "val.txt", "--top", 1) == 0
    out = capsys.readouterr().out
    assert "x/tick.jpg" in out
    assert "x/cat.jpg" not in out
    assert "4 images, 3 entries, 3 of them independent" in out


def test_the_entries_of_a_board(tmp_path, capsys):
    """Their stored probabilities against the board's gold; the same of their results."""
    board = standard(tmp_path)
    assert command("--benchmark", "imagenet-hard", "--entries", board.entries, "--json") == 0
    got = json.loads(capsys.readouterr().out)
    ballots = [
        Ballot("", scored.predictions.top5, np.exp(scored.predictions.logprob5))
        for scored in map(board.scored, range(3))
    ]
    expected = find_doubts(ballots, board.gold.right)
    assert [each["id"] for each in got["doubts"]] == [board.gold.ids[i] for i in expected.order]
    assert [each["score"] for each in got["doubts"]] == pytest.approx(expected.score[expected.order].tolist())
    assert got["fingerprint"] == board.gold.info.fingerprint
    result = board.result(board.scored(0))
    args = ("--benchmark", "imagenet-hard", "--entries", board.entries, "--json")
    assert command(result, *args) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["entries"] == 1
    assert sorted(each["score"] for each in alone["doubts"]) == pytest.approx(
        sorted(find_doubts(ballots[:1], board.gold.right).score)
    )


def test_what_is_refused(files, tmp_path, capsys):
    """Each with what, where, and what to do."""
    few = files / "few.csv"
    few.write_text("id,d\nx/cat.jpg,1\n")
    twins = files / "twins.txt"
    twins.write_text("a/cat.jpg 1\nb/cat.jpg 2\n")
    answers, labels = files / "top1.csv", ("--labels", files / "val.txt")
    board = standard(tmp_path / "board")
    here = ("--benchmark", "imagenet-hard", "--entries", board.entries)
    right = files / "right.txt"
    right.write_text("cat 281\ndog 207\ntick 0\nkite 21\n")
    for args, said in (
        ((answers,), "whose labels?"),
        ((answers, *labels, *here), "whose labels?"),
        (labels, "--labels is for ANSWERS"),
        ((answers, few, *labels), "expected the same images in all"),
        ((answers, answers, *labels), "'a', which came before"),
        ((few, "--labels", twins), "no image called 'x/cat.jpg'"),
        ((answers, "--labels", few.with_suffix(".txt")), "few.txt"),
        ((answers, *here), "the ids are not those of imagenet-hard"),
        ((answers, *labels, "--truth", right), "drops the labels of 0 of the 4 images"),
        (("--benchmark", "other", "--entries", board.entries), "are called 'other'"),
    ):
        assert command(*args) in (1, 2)
        assert said in capsys.readouterr().err


def test_a_list_is_read_strictly(tmp_path):
    from imagenet_hard.base.errors import ResultError

    path = tmp_path / "d.csv"
    for text, said in (
        ("id,other\na,1\na,2\n", "'a' appears twice"),
        ("id,other\na,1000\n", "expected a class index"),
        ("id\na\n", "expected id,other once each"),
    ):
        path.write_text(text)
        with pytest.raises(ResultError, match=said):
            read_doubted(path)
