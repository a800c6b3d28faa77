"""Atomic writes and bounded reads."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded, write_atomically


def test_write_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    """The file is there with the usual permissions, and no temporary file beside it."""
    path = tmp_path / "a" / "b" / "file.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            errno.ENOSPC,
            r"disk full or quota reached \(3 bytes to write\); free space or choose another --out",
        ),
        (errno.EROFS, "the folder is read-only for this user; choose another --out"),
        (errno.EIO, "Input/output error; choose another --out"),
    ],
)
def test_a_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    """When the disk refuses, the message says why, the old file stays and no rest is left."""
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ResultError, match=message):
        write_atomically(path, b"new")
    with pytest.raises(ResultError, match="choose another --tta-show"):
        write_atomically(path, b"new", option="--tta-show")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_a_real_quota(tmp_path: Path) -> None:
    """A process that may not write more bytes gets the same message from the system itself."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from imagenet_hard.base.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_atomically(Path(sys.argv[1]), bytes(1000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "f")], capture_output=True, text=True, check=False
    )
    assert "ResultError: cannot write" in done.stderr
    assert "disk full or quota reached (1000 bytes" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """An --out below a file is refused with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write .*file/x.json: (Not a directory|File exists)"):
        write_atomically(tmp_path / "file" / "x.json", b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    """A folder without write permission is named as such."""
    tmp_path.chmod(0o555)
    with pytest.raises(ResultError, match="read-only for this user"):
        write_atomically(tmp_path / "x.json", b"")


def test_reading_what_is_not_a_file(tmp_path: Path) -> None:
    """Missing files, folders, devices and large files are refused before they are read."""
    (tmp_path / "big").write_bytes(b"12345")
    for path, message in (
        (tmp_path / "none", "it is not there"),
        (tmp_path, "it is a folder"),
        (Path(os.devnull), "it is not a regular file"),
        (tmp_path / "big", "more than 4 bytes"),
    ):
        with pytest.raises(ResultError, match=message):
            read_bounded(path, 4)


def test_a_mistyped_path_shows_the_nearest(tmp_path: Path) -> None:
    """A file of the same kind beside it, if its name is like the one that was given."""
    for name in ("resnet50-native-fp32.json", "resnet50-native-fp32.parquet", "vit.json"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ResultError, match=r"not there \(did you mean .*/resnet50-native-fp32.json\?\)"):
        read_bounded(tmp_path / "resnet50-natve-fp32.json", 4)
    for path in (tmp_path / "other.json", tmp_path / "gone/vit.json"):
        with pytest.raises(ResultError, match="it is not there$"):
            read_bounded(path, 4)
