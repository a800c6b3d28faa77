"""``imagenet-hard explore`` as typed: sets to take along, the page in a folder, and what is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from imagenet_hard.cli.explore import command
from imagenet_hard.cli.main import run
from imagenet_hard.dataset.subset import read_ids
from imagenet_hard.evaluation.result import write_result
from tests.evaluation.scored import make_result, make_scored
from tests.leaderboard.boards import Board


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three results on 40 images, in a folder."""
    out = tmp_path_factory.mktemp("results")
    for seed in range(3):
        scored = make_scored(40, seed, 6.0)[0]
        write_result(out, make_result(scored, name=f"model-{seed}"), scored.predictions, stem=f"model-{seed}")
    return out


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    made = Board(tmp_path_factory.mktemp("board"), n=30)
    for seed in range(2):
        made.submit(name=f"Model {seed}", seed=seed)
    return made.entries


def explore(*args):
    return run(command, [str(each) for each in args], "imagenet-hard explore")


def test_sets_of_images(results, tmp_path, capsys):
    """Ids that --ids takes and the CSV are of the same images: those that one is right on and one is not."""
    where = "who=right:model-0,wrong:model-1&sort=id"
    ids, table = tmp_path / "ids.txt", tmp_path / "images.csv"
    assert explore(results, "--where", where, "--ids-out", ids, "--export", table) == 0
    scored = [make_scored(40, seed, 6.0)[0] for seed in range(2)]
    right = [
        np.array([p in each for p, each in zip(s.predictions.top5[:, 0], s.labels, strict=True)])
        for s in scored
    ]
    expected = [id for id, a, b in zip(scored[0].predictions.ids, *right, strict=True) if a and not b]
    assert read_ids(ids) == expected
    assert [row["id"] for row in csv.DictReader(table.read_text().splitlines())] == expected
    assert capsys.readouterr().err.strip() == f"{len(expected)} of 40 images"


def test_each_file_has_its_own_place(results, tmp_path, capsys):
    assert explore(results, "--ids-out", tmp_path / "z.txt", "--export", tmp_path / "z.txt") == 2
    assert "expected a place of its own for each" in capsys.readouterr().err
    assert not (tmp_path / "z.txt").exists()


def test_a_boards_entries(entries, tmp_path, capsys):
    """With the labels of its gold."""
    out = tmp_path / "images.csv"
    assert explore("--entries", entries, "--where", "sort=doubt&labels=2", "--export", out) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {len(row["labels"].split()) for row in rows} == {2}
    doubts = [float(row["doubt"]) for row in rows]
    assert doubts == sorted(doubts, reverse=True)


def test_the_page_in_a_folder(results, tmp_path, capsys):
    assert explore(results, "--out", tmp_path / "page", "--where", "http://x/y.html#right=0-10") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page' / 'index.html'}#right=0-10\n"
    assert (tmp_path / "page/data/classes.js").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "what to explore? Give RESULTS, or --entries"),
        (("R", "--entries", "x"), "what to explore?"),
        (("R", "--fiftyone", "x"), "need --dataset"),
        (("R", "--out", "x", "--export", "y"), "--out is for the page"),
        (("nowhere",), "there is no file or folder nowhere"),
        (("R", "--export", "x", "--where", "colour=red"), "'colour' chooses no images"),
        (("R", "--out", "x", "--where", "right=x"), "right=x: expected LOW-HIGH in percent"),
        (("R", "--export", "x", "--where", "class=5"), "class=5 needs the images' labels"),
        (("R", "--export", "x", "--where", "sort=doubt"), "sort=doubt needs the images' labels"),
        (
            ("R", "--export", "x", "--where", "q=nothing"),
            "no image of ImageNet-Hard fits --where 'q=nothing'",
        ),
        (
            ("R", "--benchmark", "sketch"),
            "0 benchmarks are 'sketch': expected one of ImageNet-Hard (abababababab...)",
        ),
        (("R", "--study", "nowhere", "--out", "x"), "there is no matrix.npz in nowhere"),
        (("R", "--dataset", "nonsense"), "unknown data set 'nonsense'"),
    ],
)
def test_what_is_refused(results, tmp_path, monkeypatch, capsys, args, message):
    """With what to do, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert explore(*(results if each == "R" else each for each in args)) in (1, 2)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
