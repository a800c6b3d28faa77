"""The files below a folder, and which of them are images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.errors import DatasetError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff", ".jp2")
)

YAML = ".huggingface.yaml"
"""What ``datasets`` reads beside or instead of the README's front matter; no other hidden file counts."""


@dataclass(frozen=True, slots=True)
class File:
    """A file at ``path``, with its relative posix path as ``id``, and what tells whether it changed."""

    id: str
    path: str
    stamp: tuple[int, int, int]  # size in bytes, mtime and ctime in ns

    @property
    def parts(self) -> tuple[str, ...]:
        """The id's components."""
        return tuple(self.id.split("/"))

    @property
    def is_image(self) -> bool:
        """Whether the name ends like an image's, in any case of letters."""
        return os.path.splitext(self.id)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - 5x faster, 50,000 times


def walk(folder: Path) -> list[File]:
    """Every file below ``folder``, sorted by path; links are followed, hidden entries are not.

    Raises:
        DatasetError: the folder or a file in it cannot be read, or is a link to nowhere.
    """
    try:
        return sorted(_walk(os.fspath(folder), "", frozenset()), key=lambda file: file.parts)
    except OSError as error:
        raise DatasetError(
            f"the folder {folder} cannot be read: {error.strerror} ({error.filename}). Check the link or the "
            "permissions, or leave the file out."
        ) from error


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[File]:
    here = os.stat(folder)  # noqa: PTH116
    if (here.st_dev, here.st_ino) in above:  # a link back to a folder that we are in
        return
    above |= {(here.st_dev, here.st_ino)}
    with os.scandir(folder) as entries:
        for entry in entries:
            # Undecodable bytes in a name would not survive JSON and Parquet.
            name = entry.name.encode("utf-8", "backslashreplace").decode()
            if name.startswith(".") and prefix + name != YAML:
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{name}/", above)
            else:
                stat = entry.stat()
                yield File(prefix + name, entry.path, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


def read_file(paths: Sequence[str], i: int) -> bytes:
    """The bytes of ``paths[i]``."""
    return Path(paths[i]).read_bytes()


def state(files: Iterable[File]) -> str:
    """A hash that changes when a file is added, removed, renamed or rewritten; reads no file.

    The ctime counts, because tools that rewrite a file may put its size and mtime back.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.id}\0{file.stamp}\n".encode())
    return digest.hexdigest()
