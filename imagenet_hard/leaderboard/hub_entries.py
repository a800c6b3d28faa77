"""A board that is a data set repository on the Hub, or a pull request on it, fetched into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from imagenet_hard.dataset.hub_errors import check_token, explained
from imagenet_hard.errors import ResultError
from imagenet_hard.evaluation.predictions import MAX_FILE_BYTES
from imagenet_hard.leaderboard.answers import MAX_CSV_BYTES, PREDICTIONS_FILE, TOP5_FILE
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES
from imagenet_hard.leaderboard.entry import ENTRY_FILE, MAX_ENTRY_BYTES
from imagenet_hard.leaderboard.hub_pr import check_repo_id

_LIMITS = {ENTRY_FILE: MAX_ENTRY_BYTES, PREDICTIONS_FILE: MAX_FILE_BYTES, TOP5_FILE: MAX_CSV_BYTES}

Tree = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Fetched:
    """``changed``: folders of entries to verify; ``base``: the board's own folder of entries."""

    changed: tuple[Path, ...]
    base: Path
    golds: Path


def fetch(repo: str, into: Path, *, pr: int | None = None, token: str | bool | None = None) -> Fetched:
    """The entries of ``repo`` to verify, with what they are compared with: all, or those that ``pr`` changes.

    Sizes are looked at before anything is downloaded. What else a request changes is refused, as a
    submission has no business with labels, reports or code.

    Raises:
        ResultError: a request that changes other files or removes some, or a file too large to be an entry's.
        DatasetError: the Hub refuses or cannot be reached.
        UsageError: ``repo`` is no Hub id.
    """
    check_token(token)
    check_repo_id(repo)
    revision = None if pr is None else f"refs/pr/{pr}"
    with explained(repo, revision, token):
        main = _tree(repo, "main", token)
        head = main if revision is None else _tree(repo, revision, token)
    changed = sorted(head) if revision is None else sorted(p for p in head if head[p] != main.get(p))
    if revision is not None:
        _check_changes(changed, removed=sorted(set(main) - set(head)), what=f"pull request {pr} of {repo}")
    names = sorted({PurePosixPath(p).parts[1] for p in changed if _is_entry_file(p)})
    wanted = [p for p in head if _is_entry_file(p) and PurePosixPath(p).parts[1] in names]
    _check_sizes(head, wanted)
    base, submitted = into / "main", into / "submitted"
    with explained(repo, revision, token):
        trusted = [p for p in main if _is_entry_file(p) or p.startswith(f"{BENCHMARKS}/")]
        _download(repo, "main", trusted, base, token)
        if revision is not None:
            _download(repo, revision, wanted, submitted, token)
    root = base if revision is None else submitted
    return Fetched(tuple(root / ENTRIES / name for name in names), base / ENTRIES, base / BENCHMARKS)


def _tree(repo: str, revision: str, token: str | bool | None) -> Tree:
    """Path -> (content id, size) of every file."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    files = HfApi(token=token).list_repo_tree(repo, recursive=True, revision=revision, repo_type="dataset")
    return {f.path: (f.lfs.sha256 if f.lfs else f.blob_id, f.size) for f in files if isinstance(f, RepoFile)}


def _is_entry_file(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) >= 3 and parts[0] == ENTRIES and ".." not in parts


def _check_changes(changed: list[str], removed: list[str], what: str) -> None:
    if removed:
        raise ResultError(
            f"{what} removes {len(removed)} files, the first {removed[0]!r}: a submission adds an entry"
        )
    if foreign := [p for p in changed if not _is_entry_file(p)]:
        raise ResultError(f"{what} changes {foreign[0]!r}: a submission changes files below {ENTRIES}/ only")


def _check_sizes(tree: Tree, paths: list[str]) -> None:
    for path in paths:
        limit = _LIMITS.get(PurePosixPath(path).name, MAX_ENTRY_BYTES)
        if tree[path][1] > limit:
            raise ResultError(f"{path} has {tree[path][1]} bytes: at most {limit} are downloaded")


def _download(repo: str, revision: str, paths: list[str], into: Path, token: str | bool | None) -> None:
    from huggingface_hub import hf_hub_download

    for path in paths:
        # local_dir: real files, where the cache would have links.
        hf_hub_download(repo, path, revision=revision, repo_type="dataset", local_dir=into, token=token)
