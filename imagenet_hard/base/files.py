"""Files: written whole or not at all, read with bounds and with errors that say where."""

from __future__ import annotations

import errno
import os
from difflib import get_close_matches
from pathlib import Path

from imagenet_hard.base.errors import ImageNetHardError, ResultError

MAX_JSON_BYTES = 64 * 2**20
"""Of a JSON file that may be anybody's."""


def write_atomically(path: Path, data: bytes, *, option: str = "--out", flush: bool = True) -> None:
    """Write ``data`` under a temporary name beside ``path``, flush it to disk, then rename it.

    A reader sees the old file or the new one, also after a crash. Makes the folder. ``option``: the one that
    chooses another place, for the message. Without ``flush`` not after a crash of the machine: for thousands
    of files that can be made again.

    Raises:
        ResultError: the disk is full, the folder is read-only, or anything else the system refuses.
    """
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if flush:
            _sync_folder(path.parent)
    except OSError as error:
        raise ResultError(f"cannot write {path}: {_reason(error, len(data), option)}") from error


def _near(path: Path) -> str:
    """A file beside a missing one that may be meant."""
    try:
        stems = sorted(each.stem for each in path.parent.iterdir() if each.suffix == path.suffix)
    except OSError:
        return ""
    found = get_close_matches(path.stem, stems, 1)
    return f" (did you mean {path.with_name(found[0] + path.suffix)}?)" if found else ""


def read_bounded(path: Path, limit: int, *, error: type[ImageNetHardError] = ResultError) -> bytes:
    """The whole file, if it is a regular file of at most ``limit`` bytes.

    Raises:
        error: missing, unreadable, not a file, or larger.
    """
    try:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not a regular file" if path.exists() else "not there"
            raise error(f"cannot read {path}: it is {what}{'' if path.exists() else _near(path)}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as problem:
        raise error(f"cannot read {path}: {problem.strerror or problem}") from problem
    if len(data) > limit:
        raise error(f"{path} has more than {limit} bytes: it is not read")
    return data


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets one open a folder."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: OSError, size: int, option: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"disk full or quota reached ({size} bytes to write); free space or choose another {option}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the folder is read-only for this user; choose another {option}"
    return f"{error.strerror or error}; choose another {option}"
