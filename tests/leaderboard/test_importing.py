"""Models whose class indices others published, scored again."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.leaderboard.answer_tables import AnswerTable
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.gold import Gold, find_gold, gold_of
from imagenet_hard.leaderboard.importing import Imported, gold_of_labels, import_answers, write_imported
from imagenet_hard.leaderboard.site.build import site_files
from imagenet_hard.leaderboard.site.from_entries import read_site
from imagenet_hard.leaderboard.verify.report import tier_by
from tests.leaderboard.v2 import V2_SOURCE

TOP5 = np.array([[1, 2, 3, 4, 5], [9, 8, 7, 6, 5], [0, 1, 2, 3, 4]])
IDS = ("b", "c", "a")


def gold(ids: tuple[str, ...], labels: list[list[int]]) -> Gold:
    return gold_of(zip(ids, labels, ids, [""] * len(ids), strict=True), name="b", source="predictions")


def imported(
    ids: tuple[str, ...] = IDS, labels: list[list[int]] | None = None, **models: NDArray[Any]
) -> Imported:
    return import_answers(
        AnswerTable(ids, models or {"m": TOP5}),
        gold(ids, [[1], [0], [3]] if labels is None else labels),
        org="o",
        submitter="s",
        links=[V2_SOURCE],
        date=dt.date(2020, 1, 1),
    )


def test_rows_are_sorted_with_their_labels() -> None:
    """By hand: image b right, a right within five, c wrong."""
    found = imported()
    ((entry, answers),) = found.entries
    assert answers.ids == found.gold.ids == ("a", "b", "c")
    assert (entry.claim.n_correct, entry.claim.n_top5, entry.claim.n_total) == (1, 2, 3)
    assert not entry.probabilities
    assert not found.gold.info.images
    assert found.gold.image_sha256 == ("", "", "")


@pytest.mark.parametrize(
    ("ids", "labels", "top5", "error"),
    [
        (("a", "a", "b"), [[1], [2], [3]], TOP5, DatasetError),
        (("a", "b", "c"), [[1], [2], []], TOP5, DatasetError),
        (("a", "b", "c"), [[1], [2], [1000]], TOP5, DatasetError),
        (("a", "b", "c"), [[1], [2], [3]], TOP5[:2], ResultError),
        (("a", "b", "c"), [[1], [2], [3]], TOP5 + 999, ResultError),
        (("a", "b", "c"), [[1], [2], [3]], np.array([[1], [2], [256 * 256]]), ResultError),
        (("a", "b", "c"), [[1], [2], [3]], np.array([[1], [2], [-1]]), ResultError),
        (("a", "b", "c"), [[1], [2], [3]], np.zeros_like(TOP5), ResultError),
        ((), [], TOP5[:0], DatasetError),
    ],
)
def test_what_is_no_benchmark(
    ids: tuple[str, ...], labels: list[list[int]], top5: NDArray[Any], error: type[Exception]
) -> None:
    """Repeated ids, labels outside the classes, answers of another shape."""
    with pytest.raises(error):
        imported(ids, labels, m=top5)


def test_two_models_make_one_id() -> None:
    """`a/b` and `A-b` would share a folder; names that no page shows are refused."""
    with pytest.raises(UsageError, match="make one id, o__a-b__b"):
        imported(**{"a/b": TOP5, "A-b": TOP5})
    with pytest.raises(UsageError, match="makes no entry"):
        imported(**{"<b>x</b>": TOP5})


def test_top1_alone_has_no_top5(tmp_path: Path) -> None:
    """Neither in the entry, nor in its file, nor on the page; smaller integers are read as well."""
    write_imported(tmp_path, imported(m=TOP5[:, :1].astype(np.uint8), n=TOP5), accepted=True)
    folder = tmp_path / "entries" / "o__m__b"
    assert (folder / "top1.csv").read_bytes() == b"id,top1\r\na,0\r\nb,1\r\nc,9\r\n"
    assert sorted(p.name for p in folder.iterdir()) == ["entry.json", "top1.csv"]
    board = {each.entry.name: each for each in read_board(tmp_path)}
    assert (board["m"].entry.claim.n_top5, board["m"].rescored.top5, tier_by(board["m"].report)) == (
        None,
        None,
        "re-scored",
    )
    assert board["n"].rescored.top5 is not None
    assert board["m"].rescored.top1 == board["n"].rescored.top1
    files = dict(site_files(read_site(tmp_path / "entries")))
    assert "Top-5" not in files["entries/o__m__b.html"].decode()
    assert "Top-5" in files["entries/o__n__b.html"].decode()
    value = json.loads((folder / "entry.json").read_text())
    (folder / "entry.json").write_text(json.dumps(value | {"probabilities": True}))
    with pytest.raises(ResultError, match="claim.n_top5 is null"):
        read_entry(folder)


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_the_board_has_stays(tmp_path: Path) -> None:
    """The same again does nothing; other answers, capitals or labels stop before anything is written."""
    first = imported()
    assert len(write_imported(tmp_path, first)) == 1
    before = state(tmp_path)
    assert write_imported(tmp_path, first) == []
    for other in (
        imported(a_first=TOP5, m=TOP5[:, ::-1]),
        imported(a_first=TOP5, M=TOP5),
        imported(labels=[[5], [0], [3]], a_first=TOP5, m=TOP5),
    ):
        with pytest.raises(ResultError, match="the board has o__m__b already"):
            write_imported(tmp_path, other)
    assert state(tmp_path) == before
    noted = replace(first.gold, info=first.gold.info.model_copy(update={"note": "another"}))
    more = imported(n=TOP5[:, ::-1])
    write_imported(tmp_path, replace(more, gold=noted))
    assert before.items() <= state(tmp_path).items()  # the gold as well


def test_nothing_is_written_where_one_entry_fails(tmp_path: Path) -> None:
    """The second is dated before there were any images."""
    found = imported(a=TOP5, m=TOP5)
    (good, (entry, answers)) = found.entries
    bad = replace(found, entries=(good, (entry.model_copy(update={"date": dt.date(1999, 1, 1)}), answers)))
    with pytest.raises(ResultError, match="o__m__b fails, nothing was written: date"):
        write_imported(tmp_path, bad)
    assert state(tmp_path) == {}


def leaderboard(*args: object) -> int:
    return run(command, [str(each) for each in args], "imagenet-hard leaderboard")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gold from labels first, then another model against the board's gold by its name."""
    (tmp_path / "labels.csv").write_text("id,label\nb,1\nc,0\na,3\n")
    rows = [" ".join(map(str, row)) for row in TOP5.tolist()]
    (tmp_path / "m.csv").write_text(
        "id,x\n" + "".join(f"{i},{row}\n" for i, row in zip(IDS, rows, strict=True))
    )
    about = ["--org", "o", "--link", "Data=https://a.org", "--date", "2020-01-01"]
    about += ["--benchmark", "b", "--entries", tmp_path / "entries"]
    assert leaderboard("import", tmp_path / "m.csv", *about, "--labels", tmp_path / "labels.csv") == 0
    said = capsys.readouterr()
    assert said.out.startswith("o__x__b: re-scored, top-1 33.33 %")
    assert "1 entry written, 0 were on the board already\nself-reported until" in said.err
    assert {tier_by(each.report) for each in read_board(tmp_path)} == {"self-reported"}
    np.savez(tmp_path / "y.npz", id=np.array(IDS), x=TOP5[:, 0])
    args = [tmp_path / "y.npz", *about, "--name", "y", "--owner", "github:alice", "--accept"]
    assert leaderboard("import", *args, "--used-in-curation", "y") == 0
    (y,) = (each for each in read_board(tmp_path) if each.entry.name == "y")
    assert (tier_by(y.report), y.entry.owner, y.entry.used_in_curation) == (
        "re-scored",
        {"github": "alice"},
        True,
    )
    assert (y.rescored.top1.n_correct, y.rescored.top5) == (1, None)
    capsys.readouterr()
    for more, code, message in (
        (["--benchmark", "other"], 1, "0 benchmarks in"),
        (["--used-in-curation", "z"], 2, "the file has no model 'z'"),
        (["--link", "Data=http://a.org"], 2, "https://"),
        (["--owner", "alice"], 2, "is not an account"),
        (["--date", "soon"], 2, "soon"),
    ):
        assert leaderboard("import", tmp_path / "y.npz", *about, *more) == code
        assert message in capsys.readouterr().err


def test_labels_of_a_benchmark(tmp_path: Path) -> None:
    """Parquet with one label or several an image; the fingerprint is that of the same labels as text."""
    pq.write_table(pa.table({"id": IDS, "labels": [[1], [0, 2], [3]]}), tmp_path / "l.parquet")
    (tmp_path / "l.csv").write_text('id,label\nb,1\nc,"0,2"\na,3\n')
    made = [gold_of_labels(tmp_path / name, "b") for name in ("l.parquet", "l.csv")]
    assert made[0].info == made[1].info
    assert made[0].labels == ((3,), (1,), (0, 2))
    for columns, message in (
        ({"id": IDS}, "expected id, and label"),
        ({"id": IDS, "label": [1, 2, 1000]}, "1000"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
        with pytest.raises((ResultError, DatasetError), match=message):
            gold_of_labels(tmp_path / "bad.parquet", "b")
    with pytest.raises(UsageError, match="no benchmark can be called"):
        gold_of_labels(tmp_path / "l.csv", "<b>")
    write_imported(tmp_path, imported())
    digest = imported().gold.info.fingerprint
    assert find_gold(tmp_path / "benchmarks", digest[:8]).ids == find_gold(tmp_path / "benchmarks", "b").ids
