"""Parts of a benchmark: the same ones wherever they are drawn, and never taken for the whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.types import Selection
from imagenet_hard.dataset import Benchmark
from imagenet_hard.dataset.subset import drawn, part_of, read_ids, with_ids
from tests.dataset.test_benchmark import ABOUT, ROWS, stored, streamed


def numbered(n: int) -> Benchmark:
    """``n`` images of one byte or two, "val/0.JPEG", "val/1.JPEG", ..."""
    return Benchmark(
        ABOUT, [f"val/{i}.JPEG" for i in range(n)], [(i,) for i in range(n)], [""] * n, lambda i: b"%d" % i
    )


def test_a_sample_is_the_smallest_hashes() -> None:
    """As the documentation says, computed by hand; in the benchmark's order."""
    benchmark = numbered(50)
    order = sorted(benchmark.ids, key=lambda id: hashlib.sha256(f"7:{id}".encode()).hexdigest())
    sample = drawn(benchmark, 20, seed=7)
    assert sample.ids == tuple(id for id in benchmark.ids if id in order[:20])
    assert [(e.labels, e.image) for e in sample] == [((i,), b"%d" % i) for (i,) in sample.labels]
    assert sample.part == "sample-20-seed-7"


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.randoms())
def test_samples_of_one_seed_are_nested_whatever_the_order(a: int, b: int, seed: int, random) -> None:
    """A larger sample holds the smaller; the order of the benchmark tells nothing."""
    benchmark = numbered(40)
    shuffled = list(range(40))
    random.shuffle(shuffled)
    other = Benchmark(ABOUT, [benchmark.ids[i] for i in shuffled], [(0,)] * 40, [""] * 40, lambda i: b"")
    few, many = sorted((a, b))
    assert len(drawn(benchmark, few, seed)) == few
    assert set(drawn(benchmark, few, seed).ids) <= set(drawn(other, many, seed).ids)


def test_seeds_draw_other_images() -> None:
    """The default is seed 0."""
    benchmark = numbered(200)
    assert set(drawn(benchmark, 50, 0).ids) != set(drawn(benchmark, 50, 1).ids)
    assert part_of(benchmark, sample=50).ids == drawn(benchmark, 50, 0).ids


def test_each_image_is_drawn_as_often_as_any_other() -> None:
    """Over 300 seeds, a tenth of the time, give or take five standard deviations."""
    benchmark = numbered(100)
    often = dict.fromkeys(benchmark.ids, 0)
    for seed in range(300):
        for id in drawn(benchmark, 10, seed).ids:
            often[id] += 1
    assert all(abs(n - 30) < 5 * (300 * 0.1 * 0.9) ** 0.5 for n in often.values())


def test_a_part_is_recorded_and_has_an_identity_of_its_own(tmp_path: Path) -> None:
    """In the record, in names of files, in the key of a run, in the fingerprint."""
    file = tmp_path / "few.txt"
    file.write_text("4\n1\n")
    whole, some, sample = stored(), with_ids(stored(), file), drawn(stored(), 2, seed=1)
    digest = hashlib.sha256(b"1\n4\n").hexdigest()
    assert list(some) == [ROWS[1], ROWS[4]]
    assert some.info("ff").selection == Selection(kind="ids", n=2, total=5, ids_sha256=digest)
    assert some.info("ff").part == some.part == f"ids-2-{digest[:8]}"
    assert sample.info("ff").model_dump()["selection"] | {"ids_sha256": ""} == {
        "kind": "sample",
        "n": 2,
        "total": 5,
        "seed": 1,
        "ids_sha256": "",
    }
    parts = [whole, some, sample, some.take(1), whole.take(1)]
    assert len({part.identity() for part in parts}) == len({part.part for part in parts}) == len(parts)
    assert len({part.fingerprint() for part in parts[:3]}) == 3
    assert some.take(1).part == f"ids-2-{digest[:8]}-first-1"
    assert whole.part == ""


def test_all_of_it_is_the_whole() -> None:
    """A part that leaves nothing out leaves no trace."""
    assert drawn(stored(), 5).selection is None
    assert drawn(stored(), 9).identity() == stored().identity()
    assert with_ids(stored(), list("43210")).selection is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "\ufeffx/a b.jpg\r\n\r\n 7 \n"),
        ("a.json", '["x/a b.jpg", 7]'),
        ("a.csv", "label,id\n3,x/a b.jpg\n4,7\n"),
        ("ids", "x/a b.jpg\n7"),
    ],
)
def test_files_of_ids(tmp_path: Path, name: str, text: str) -> None:
    """Lines, JSON or CSV."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_ids(tmp_path / name) == ["x/a b.jpg", "7"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"a": 1}', r"a\.json is not a list of ids: expected one id per line"),
        ("a.json", "[1.5]", "is not a list of ids"),
        ("a.json", "[", r"a\.json cannot be read: Expecting"),
        ("a.csv", f"id\n{'1' * 200_000}\n", r"a\.csv:2: not CSV: field larger than"),
        ("a.csv", "name,label\na,1\n", "got the header 'name,label', expected id once .* a column 'id'"),
        ("a.csv", "id,id\na,b\n", "got the header 'id,id', expected id once"),
        ("a.csv", "label,id\n3\n", r"a\.csv:2: got 1 cell, expected 2"),
        ("a.txt", None, "cannot read .*a.txt: it is not there"),
    ],
)
def test_files_that_are_no_ids(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """The message says what is expected."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_ids(tmp_path / name)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            ["val/3.JPEG", "val/99.JPEG"],
            r"ids names 1 ids that five has not: 'val/99\.JPEG' \(is it 'val/9\.JPEG",
        ),
        (["train\\3.jpg"], r"'train\\\\3\.jpg' \(is it 'val/3\.JPEG'\?\)"),
        ([str(i) for i in range(100, 110)], r"10 ids .* and 7 more\. Its ids are written like 'val/0\.JPEG'"),
        (["val/3.JPEG", "val/3.JPEG"], r"ids names 'val/3\.JPEG' twice"),
        ([], "names no image"),
    ],
)
def test_ids_that_are_not_there_are_named(ids: list[str], message: str) -> None:
    """With the nearest, by file name or by letters."""
    with pytest.raises(UsageError, match=message):
        with_ids(numbered(10), ids)


def test_one_choice_at_a_time(tmp_path: Path) -> None:
    """What two of them together would mean is not said anywhere."""
    (tmp_path / "ids.json").write_text(json.dumps(["1"]))
    with pytest.raises(UsageError, match="limit and sample: each chooses images in its own way"):
        part_of(stored(), limit=2, sample=2)
    with pytest.raises(UsageError, match="ids and sample: each"):
        part_of(stored(), ids=tmp_path / "ids.json", sample=2)
    with pytest.raises(UsageError, match="seed=1: it is for a sample, and none is drawn"):
        part_of(stored(), limit=2, seed=1)
    with pytest.raises(UsageError, match="the sample is 0: expected the number of images to draw"):
        part_of(stored(), sample=0)
    assert part_of(stored()).part == ""
    assert part_of(stored(), limit=2).part == "first-2"


def test_a_stream_has_no_ids_to_choose_from() -> None:
    """The message says how to get them."""
    for chosen in ({"ids": ["1"]}, {"sample": 2}):
        with pytest.raises(DatasetError, match="the ids of a streamed .* load it without streaming"):
            part_of(streamed(5), **chosen)
