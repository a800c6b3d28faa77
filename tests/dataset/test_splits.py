"""A data set in numbered files: whole, or refused by the names of what is missing."""

from __future__ import annotations

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.splits import check_whole


def named(
    numbers: list[int], total: int, stem: str = "data/validation", ending: str = ".parquet"
) -> list[str]:
    """File names as ``datasets`` writes them."""
    return [f"{stem}-{n:05d}-of-{total:05d}{ending}" for n in numbers]


@pytest.mark.parametrize(
    "paths",
    [
        named([0], 1),
        named([1, 0], 2),
        named([1, 2, 3], 3),
        named([0, 1], 2) + named([0], 1, "data/train"),
        named([0], 1, "a/validation") + named([0, 1], 2, "b/validation"),
        ["hf://datasets/a/b@c0ffee/data/validation-00000-of-00001-0a1b2c3d.parquet"],
        ["validation.parquet", "2020.parquet", "2022.parquet"],
        [],
    ],
)
def test_whole_series_are_let_through(paths: list[str]) -> None:
    """Numbered from 0 (or 1), one series for each folder and name; other names have no number."""
    check_whole(paths, "x")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            named([0], 2),
            r"x is incomplete: 1 of 2 files is missing, validation-00001-of-00002\.parquet\. Compl",
        ),
        (named([1], 2), r"missing, validation-00000-of-00002\.parquet\."),
        (named([1, 2], 3), r"missing, validation-00000-of-00003\.parquet\."),
        (named([0, 3], 4), r"2 of 4 files are missing, validation-00001-.*, validation-00002-of-00004"),
        (named([0, 1], 2) + named([0], 2, "data/train"), r"missing, train-00001-of-00002"),
        (named([0], 10**9), r"999,999,999 of .* and 999,999,995 more"),
        (named([0], 2, ending="-0a1b.parquet"), r"missing, validation-00001-of-00002\.parquet"),
        (
            named([0], 1) + named([0, 1], 2),
            "mixes shards of two builds: validation-00000-of-00001.*-of-00002",
        ),
        (named([0, 1], 2) + named([1], 2, ending="-0a.parquet"), "mixes shards of two builds"),
        (named([0, 1, 2], 2), "mixes shards of two builds: .* and validation-00002-of-00002"),
    ],
)
def test_a_part_is_refused_by_name(paths: list[str], message: str) -> None:
    """What an interrupted download left out, and what an older build left behind."""
    with pytest.raises(DatasetError, match=message):
        check_whole(paths, "x")
