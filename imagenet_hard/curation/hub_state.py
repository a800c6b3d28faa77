"""What a data set repository on the Hub holds now, and how a release differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imagenet_hard.curation.release import Release

if TYPE_CHECKING:
    from huggingface_hub import HfApi, RepoFile

DATA = "data/"
"""The folder whose old files a release removes; elsewhere it leaves alone what it does not have."""

Action = Literal["add", "replace", "remove", "unchanged", "left alone"]


@dataclass(frozen=True)
class FileChange:
    """What publishing does with one file; ``size`` in bytes, the Hub's where the build has no such file."""

    path: str
    action: Action
    size: int

    @property
    def is_write(self) -> bool:
        """Whether the file differs, so that a commit is needed."""
        return self.action in ("add", "replace", "remove")


@dataclass(frozen=True)
class HubState:
    """A repository at one moment: branch and tag names -> commit."""

    private: bool
    branches: Mapping[str, str]
    tags: Mapping[str, str]


def look(api: HfApi, repo: str) -> HubState | None:
    """The repository, or None where there is none that the token can see."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        info = api.dataset_info(repo)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None
    refs = api.list_repo_refs(repo, repo_type="dataset")
    return HubState(
        private=bool(info.private),
        branches={ref.name: ref.target_commit for ref in refs.branches},
        tags={ref.name: ref.target_commit for ref in refs.tags},
    )


def files_at(api: HfApi, repo: str, revision: str) -> dict[str, RepoFile]:
    """Path -> file, for every file at a branch, tag, commit or ``refs/pr/N``."""
    from huggingface_hub import RepoFile

    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def compare(release: Release, there: Mapping[str, RepoFile]) -> tuple[FileChange, ...]:
    """What makes the repository hold ``release``; sorted by path, every file of both sides once."""
    return tuple(
        FileChange(path, _action(release, path, there.get(path)), _size(release, path, there))
        for path in sorted({*release.files, *there})
    )


def _action(release: Release, path: str, remote: RepoFile | None) -> Action:
    local = release.files.get(path)
    if local is None:
        return "remove" if path.startswith(DATA) else "left alone"
    if remote is None:
        return "add"
    same = remote.lfs.sha256 == local.sha256 if remote.lfs else remote.blob_id == local.git_oid
    return "unchanged" if same else "replace"


def _size(release: Release, path: str, there: Mapping[str, RepoFile]) -> int:
    return release.files[path].size if path in release.files else int(there[path].size)
