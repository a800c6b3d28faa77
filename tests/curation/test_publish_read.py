"""A build is read with every file checked; what differs is named."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError, ImageNetHardError, UsageError
from imagenet_hard.curation.publish import read_build
from imagenet_hard.hub.content import LocalFile
from tests.curation.build.builds import built


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return built(tmp_path / "small")


def test_a_build_has_every_file_and_a_mark(folder: Path) -> None:
    """The manifest is one of the files; tag and title come from it and from its hash."""
    build = read_build(folder)
    assert list(build.files) == [
        "README.md",
        "data/validation-00000-of-00002.parquet",
        "data/validation-00001-of-00002.parquet",
        "manifest.json",
    ]
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert build.files["manifest.json"].sha256 == build.digest == digest
    assert build.content().tag == "v1.0.0"
    assert build.content().title == f"Publish small 1.0.0 (build {digest[:16]})"


@settings(deadline=None, max_examples=25)  # each starts a process
@given(st.binary(max_size=300))
def test_the_git_oid_is_gits(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """The id of a blob is that of `git hash-object`."""
    path = tmp_path_factory.mktemp("blob") / "file"
    path.write_bytes(data)
    said = subprocess.run(["git", "hash-object", "--no-filters", path], capture_output=True, check=True)
    assert LocalFile.read("file", path).git_id == said.stdout.decode().strip()


def test_every_difference_is_named(folder: Path) -> None:
    """Changed, cut, missing and added files, in one message."""
    (folder / "README.md").write_text((folder / "README.md").read_text().replace("small", "SMALL"))
    shard = folder / "data" / "validation-00000-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    size = shard.stat().st_size
    (folder / "data" / "validation-00001-of-00002.parquet").unlink()
    (folder / "data" / "extra.parquet").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"hidden files are not published")
    with pytest.raises(DatasetError) as caught:
        read_build(folder)
    message = str(caught.value)
    assert "README.md has another sha256" in message
    assert f"data/validation-00000-of-00002.parquet has {size} bytes, not {size + 1}" in message
    assert "data/validation-00001-of-00002.parquet is missing" in message
    assert "data/extra.parquet is not in the manifest" in message
    assert "Build it again" in message
    assert "DS_Store" not in message


def test_what_is_no_build(tmp_path: Path, folder: Path) -> None:
    """No folder, and a folder without a manifest."""
    with pytest.raises(UsageError, match="there is no folder .*nowhere: expected one made by"):
        read_build(tmp_path / "nowhere")
    (folder / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="is not a built data set: it has no manifest.json"):
        read_build(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.0 beta"}, "the version '1.0 beta' makes no git tag: expected one such as 1.0.0"),
        ({"version": "../main"}, "the version '../main' makes no git tag"),
        ({"version": 1}, "version: Input should be a valid string (got 1)"),
        ({"files": {}}, "README.md is not in the manifest"),
        ({"files": {"../x": {"sha256": "0" * 64, "size": 1}}}, "'../x' is not the path of a file inside"),
        (
            {"files": {"/etc/passwd": {"sha256": "0" * 64, "size": 1}}},
            "'/etc/passwd' is not the path of a file",
        ),
        ({"files": {"manifest.json": {"sha256": "0" * 64, "size": 1}}}, "'manifest.json' is not the path"),
        ({"files": {"x": {"sha256": "short", "size": 1}}}, "files.x.sha256: "),
        ({"fingerprint": None}, "fingerprint: "),
    ],
)
def test_a_bad_manifest_is_refused(folder: Path, change: dict[str, object], message: str) -> None:
    """The file and the key are named, and no path leads out of the folder."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ImageNetHardError) as caught:
        read_build(folder)
    assert message in str(caught.value)
    assert "manifest" in str(caught.value)


def test_a_manifest_that_is_no_json(folder: Path) -> None:
    """A broken file is an error of ours."""
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ImageNetHardError, match="manifest.json: not JSON"):
        read_build(folder)
