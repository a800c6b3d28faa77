"""Publish a build to the Hugging Face Hub: what it is, checked, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.records import read_record
from imagenet_hard.curation.build.manifest import MANIFEST, Manifest
from imagenet_hard.dataset.files import walk
from imagenet_hard.hub.content import Content, LocalFile
from imagenet_hard.hub.evaluation import BENCHMARK_FILE, task_id
from imagenet_hard.hub.retry import WAITS
from imagenet_hard.hub.write import MAIN, Outcome, check_upload, upload

DATA = "data/"
"""The folder whose old files a build removes; elsewhere it leaves alone what it does not have."""

_VERSION = re.compile(r"[0-9A-Za-z]+(?:[.+_-][0-9A-Za-z]+)*")


@dataclass(frozen=True)
class Build:
    """A checked build. ``fingerprint`` is the benchmark's; ``digest`` the sha256 of its manifest."""

    name: str
    version: str
    fingerprint: str
    digest: str
    files: Mapping[str, LocalFile]

    def content(self, tag: bool = True) -> Content:
        """What a repository with this build holds; its commit gets the version's ``tag``."""
        return Content(
            self.files,
            title=f"Publish {self.name} {self.version} (build {self.digest[:16]})",
            description=f"Fingerprint: {self.fingerprint}\nManifest: {self.digest}",
            removes=lambda path: path.startswith(DATA),
            tag=f"v{self.version}" if tag else None,
            retag="raise the version in the recipe and build again, or leave the tag out (--no-tag)",
        )


@dataclass(frozen=True, kw_only=True)
class PublishReport(Outcome):
    """What was published, or would be: which build, and what an upload says."""

    version: str
    fingerprint: str


def publish(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    pull_request: bool = False,
    tag: bool = True,
    token: str | bool | None = None,
    revision: str | None = None,
    dry_run: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
    confirm: Callable[[PublishReport], None] = lambda _: None,
    waits: Sequence[float] = WAITS,
) -> PublishReport:
    """Make the data set ``repo`` (OWNER/NAME) hold the build in ``folder``, as ``hub.write.upload`` does.

    ``revision``: a branch; None is main. Files below ``data/`` that the build does not have are removed in
    the same commit, others are left alone. The commit is tagged ``v<version>`` unless ``tag`` is False; a
    pull request is not, publish again once it is merged.

    Raises:
        UsageError: no folder, no such kind of id, no token, or options that exclude each other.
        DatasetError: the folder is no build or has changed since, its version is on the Hub with
            other content, or the Hub refuses or fails; no message contains the token.
    """
    check_upload(repo, pull_request=pull_request, branch=revision or MAIN, token=token, writes=not dry_run)
    build = read_build(folder)
    if BENCHMARK_FILE in build.files and task_id(repo) != task_id(build.name):
        on_progress(
            f"{BENCHMARK_FILE} names the task {task_id(build.name)}, results on {repo} will name "
            f"{task_id(repo)}: the Hub shows them where both agree, so publish under the output's name"
        )

    def report(outcome: Outcome) -> PublishReport:
        said = {field.name: getattr(outcome, field.name) for field in fields(Outcome)}
        return PublishReport(**said, version=build.version, fingerprint=build.fingerprint)

    outcome = upload(
        repo,
        build.content(tag),
        branch=revision or MAIN,
        private=private,
        pull_request=pull_request,
        token=token,
        dry_run=dry_run,
        say=on_progress,
        confirm=lambda plan: confirm(report(plan)),
        waits=waits,
    )
    return report(outcome)


def read_build(folder: Path) -> Build:
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
            f"{folder} is not a built data set: it has no {MANIFEST}. Expected a folder made by "
            "`imagenet-hard curate build`"
        )
    manifest = read_record(path, Manifest)
    if not _VERSION.fullmatch(manifest.version):
        raise DatasetError(
            f"{path}: the version {manifest.version!r} makes no git tag: expected one such as 1.0.0"
        )
    manifest_file = _read(MANIFEST, path)
    files = {name: LocalFile(name, folder / name, f.size, f.sha256) for name, f in manifest.files.items()}
    _check(folder, files)
    files[MANIFEST] = manifest_file
    return Build(
        manifest.name,
        manifest.version,
        manifest.fingerprint,
        manifest_file.sha256,
        dict(sorted(files.items())),
    )


def _check(folder: Path, files: Mapping[str, LocalFile]) -> None:
    problems = [problem for file in files.values() if (problem := _difference(file)) is not None]
    strays = {file.id for file in walk(folder) if not file.system} - {*files, MANIFEST}
    problems += [f"{name} is not in the manifest" for name in sorted(strays)]
    if problems:
        raise DatasetError(
            f"{folder} is not as its manifest says: {'; '.join(problems)}. Build it again, so that what is "
            "published is what was built"
        )


def _difference(file: LocalFile) -> str | None:
    parts = PurePosixPath(file.path)
    if parts.is_absolute() or ".." in parts.parts or parts.as_posix() != file.path or file.path == MANIFEST:
        return f"{file.path!r} is not the path of a file inside the folder"
    if not file.local.is_file():
        return f"{file.path} is missing"
    found = _read(file.path, file.local)
    if found.size != file.size:
        return f"{file.path} has {found.size} bytes, not {file.size}"
    return None if found.sha256 == file.sha256 else f"{file.path} has another sha256"


def _read(path: str, local: Path) -> LocalFile:
    try:
        return LocalFile.read(path, local)
    except OSError as error:
        raise DatasetError(f"cannot read {local}: {error.strerror or error}") from error
