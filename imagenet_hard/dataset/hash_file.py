"""Files of perceptual hashes: whose images they are is not seen in them, and copies are found all the same.

JSON lines: what the file is about, then an image a line, in the order of the images, as soon as it is hashed.
So an interrupted file is gone on with, and one with fewer lines than it announces is not whole.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from imagenet_hard.base.errors import ImageError, ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.types import Record
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.perceptual import HASH_BYTES, VIEWS, ImageHash, hash_images

MAX_LINE_BYTES = 64 * 2**10
MAX_IMAGES = 20_000_000

R = TypeVar("R", bound=Record)


class Head(Record):
    """The first line."""

    format: Literal["imagenet-hard copies"] = "imagenet-hard copies"
    version: Literal[1] = 1
    hash: Literal["phash"] = "phash"
    bits: Literal[256] = 256
    views: Literal[12] = 12
    name: Annotated[str, Field(max_length=1000)]
    images: Annotated[int, Field(ge=1, le=MAX_IMAGES)]


_BASE64 = 4 * ((VIEWS * HASH_BYTES + 2) // 3)


class HashedImage(Record):
    """Every other line; an image that cannot be read has no ``sha256``, what is no image no ``views``."""

    id: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    views: Annotated[str, Field(pattern=rf"^([A-Za-z0-9+/]{{{_BASE64}}})?$")]


def read_hashes(path: Path) -> list[ImageHash]:
    """The hashes in a whole file.

    Raises:
        ResultError: it is no such file, is damaged, or is not whole.
    """
    head, rows, _ = _read(path)
    if len(rows) < head.images:
        raise ResultError(
            f"{path} has {len(rows):,} of {head.images:,} images: writing it was interrupted. Go on with the "
            "command that wrote it: `imagenet-hard copies IMAGES --write FILE`"
        )
    return rows


def write_hashes(path: Path, images: Benchmark, on_progress: Callable[[int], object] = lambda n: None) -> int:
    """Hash ``images`` into ``path``, each as it is done; how many of them could not be decoded.

    A file that was begun is gone on with, after a look whether its images still have the same bytes.

    Raises:
        ResultError: the file is another one, of other images, or cannot be written.
    """
    head = Head(name=images.name, images=len(images))
    if not path.exists():
        write_atomically(path, _line(head), option="--write")
    there, done, size = _read(path)
    ids = images.ids[: len(done)]
    if there != head or [each.id for each in done] != list(ids):
        raise ResultError(f"{path} has the hashes of other images than {images.name} has now: {_OTHER}")
    for i, row in enumerate(done):
        if _sha256(images, i) != row.sha256:
            raise ResultError(f"{path}: the image {shorten(row.id)} has changed since: {_OTHER}")
        on_progress(1)
    unread = sum(not row.views for row in done)
    try:
        with path.open("r+b") as file:
            file.truncate(size)  # half a line, where writing was interrupted
            file.seek(size)
            for row in hash_images(images, range(len(done), len(images))):
                views = base64.b64encode(row.views).decode()
                file.write(_line(HashedImage(id=row.id, sha256=row.sha256, views=views)))
                file.flush()
                unread += not row.views
                on_progress(1)
    except OSError as error:
        raise ResultError(f"cannot write {path}: {error.strerror or error}; give another --write") from error
    return unread


_OTHER = "give another --write, or delete the file to begin anew"


def _sha256(images: Benchmark, i: int) -> str:
    try:
        return hashlib.sha256(images[i].image).hexdigest()
    except ImageError:
        return ""


def _line(record: Record) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def _read(path: Path) -> tuple[Head, list[ImageHash], int]:
    """What the whole lines hold, and their bytes; half a line at the end is passed over."""
    rows, size = list[ImageHash](), 0
    try:
        with path.open("rb") as file:
            lines = _lines(file.readline)
            head = _parsed(Head, next(lines, b""), f"{path}:1")
            size = file.tell()
            for number, line in enumerate(lines, start=2):
                if len(rows) == head.images:
                    raise ResultError(f"{path}:{number}: got more images than the {head.images:,} announced")
                row = _parsed(HashedImage, line, f"{path}:{number}")
                rows.append(ImageHash(row.id, row.sha256, base64.b64decode(row.views)))
                size += len(line)
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror or error}") from error
    if len({row.id for row in rows}) < len(rows):
        raise ResultError(f"{path} has an id twice: write it again")
    return head, rows, size


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    while (line := readline(MAX_LINE_BYTES)).endswith(b"\n") or len(line) == MAX_LINE_BYTES:
        yield line


def _parsed(record: type[R], line: bytes, where: str) -> R:
    if len(line) == MAX_LINE_BYTES:
        raise ResultError(f"{where}: the line has {counted(MAX_LINE_BYTES, 'byte')} or more: it is not read")
    try:
        return record.model_validate_json(line, strict=True)
    except ValidationError as error:
        raise ResultError(
            f"{where}: expected a file that `imagenet-hard copies --write` wrote: {first_problem(error)}"
        ) from None
