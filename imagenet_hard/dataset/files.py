"""The files below a folder, and which of them are images."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from imagenet_hard.base.errors import DatasetError

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff", ".jp2")
)

_TEXT = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log")
)
_DATA = frozenset((".parquet", ".arrow", ".npy", ".npz", ".mat", ".pt", ".pth", ".safetensors"))
OTHER_SUFFIXES = _TEXT | _DATA | {".py", ".sh", ".tar", ".gz", ".zip"}
"""Endings that say by themselves that a file is no image; all others are decided by content."""

YAML = ".huggingface.yaml"
"""What ``datasets`` reads beside or instead of the README's front matter; no other hidden file counts."""

# Folders that a NAS, an operating system, an archiver or a file manager keeps among people's files. Names
# that begin with one of these signs are such folders too: @eaDir, #recycle, $RECYCLE.BIN, .Trash-1000.
_SYSTEM_SIGNS = (".", "@", "#", "$")
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "lost+found", "recycled", "recycler", "system volume information", "trash")
) | {"thumbnails", "thumbs", "_thumbs"}
_SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))


@dataclass(frozen=True, slots=True)
class File:
    """A file at ``path``, with its relative posix path as ``id``, and what tells whether it changed.

    ``system``: it is hidden, or lies in a folder that is the system's own; no data of anybody.
    """

    id: str
    path: str
    stamp: tuple[int, int, int]  # size in bytes, mtime and ctime in ns
    system: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The id's components."""
        return tuple(self.id.split("/"))

    @property
    def is_image(self) -> bool:
        """Whether the name ends like an image's, in any case of letters."""
        return os.path.splitext(self.id)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - 5x faster, 50,000 times

    @property
    def ending(self) -> str:
        """The name's ending in lower case, with its dot; "" without one."""
        return os.path.splitext(self.id)[1].lower()  # noqa: PTH122


def walk(folder: Path) -> list[File]:
    """Every file below ``folder``, sorted by path; links are followed.

    Raises:
        DatasetError: the folder or a file in it cannot be read, or is a link to nowhere.
    """
    try:
        return sorted(_walk(os.fspath(folder), "", frozenset(), False), key=lambda file: file.parts)
    except OSError as error:
        raise DatasetError(
            f"the folder {folder} cannot be read: {error.strerror} ({error.filename}). Check the link or the "
            "permissions, or leave the file out."
        ) from error


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]], system: bool) -> Iterator[File]:
    here = os.stat(folder)  # noqa: PTH116
    if (here.st_dev, here.st_ino) in above:  # a link back to a folder that we are in
        return
    above |= {(here.st_dev, here.st_ino)}
    with os.scandir(folder) as entries:
        for entry in entries:
            # Undecodable bytes in a name would not survive JSON and Parquet.
            name = entry.name.encode("utf-8", "backslashreplace").decode()
            own = system or (_is_system(name) and prefix + name != YAML)
            try:
                if entry.is_dir():
                    yield from _walk(entry.path, f"{prefix}{name}/", above, own)
                    continue
                status = entry.stat()
            except OSError:
                if own:  # lost+found is root's alone
                    continue
                raise
            hidden = name.startswith(".") and prefix + name != YAML
            own = system or hidden or name.lower() in _SYSTEM_FILES
            if stat.S_ISREG(status.st_mode):  # a pipe would keep whoever opens it waiting
                yield File(prefix + name, entry.path, _stamp(status), own)


def _is_system(folder: str) -> bool:
    return folder.startswith(_SYSTEM_SIGNS) or folder.lower() in _SYSTEM_FOLDERS


def file_at(path: str, id: str) -> File:
    """One file, wherever it was listed.

    Raises:
        OSError: it is not there.
    """
    return File(id, path, _stamp(os.stat(path)))  # noqa: PTH116


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def images_among(files: Iterable[File]) -> tuple[list[File], list[File]]:
    """The images, and the others. The name decides, or else the content; system files are neither.

    Raises:
        DatasetError: a file whose content has to decide cannot be read.
    """
    images: list[File] = []
    others: list[File] = []
    for file in files:
        if not file.system:
            (images if file.is_image or _is_image_inside(file) else others).append(file)
    return images, others


def _is_image_inside(file: File) -> bool:
    """Whether a file of another ending (.jfif, .jpg.1, none) holds an image of a format that is read."""
    from imagenet_hard.dataset.decode import is_image

    if file.ending in OTHER_SUFFIXES:
        return False
    try:
        return is_image(file.path)
    except OSError as error:
        raise DatasetError(f"the file {file.path} cannot be read: {error.strerror}") from error


def by_ending(files: Iterable[File]) -> dict[str, int]:
    """How many there are of each ending, most first; "" for names without one."""
    # "portrait of J. Smith" has no ending.
    endings = Counter(
        file.ending if re.fullmatch(r"\.[a-z0-9_]{1,12}", file.ending) else "" for file in files
    )
    return dict(endings.most_common())


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


def did_you_mean(path: Path) -> str:
    """What is there under nearly the name of a path that is not, as a sentence; "" where nothing is."""
    missing = path.expanduser()
    if missing.exists():
        return ""
    rest: list[str] = []
    while not missing.parent.is_dir() and missing != missing.parent:
        rest.insert(0, missing.name)
        missing = missing.parent
    try:
        there = {path.name.lower(): path.name for path in sorted(missing.parent.iterdir(), reverse=True)}
    except OSError:
        return ""
    near = get_close_matches(missing.name.lower(), there, n=3, cutoff=0.7)
    found = [missing.parent.joinpath(there[name], *rest) for name in near]
    whole = [candidate for candidate in found if candidate.exists()]
    return f" Did you mean {whole[0]}?" if whole else ""
