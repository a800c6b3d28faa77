"""A board that is a data set repository on the Hub, or a pull request on it, fetched into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation.predictions import MAX_FILE_BYTES
from imagenet_hard.hub.errors import check_token, explained
from imagenet_hard.hub.pull_request import check_repo_id
from imagenet_hard.leaderboard.answers import MAX_CSV_BYTES, PREDICTIONS_FILE, TOP1_FILE, TOP5_FILE
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES
from imagenet_hard.leaderboard.entry import ENTRY_FILE, MAX_ENTRY_BYTES
from imagenet_hard.leaderboard.verify.changes import Change, Verdict, judge
from imagenet_hard.leaderboard.verify.ownership import Author, owns
from imagenet_hard.leaderboard.withdrawn import WITHDRAWN, withdrawal_problem

_LIMITS = {
    ENTRY_FILE: MAX_ENTRY_BYTES,
    PREDICTIONS_FILE: MAX_FILE_BYTES,
    TOP5_FILE: MAX_CSV_BYTES,
    TOP1_FILE: MAX_CSV_BYTES,
}

Tree = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Fetched:
    """``changed``: folders of entries to verify; ``base``: the board's own folder of entries.

    ``author``: who opened the request, as the Hub says; ``problems``: why it is refused, if it is.
    """

    changed: tuple[Path, ...]
    base: Path
    golds: Path
    author: Author | None = None
    problems: tuple[str, ...] = ()


def fetch(repo: str, into: Path, *, pr: int | None = None, token: str | bool | None = None) -> Fetched:
    """The entries of ``repo`` to verify, with what they are compared with: all, or those that ``pr`` changes.

    Sizes are looked at before anything is downloaded.

    Raises:
        ResultError: a file too large to be an entry's.
        DatasetError: the Hub refuses or cannot be reached.
        UsageError: ``repo`` is no Hub id.
    """
    check_token(token)
    check_repo_id(repo)
    revision = None if pr is None else f"refs/pr/{pr}"
    with explained(repo, revision, token):
        main = _tree(repo, "main", token)
        head = main if revision is None else _tree(repo, revision, token)
        author = None if pr is None else _author(repo, pr, token)
        before = {} if revision is None else _tree(repo, _branch_point(repo, revision, token), token)
    changed = sorted(p for p in {*head, *before} if head.get(p) != before.get(p))
    names = {PurePosixPath(p).parts[1] for p in changed if _is_entry_file(p)}
    base, submitted = into / "main", into / "submitted"
    trusted = [p for p in main if _is_entry_file(p) or p.startswith((f"{BENCHMARKS}/", f"{WITHDRAWN}/"))]
    with explained(repo, revision, token):
        _download(repo, "main", trusted, base, token)
    verdict = Verdict(tuple(sorted(names)), ())
    if pr is not None:

        def withdrawal(name: str) -> str:
            record = f"{WITHDRAWN}/{name}.json"
            if record in head:
                _check_sizes(head, [record])
                with explained(repo, revision, token):
                    _download(repo, f"refs/pr/{pr}", [record], submitted, token)
            return withdrawal_problem(submitted / record, base / ENTRIES / name, author)

        verdict = judge(
            map(Change, changed),
            is_left=lambda name: any(p.startswith(f"{ENTRIES}/{name}/") for p in head),
            owns=lambda name: owns(base / ENTRIES / name, author),
            withdrawal=withdrawal,
        )
        wanted = [p for p in head if _is_entry_file(p) and PurePosixPath(p).parts[1] in verdict.entries]
        _check_sizes(head, wanted)
        with explained(repo, revision, token):
            _download(repo, f"refs/pr/{pr}", wanted, submitted, token)
    root = base if pr is None else submitted
    folders = tuple(root / ENTRIES / name for name in verdict.entries)
    return Fetched(folders, base / ENTRIES, base / BENCHMARKS, author, verdict.problems)


def _branch_point(repo: str, revision: str, token: str | bool | None) -> str:
    """The commit of main that a request began at: what main got since then is no change of the request's."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    main = {commit.commit_id for commit in api.list_repo_commits(repo, repo_type="dataset")}
    commits = api.list_repo_commits(repo, repo_type="dataset", revision=revision)
    return next((commit.commit_id for commit in commits if commit.commit_id in main), "main")


def _author(repo: str, pr: int, token: str | bool | None) -> Author:
    from huggingface_hub import HfApi

    details = HfApi(token=token).get_discussion_details(repo, pr, repo_type="dataset")
    return Author.parse(f"hub:{details.author}")


def _tree(repo: str, revision: str, token: str | bool | None) -> Tree:
    """Path -> (content id, size) of every file."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    files = HfApi(token=token).list_repo_tree(repo, recursive=True, revision=revision, repo_type="dataset")
    return {f.path: (f.lfs.sha256 if f.lfs else f.blob_id, f.size) for f in files if isinstance(f, RepoFile)}


def _is_entry_file(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) >= 3 and parts[0] == ENTRIES and ".." not in parts


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
