"""Gold labels cannot be wrong in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.leaderboard.gold import gold_of, known_golds, make_gold, read_gold, write_gold

ROWS = [("b", [7, 3], "ImageNet-A", "22" * 32), ("a", [5], "ImageNet", "11" * 32)]


def test_round_trip(tmp_path: Path) -> None:
    """Rows are sorted by id, labels by class; reading gives the same gold."""
    gold = gold_of(ROWS, name="tiny", source="folder")
    assert (gold.ids, gold.labels) == (("a", "b"), ((5,), (3, 7)))
    assert gold.info.images
    path = write_gold(tmp_path, gold)
    assert path.name == f"{gold.info.fingerprint}.json"
    assert read_gold(tmp_path, gold.info.fingerprint) == gold
    assert known_golds(tmp_path) == {gold.info.fingerprint: gold.info}
    assert gold.benchmark.n == 2


def test_the_same_gold_gives_the_same_bytes(tmp_path: Path) -> None:
    """The order of the rows does not matter."""
    for folder, rows in (("x", ROWS), ("y", ROWS[::-1])):
        write_gold(tmp_path / folder, gold_of(rows, name="tiny", source="folder"))
    names = sorted(p.name for p in (tmp_path / "x").iterdir())
    assert [(tmp_path / "x" / n).read_bytes() for n in names] == [
        (tmp_path / "y" / n).read_bytes() for n in names
    ]


def test_a_benchmark_has_the_fingerprint_of_its_results() -> None:
    """Gold of the sample set and the set's own fingerprint are one."""
    pytest.importorskip("foolbox")
    benchmark = load_dataset("sample")
    gold = make_gold(benchmark, curators=["bundled:x/y"], note="for tests")
    assert gold.info.fingerprint == benchmark.fingerprint()
    assert gold.info.n == 20
    assert gold.curated_by(ModelSpec(backend="bundled", name="x", tag="y", transform={}))
    assert not gold.curated_by(ModelSpec(backend="bundled", name="x", transform={}))
    with pytest.raises(UsageError, match=r"only a part of sample \(first-5\): gold needs all"):
        make_gold(benchmark.take(5))


def test_labels_without_images_say_so() -> None:
    """The fingerprint over ids and labels is another than the one with images."""
    bare = gold_of([(i, labels, o, "") for i, labels, o, _ in ROWS], name="tiny", source="predictions")
    assert not bare.info.images
    assert bare.info.fingerprint != gold_of(ROWS, name="tiny", source="folder").info.fingerprint
    with pytest.raises(DatasetError, match="all or none"):
        gold_of([ROWS[0], ("a", [5], "", "")], name="tiny", source="folder")


@pytest.mark.parametrize("rows", [[], [ROWS[0], ROWS[0]], [("a", [], "", "")], [("a", [1000], "", "")]])
def test_no_gold_without_sound_labels(rows: list[tuple[str, list[int], str, str]]) -> None:
    """Nothing, an id twice, no label, a class that does not exist."""
    with pytest.raises(DatasetError):
        gold_of(rows, name="tiny", source="folder")


@pytest.mark.parametrize("column", ["id", "labels", "origin", "image_sha256"])
def test_a_changed_value_is_found(tmp_path: Path, column: str) -> None:
    """One label, id, origin or hash that was edited in the Parquet file."""
    gold = gold_of(ROWS, name="tiny", source="folder")
    path = write_gold(tmp_path, gold).with_suffix(".parquet")
    table = pq.read_table(path).to_pydict()
    table[column][0] = [9] if column == "labels" else "0" + str(table[column][0])[1:]
    pq.write_table(pa.table(table), path)
    with pytest.raises(ResultError, match="does not hold the benchmark"):
        read_gold(tmp_path, gold.info.fingerprint)


def test_gold_under_another_fingerprint_is_found(tmp_path: Path) -> None:
    """Renamed files, and a JSON that names another fingerprint."""
    gold = gold_of(ROWS, name="tiny", source="folder")
    path = write_gold(tmp_path, gold)
    fake = "0" * 64
    value = json.loads(path.read_text()) | {"fingerprint": fake}
    (tmp_path / f"{fake}.json").write_text(json.dumps(value))
    path.with_suffix(".parquet").rename(tmp_path / f"{fake}.parquet")
    with pytest.raises(ResultError, match="restore both files"):
        read_gold(tmp_path, fake)


def test_an_unknown_benchmark_lists_the_known(tmp_path: Path) -> None:
    """The message helps whoever scored a smaller or older set."""
    with pytest.raises(ResultError, match="it has none"):
        read_gold(tmp_path, "1" * 64)
    write_gold(tmp_path, gold_of(ROWS, name="tiny", source="folder"))
    with pytest.raises(ResultError, match="111111111111... is of no benchmark .* it has tiny"):
        read_gold(tmp_path, "1" * 64)


def test_a_file_that_is_no_gold(tmp_path: Path) -> None:
    """Broken Parquet, and Parquet with other columns."""
    gold = gold_of(ROWS, name="tiny", source="folder")
    path = write_gold(tmp_path, gold).with_suffix(".parquet")
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ResultError, match="not a gold file"):
        read_gold(tmp_path, gold.info.fingerprint)
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(ResultError, match="not a gold file|expected the columns"):
        read_gold(tmp_path, gold.info.fingerprint)


def test_the_key_of_a_model() -> None:
    """As the list of curators writes it."""
    spec = ModelSpec(backend="open_clip", name="ViT-L-14", tag="openai", transform={})
    assert spec.key == "open_clip:ViT-L-14/openai"
