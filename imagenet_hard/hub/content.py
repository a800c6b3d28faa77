"""What a repository on the Hub is to hold, and how that differs from what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from imagenet_hard.hub.read import RemoteFile

Change = Literal["add", "replace", "remove", "unchanged", "left alone"]


@dataclass(frozen=True)
class LocalFile:
    """A file to send; ``path`` is its place in the repository, ``size`` is in bytes."""

    path: str
    local: Path
    size: int
    sha256: str

    @classmethod
    def read(cls, path: str, local: Path) -> LocalFile:
        """The file at ``local``, measured and hashed.

        Raises:
            OSError: it cannot be read.
        """
        with local.open("rb") as file:
            return cls(path, local, sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=file.tell())

    @cached_property
    def git_id(self) -> str:
        """The id that git gives the file where it is stored without LFS."""
        from huggingface_hub.utils.sha import git_hash

        return git_hash(self.local.read_bytes())

    def is_at(self, remote: RemoteFile) -> bool:
        """Whether a file of a repository has the same content."""
        return remote.content == (self.sha256 if remote.lfs else self.git_id)


@dataclass(frozen=True)
class Content:
    """What a repository is to hold.

    ``title``: the commit's first line or the request's title. It carries a hash of the content, by which a
    second run knows it again. ``removes``: which files go that are there and not here. ``tag``: of the
    commit. ``retag``: what to do where the tag stands for other content, for messages.
    """

    files: Mapping[str, LocalFile]
    title: str
    description: str
    removes: Callable[[str], bool]
    tag: str | None = None
    retag: str = ""


@dataclass(frozen=True)
class FileChange:
    """What an upload does with one file; ``size`` in bytes, the Hub's where there is no local file."""

    path: str
    action: Change
    size: int

    @property
    def is_write(self) -> bool:
        """Whether the file differs, so that a commit is needed."""
        return self.action in ("add", "replace", "remove")


def compare(content: Content, there: Mapping[str, RemoteFile]) -> tuple[FileChange, ...]:
    """What makes a repository hold ``content``; sorted by path, every file of both sides once."""

    def change(path: str) -> FileChange:
        local, remote = content.files.get(path), there.get(path)
        if local is None:
            return FileChange(path, "remove" if content.removes(path) else "left alone", there[path].size)
        if remote is None:
            return FileChange(path, "add", local.size)
        return FileChange(path, "unchanged" if local.is_at(remote) else "replace", local.size)

    return tuple(change(path) for path in sorted({*content.files, *there}))
