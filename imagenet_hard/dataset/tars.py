"""Tar files as they are read at random: where each member's bytes lie. Nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.base.errors import DatasetError

_BLOCK = 512
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """``size`` bytes at ``offset`` of the file at ``path``; ``name`` as the tar has it."""

    name: str
    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: the file is not there, or shorter than it was.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise OSError(f"{Path(self.path).name} has become shorter")
        return data


def members(path: str, where: str) -> list[Member]:
    """The files in a tar, in order; its end is checked, so that a part of a tar is not taken for all of it.

    Raises:
        DatasetError: it is no uncompressed tar, cut short, or goes on after its end.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            found = [_member(path, info, where) for info in tar if info.isfile()]
            end = tar.offset
        _check_end(path, end, where)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DatasetError(
            f"{where} cannot be read: {error}. Expected a whole .tar; download it again."
        ) from error
    return found


def read_member(places: Sequence[Member], i: int) -> bytes:
    """The bytes of ``places[i]``."""
    return places[i].read()


def _member(path: str, info: tarfile.TarInfo, where: str) -> Member:
    if info.sparse is not None:
        raise DatasetError(f"{where} has the sparse file {info.name!r}: write the tar without sparse files")
    return Member(info.name, path, info.offset_data, info.size)


def _check_end(path: str, end: int, where: str) -> None:
    """Behind the last member stand zeros, at least a block of them, and nothing else."""
    rest = _chunks(path, end)
    first = next(rest, b"")
    if len(first) < _BLOCK:
        raise tarfile.ReadError("it ends before its end mark, as a download that was interrupted")
    if any(chunk.strip(b"\0") for chunk in (first, *rest)):
        raise DatasetError(
            f"{where} goes on after its end mark, as tars that were joined: give them one by one"
        )


def _chunks(path: str, offset: int) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            yield chunk
