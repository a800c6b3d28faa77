"""A folder that takes the place of an earlier build, and of nothing else."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError, ResultError
from imagenet_hard.curation.build.replacement import replacing
from tests.curation.build.builds import built


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def put(out: Path) -> None:
    with replacing(out) as fresh:
        (fresh / "new").write_text("new")


def test_a_build_an_empty_folder_and_nothing_are_replaced(tmp_path):
    """The new folder stands alone; no temporary one is left."""
    built(tmp_path / "build")
    (tmp_path / "empty").mkdir()
    for name in ("build", "empty", "deep/nothing"):
        put(tmp_path / name)
        assert tree(tmp_path / name) == {"new": b"new"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["build", "deep", "empty"]


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": b"years of work"},
        {"manifest.json": b'{"manifest_version": 3, "name": "a browser extension"}', "code.js": b""},
        {"manifest.json": b"no JSON"},
    ],
    ids=["other files", "another manifest.json", "a broken one"],
)
def test_what_is_no_build_is_left_alone(tmp_path, files):
    """A file called manifest.json does not make a build."""
    (tmp_path / "out").mkdir()
    for name, data in files.items():
        (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(DatasetError, match="exists and is not a build .*: nothing is deleted"):
        put(tmp_path / "out")
    assert tree(tmp_path / "out") == files
    for other in (tmp_path / "out" / next(iter(files)), Path("/")):
        with pytest.raises(DatasetError, match="exists and is not a build"):
            put(other)


@pytest.mark.parametrize("name", ["notes.txt", ".git/config", "data/mine.parquet"])
def test_other_files_in_a_build_are_not_deleted(tmp_path, name):
    """Somebody's notes, or the history of a clone from the Hub."""
    out = built(tmp_path / "out")
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    before = tree(out)
    with pytest.raises(DatasetError, match=f"out holds more than a build: {name}. A new build would delete"):
        put(out)
    assert tree(out) == before


def test_a_damaged_build_may_be_replaced(tmp_path):
    """A file of it that is missing or changed is no reason to keep it."""
    out = built(tmp_path / "out")
    (out / "README.md").unlink()
    put(out)
    assert tree(out) == {"new": b"new"}


def test_a_link_stays_a_link(tmp_path):
    """What it points to is replaced, on the disk where that lies; twice, as the first time leaves no rest."""
    built(tmp_path / "large/set")
    (tmp_path / "out").symlink_to(tmp_path / "large/set")
    for version in ("2.0.0", "3.0.0"):
        with replacing(tmp_path / "out") as fresh:
            built(fresh, version=version)
    assert (tmp_path / "out").is_symlink()
    assert json.loads((tmp_path / "large/set/manifest.json").read_text())["version"] == "3.0.0"
    assert [p.name for p in (tmp_path / "large").iterdir()] == ["set"]


def test_a_second_rename_that_fails_brings_the_old_build_back(tmp_path, monkeypatch):
    """At once, and not with the next build only."""
    out = built(tmp_path / "out")
    before, plain = tree(out), Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.endswith(".building"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ResultError, match="No space left on device.*an earlier build is as it was"):
        put(out)
    assert tree(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_a_real_quota(tmp_path):
    """Parquet that may not grow: the system's own words, the old build, no rest."""
    before = tree(built(tmp_path / "out"))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from imagenet_hard.curation.build.replacement import replacing\n"
        "from imagenet_hard.curation.build.selection import Selected\n"
        "from imagenet_hard.curation.build.shards import write_shard\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
        "row = Selected('imagenet/0', 'imagenet', (1,), '')\n"
        "with replacing(Path(sys.argv[1])) as folder:\n"
        "    write_shard(folder / 'data/x.parquet', [row], lambda row: bytes(100000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert "ResultError: cannot write the data set to" in done.stderr
    assert "File too large" in done.stderr
    assert tree(tmp_path / "out") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_place_where_nothing_can_be_made(tmp_path):
    """Below a file; in a file system that takes no folders."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write the data set to .*file/out: Not a directory"):
        put(tmp_path / "file/out")
    if Path("/proc").is_dir():
        with pytest.raises(ResultError, match="cannot write the data set to /proc/out: "):
            put(Path("/proc/out"))
