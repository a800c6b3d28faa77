"""A build as it is published: its files, their hashes, its version's tag and the mark of its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.records import read_record
from imagenet_hard.curation.build.manifest import MANIFEST, Manifest
from imagenet_hard.dataset.files import walk

_VERSION = re.compile(r"[0-9A-Za-z]+(?:[.+_-][0-9A-Za-z]+)*")


@dataclass(frozen=True)
class ReleaseFile:
    """One file of a build; ``path`` is its place in the repository, ``size`` is in bytes."""

    path: str
    local: Path
    size: int
    sha256: str

    @cached_property
    def git_oid(self) -> str:
        """The id that git gives the file where it is stored without LFS: sha1 of a header and its bytes."""
        digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with self.local.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
        return digest.hexdigest()


@dataclass(frozen=True)
class Release:
    """A checked build. ``fingerprint`` is the benchmark's; ``digest`` the sha256 of its manifest."""

    name: str
    version: str
    fingerprint: str
    digest: str
    files: Mapping[str, ReleaseFile]

    @property
    def tag(self) -> str:
        """The git tag of the version."""
        return f"v{self.version}"

    @property
    def title(self) -> str:
        """The commit's first line. It carries the content's hash, so that a second run knows it again."""
        return f"Publish {self.name} {self.version} (build {self.digest[:16]})"

    @property
    def description(self) -> str:
        """The rest of the commit message: what the files can be checked against."""
        return f"Fingerprint: {self.fingerprint}\nManifest: {self.digest}"


def read_release(folder: Path) -> Release:
    """The build in ``folder``, every file of it compared with the manifest's size and sha256.

    Raises:
        UsageError: there is no such folder.
        DatasetError: it is no build, or differs from its manifest; every difference is named.
        ResultError: the manifest cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: expected one made by `imagenet-hard curate build`")
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(
            f"{folder} is no built data set: it has no {MANIFEST}. Expected a folder made by "
            "`imagenet-hard curate build`"
        )
    manifest = read_record(path, Manifest)
    if not _VERSION.fullmatch(manifest.version):
        raise DatasetError(
            f"{path}: the version {manifest.version!r} makes no git tag: expected one such as 1.0.0"
        )
    digest, size = _hash(path)
    files = {name: ReleaseFile(name, folder / name, f.size, f.sha256) for name, f in manifest.files.items()}
    _check(folder, files)
    files[MANIFEST] = ReleaseFile(MANIFEST, path, size, digest)
    return Release(manifest.name, manifest.version, manifest.fingerprint, digest, dict(sorted(files.items())))


def _check(folder: Path, files: Mapping[str, ReleaseFile]) -> None:
    problems = [problem for file in files.values() if (problem := _difference(file)) is not None]
    strays = {file.id for file in walk(folder) if not file.system} - {*files, MANIFEST}
    problems += [f"{name} is not in the manifest" for name in sorted(strays)]
    if problems:
        raise DatasetError(
            f"{folder} is not as its manifest says: {'; '.join(problems)}. Build it again, so that what is "
            "published is what was built"
        )


def _difference(file: ReleaseFile) -> str | None:
    parts = PurePosixPath(file.path)
    if parts.is_absolute() or ".." in parts.parts or parts.as_posix() != file.path or file.path == MANIFEST:
        return f"{file.path!r} is no path of a file inside the folder"
    if not file.local.is_file():
        return f"{file.path} is missing"
    digest, size = _hash(file.local)
    if size != file.size:
        return f"{file.path} has {size} bytes, not {file.size}"
    return None if digest == file.sha256 else f"{file.path} has another sha256"


def _hash(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}") from error
