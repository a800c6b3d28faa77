"""What every benchmark can do, map-style and streamed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.types import BenchmarkInfo, Example
from imagenet_hard.dataset import Benchmark, load_dataset
from imagenet_hard.dataset.benchmark import Source, StreamingBenchmark
from tests.dataset.images import WNIDS, class_tree, jpeg

ROWS = [Example(str(i), bytes([i]), (i,), "abc"[i % 3]) for i in range(5)]
ABOUT = Source("five", "folder", state="s")


def stored(about: Source = ABOUT) -> Benchmark:
    """The five rows in memory."""
    return Benchmark(
        about,
        [e.id for e in ROWS],
        [e.labels for e in ROWS],
        [e.origin for e in ROWS],
        lambda i: ROWS[i].image,
    )


def streamed(size: int | None = None) -> StreamingBenchmark:
    """The five rows as a stream."""
    return StreamingBenchmark(
        ABOUT, lambda: ((e.id, partial(ROWS.__getitem__, int(e.id))) for e in ROWS), size
    )


def test_iteration_indexing_and_length_agree() -> None:
    """Examples come in order, by index and by iteration."""
    benchmark = stored()
    assert list(benchmark) == ROWS == [benchmark[i] for i in range(len(benchmark))]
    assert benchmark[-1] == ROWS[-1]
    assert list(benchmark) == ROWS  # again: an iteration uses nothing up
    with pytest.raises(IndexError):
        benchmark[5]


def test_tasks_skip_without_reading() -> None:
    """No image is read until its task runs."""
    read: list[int] = []

    def note(i: int) -> bytes:
        read.append(i)
        return b""

    benchmark = Benchmark(ABOUT, "abc", [(0,)] * 3, [""] * 3, note)
    tasks = list(benchmark.tasks())
    assert read == []
    assert [task().id for task in tasks] == ["a", "b", "c"]
    assert read == [0, 1, 2]


@pytest.mark.parametrize("make", [stored, streamed, lambda: streamed(5)])
def test_take_keeps_the_first(make: object) -> None:
    """The limit is recorded, unless it does not cut anything."""
    benchmark: Benchmark = make()  # type: ignore[operator]
    assert list(benchmark.take(2)) == ROWS[:2]
    assert benchmark.take(2).limit == 2
    assert list(benchmark.take(4).take(2)) == ROWS[:2]
    assert list(benchmark.take(2).take(4)) == ROWS[:2]
    assert benchmark.take(2).take(4).limit == 2
    assert list(benchmark.take(9)) == ROWS
    assert list(benchmark) == ROWS
    with pytest.raises(UsageError, match="the limit is 0: expected the number of examples to keep"):
        benchmark.take(0)


def test_take_of_all_is_no_limit() -> None:
    """A limit that cuts nothing leaves no trace in the result."""
    assert stored().take(5).limit is None
    assert streamed(5).take(7).limit is None


def test_a_stream_equals_its_stored_twin() -> None:
    """Same examples, same fingerprint, same tasks."""
    assert list(streamed()) == list(stored())
    assert streamed().fingerprint() == stored().fingerprint()
    assert [task().id for task in streamed().tasks()] == ["0", "1", "2", "3", "4"]


def test_a_stream_learns_its_length() -> None:
    """Before a whole pass only the publisher's number is known; the message says what to do."""
    benchmark = streamed()
    with pytest.raises(DatasetError, match="length of a streamed data set cannot be known"):
        len(benchmark)
    next(iter(benchmark))
    with pytest.raises(DatasetError, match="length"):
        len(benchmark)
    assert len(list(benchmark)) == len(benchmark) == 5
    assert len(streamed(5)) == 5
    assert len(streamed(5).take(3)) == 3
    cut = streamed().take(3)
    assert len(list(cut)) == len(cut) == 3


@pytest.mark.parametrize("what", ["ids", "labels", "origins"])
def test_a_stream_has_no_columns(what: str) -> None:
    """The message says how to get them."""
    with pytest.raises(DatasetError, match=f"the {what} of a streamed .* load it without streaming"):
        getattr(streamed(), what)
    with pytest.raises(DatasetError, match="example number 3"):
        streamed()[3]


def test_info_is_the_record() -> None:
    """Everything a result says about its images."""
    benchmark = stored(Source("imagenet-hard", "taesiri/imagenet-hard", "c0ffee", "validation")).take(3)
    assert benchmark.info("ff") == BenchmarkInfo(
        name="imagenet-hard",
        source="taesiri/imagenet-hard",
        revision="c0ffee",
        split="validation",
        n=3,
        limit=3,
        fingerprint="ff",
    )


def test_what_was_left_out_is_in_the_record() -> None:
    """Under a limit too; nothing is written where nothing was, so that older records are the same JSON."""
    about = Source("set", "folder", counts={"images_without_label": 3})
    assert stored(about).take(2).info("ff").left_out == {"images_without_label": 3}
    assert "left_out" in stored(about).info("ff").model_dump_json()
    plain = stored(Source("set", "folder")).info("ff")
    assert plain.left_out == {}
    assert "left_out" not in plain.model_dump(mode="json")
    assert BenchmarkInfo.model_validate_json(plain.model_dump_json()) == plain


def test_identity_follows_the_files(tmp_path: Path) -> None:
    """A rewritten, touched, renamed, moved or added file is another identity; nothing is read."""
    root = class_tree(tmp_path)
    seen = [load_dataset(root).identity()]
    assert load_dataset(root).identity() == seen[0]
    first = root / WNIDS[0] / "0.JPEG"
    same_size = bytes(reversed(first.read_bytes()))
    stat = first.stat()
    first.write_bytes(same_size)
    os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # size and mtime as before
    seen.append(load_dataset(root).identity())
    first.rename(first.with_name("9.JPEG"))
    seen.append(load_dataset(root).identity())
    (root / WNIDS[1] / "7.JPEG").write_bytes(jpeg())
    seen.append(load_dataset(root).identity())
    seen += [load_dataset(root).take(3).identity(), load_dataset(root, exif=True).identity()]
    assert len(set(seen)) == len(seen)


def test_identity_follows_the_labels(tmp_path: Path) -> None:
    """Another label file is another identity, the images being the same."""
    root = class_tree(tmp_path)
    other = tmp_path / "other.txt"
    other.write_text("".join(f"{id} 7\n" for id in load_dataset(root).ids))
    assert load_dataset(root).identity() != load_dataset(root, labels=other).identity()


def test_the_fingerprint_sees_what_identity_may_not() -> None:
    """Only ids, labels and bytes count for the fingerprint, not where they come from."""
    assert stored(Source("a", "folder")).fingerprint() == stored(Source("b", "x/y", "c")).fingerprint()
