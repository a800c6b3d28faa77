"""Models whose class indices others published, scored again."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.errors import DatasetError, ResultError
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.imported import V2_SOURCE, Imported, import_top5, import_v2, write_imported

TOP5 = np.array([[1, 2, 3, 4, 5], [9, 8, 7, 6, 5], [0, 1, 2, 3, 4]])


def imported(ids: list[str], labels: list[list[int]], **models: np.ndarray) -> Imported:
    return import_top5(
        ids, labels, models, benchmark="b", org="o", submitter="s", source=V2_SOURCE, date=dt.date(2020, 1, 1)
    )


def test_rows_are_sorted_with_their_labels() -> None:
    """By hand: image b right, a right within five, c wrong."""
    found = imported(["b", "c", "a"], [[1], [0], [3]], m=TOP5)
    ((entry, answers),) = found.entries
    assert answers.ids == found.gold.ids == ("a", "b", "c")
    assert (entry.claim.n_correct, entry.claim.n_top5, entry.claim.n_total) == (1, 2, 3)
    assert not entry.probabilities
    assert not found.gold.info.images
    assert found.gold.image_sha256 == ("", "", "")


@pytest.mark.parametrize(
    ("ids", "labels", "top5", "error"),
    [
        (["a", "a", "b"], [[1], [2], [3]], TOP5, DatasetError),
        (["a", "b", "c"], [[1], [2], []], TOP5, DatasetError),
        (["a", "b", "c"], [[1], [2], [1000]], TOP5, DatasetError),
        (["a", "b", "c"], [[1], [2], [3]], TOP5[:2], ResultError),
        (["a", "b", "c"], [[1], [2], [3]], TOP5 + 999, ResultError),
        (["a", "b", "c"], [[1], [2], [3]], np.zeros_like(TOP5), ResultError),
        ([], [], TOP5[:0], DatasetError),
    ],
)
def test_what_is_no_benchmark(ids: list[str], labels: list[list[int]], top5: np.ndarray, error: type) -> None:
    """Repeated ids, labels outside the classes, answers of another shape."""
    with pytest.raises(error):
        imported(ids, labels, m=top5)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """Missing, of other columns, or of other ids."""
    with pytest.raises(ResultError, match="cannot read .*labels.parquet"):
        import_v2(tmp_path)
    pq.write_table(pa.table({"id": ["a", "b"], "label": [1, 2]}), tmp_path / "labels.parquet")
    pq.write_table(pa.table({"id": ["b", "a"], "m": TOP5[:2].tolist()}), tmp_path / "top5.parquet")
    with pytest.raises(ResultError, match="other ids, or in another order"):
        import_v2(tmp_path)
    pq.write_table(pa.table({"m": TOP5[:2].tolist()}), tmp_path / "top5.parquet")
    with pytest.raises(ResultError, match="no column id"):
        import_v2(tmp_path)


def test_the_67_models_of_imagenet_v2(shared: Path, tmp_path: Path) -> None:
    """resnet50 has 63.33 and 84.65 percent; a board of some of them verifies and reads back."""
    found = import_v2(shared / "data" / "predictions" / "imagenetv2-matched-frequency")
    assert len(found.entries) == 67
    assert found.gold.info.n == 10_000
    claims = {entry.name: entry.claim for entry, _ in found.entries}
    assert (claims["resnet50"].n_correct, claims["resnet50"].n_top5) == (6333, 8465)
    names = ("resnet50", "vgg16", "alexnet", "pnasnet_large_tf", "pnasnet5large")
    few = replace(found, entries=tuple(each for each in found.entries if each[0].name in names))
    write_imported(tmp_path, few)
    board = {each.entry.name: each for each in read_board(tmp_path)}
    assert {each.tier for each in board.values()} == {"re-scored"}
    assert str(board["resnet50"].rescored.top1).startswith("63.33 %")
    assert board["resnet50"].rescored.metrics is None
    assert not any(each.report.flags for each in board.values() if each.report)


@pytest.mark.slow
def test_no_honest_model_is_flagged(shared: Path, tmp_path: Path) -> None:
    """All 67 against each other: the thresholds leave room for ports of one network's weights."""
    write_imported(tmp_path, import_v2(shared / "data" / "predictions" / "imagenetv2-matched-frequency"))
    board = list(read_board(tmp_path))
    assert len(board) == 67
    assert not [(e.entry.id, c.detail) for e in board if e.report for c in e.report.flags]
