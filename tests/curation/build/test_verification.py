"""A build is checked against its own words: files, rows, bytes, fingerprint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.curation.build.verification import verify_build
from tests.curation.build.test_run import Parts

pytest.importorskip("datasets")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Parts(tmp_path / "in", n=4).build(tmp_path / "out")
    return tmp_path / "out"


def shard_of(folder: Path) -> Path:
    return sorted(folder.rglob("*.parquet"))[0]


def agree(folder: Path, **changes: Any) -> None:
    """A manifest whose hashes of the files are right, as somebody would write it who edits a build."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    path.write_text(json.dumps(manifest))


def edit(folder: Path, column: str, value: Any) -> None:
    """Another value in the first row of the Parquet file."""
    table = pq.read_table(shard_of(folder))
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, table.schema), shard_of(folder))
    agree(folder)


def test_a_build_is_what_it_says(folder):
    """The manifest comes back."""
    manifest = verify_build(folder)
    assert manifest.n == 4
    assert manifest.name == "imagenet-hard"


def test_changed_missing_and_additional_files_are_named(folder):
    """All at once."""
    shard_of(folder).write_bytes(shard_of(folder).read_bytes()[:-1] + b"x")
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("")
    with pytest.raises(DatasetError) as error:
        verify_build(folder)
    for text in ("README.md is missing", ".parquet has another sha256", "notes.txt is not in the manifest"):
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "messages"),
    [
        (
            "image",
            {"bytes": b"other", "path": "x.jpg"},
            [f"has sha256 {hashlib.sha256(b'other').hexdigest()}, not", "the fingerprint is not"],
        ),
        ("label", [5], ["has labels 5, not 0 999", "has english_label", "the fingerprint is not"]),
        ("origin", "elsewhere", ["has origin elsewhere, not imagenet"]),
        ("english_label", ["a cat"], ["has english_label ['a cat']"]),
        ("id", "imagenet/x", ["'imagenet/x' is only in the Parquet", "is only in images.csv", "fingerprint"]),
        ("label", [1000], ["has a row that is no labelled image", "there are 0"]),
        ("label", None, ["has a row that is no labelled image"]),
        ("image", None, ["has a row that is no labelled image"]),
    ],
)
def test_an_edited_row_is_found_behind_right_hashes(folder, column, value, messages):
    """Each difference, with both values."""
    edit(folder, column, value)
    with pytest.raises(DatasetError, match=r"out is not as its manifest says: ") as error:
        verify_build(folder)
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 5}, "manifest.json says 5 images, there are 4"),
        ({"fingerprint": "0" * 64}, "the fingerprint is"),
    ],
)
def test_the_manifest_itself(folder, change, message):
    """Its number of images and its fingerprint."""
    agree(folder, **change)
    with pytest.raises(DatasetError, match=message):
        verify_build(folder)


def test_the_list_of_images(folder):
    """A line that is gone, one that is there twice, and a file that is no list."""
    path = folder / "images.csv"
    header, first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + first + first + b"".join(rest[:-1]))
    agree(folder)
    with pytest.raises(DatasetError, match="is twice in images.csv; .* is only in the Parquet files"):
        verify_build(folder)
    for data, message in (
        (b"", "images.csv:1: got the header '', expected id,sha256,labels,origin"),
        (b"id,sha256\n", "images.csv:1: got the header 'id,sha256', expected id,sha256,labels,origin"),
        (header + b"a,b\n", "images.csv:2: got 2 cells, expected 5"),
    ):
        path.write_bytes(data)
        agree(folder)
        with pytest.raises(DatasetError, match=message):
            verify_build(folder)


def test_a_shard_that_is_no_parquet_or_has_other_columns(folder):
    """Behind right hashes too."""
    table = pq.read_table(shard_of(folder))
    pq.write_table(table.drop_columns(["id"]), shard_of(folder))
    agree(folder)
    with pytest.raises(DatasetError, match=".parquet has other columns than a build's"):
        verify_build(folder)
    shard_of(folder).write_bytes(b"PAR1")
    agree(folder)
    with pytest.raises(DatasetError, match=r".parquet cannot be read \("):
        verify_build(folder)


def test_what_is_no_build(tmp_path):
    """A missing folder, and one without a manifest."""
    with pytest.raises(UsageError, match="there is no folder"):
        verify_build(tmp_path / "none")
    with pytest.raises(DatasetError, match="is not a built data set"):
        verify_build(tmp_path)
