"""A board that is a data set repository on the Hub, or a pull request on it, fetched into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation.predictions import MAX_FILE_BYTES
from imagenet_hard.hub.checks import check_repo_id, check_token
from imagenet_hard.hub.errors import translated_errors
from imagenet_hard.hub.read import RemoteFile, branch_point, download, files_at, request_author
from imagenet_hard.leaderboard.answers import MAX_CSV_BYTES, PREDICTIONS_FILE, TOP1_FILE, TOP5_FILE
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES
from imagenet_hard.leaderboard.entry import ENTRY_FILE, MAX_ENTRY_BYTES
from imagenet_hard.leaderboard.verify.changes import ChangedPath, RequestReview, review_of
from imagenet_hard.leaderboard.verify.ownership import Author, owns
from imagenet_hard.leaderboard.verify.run import Chosen
from imagenet_hard.leaderboard.withdrawn import WITHDRAWN, withdrawal_problem
from imagenet_hard.leaderboard.words import MAX_WORDS_BYTES, WORDS_FILE

_LIMITS = {
    ENTRY_FILE: MAX_ENTRY_BYTES,
    PREDICTIONS_FILE: MAX_FILE_BYTES,
    TOP5_FILE: MAX_CSV_BYTES,
    TOP1_FILE: MAX_CSV_BYTES,
    WORDS_FILE: MAX_WORDS_BYTES,
}


def fetch(repo: str, into: Path, *, pr: int | None = None) -> Chosen:
    """The entries of ``repo`` to verify, with what they are compared with: all, or those that ``pr`` changes.

    Sizes are looked at before anything is downloaded.

    Raises:
        ResultError: a file too large to be an entry's.
        DatasetError: the Hub refuses or cannot be reached.
        UsageError: ``repo`` is no Hub id.
    """
    check_token(None)
    check_repo_id(repo)
    revision = None if pr is None else f"refs/pr/{pr}"
    with translated_errors(repo, revision=revision):
        main = files_at(repo, "main")
        head = main if revision is None else files_at(repo, revision)
        author = None if pr is None else Author.parse(f"hub:{request_author(repo, pr)}")
        before = {} if revision is None else files_at(repo, branch_point(repo, revision))
    changed = sorted(p for p in {*head, *before} if head.get(p) != before.get(p))
    names = {PurePosixPath(p).parts[1] for p in changed if _is_entry_file(p)}
    base, submitted = into / "main", into / "submitted"
    trusted = [p for p in main if _is_entry_file(p) or p.startswith((f"{BENCHMARKS}/", f"{WITHDRAWN}/"))]
    download(repo, "main", trusted, base)
    review = RequestReview(tuple(sorted(names)), ())
    if pr is not None:

        def withdrawal(name: str) -> str:
            record = f"{WITHDRAWN}/{name}.json"
            if record in head:
                _check_sizes(head, [record])
                download(repo, f"refs/pr/{pr}", [record], submitted)
            return withdrawal_problem(submitted / record, base / ENTRIES / name, author)

        review = review_of(
            map(ChangedPath, changed),
            is_left=lambda name: any(p.startswith(f"{ENTRIES}/{name}/") for p in head),
            owns=lambda name: owns(base / ENTRIES / name, author),
            withdrawal=withdrawal,
        )
        wanted = [p for p in head if _is_entry_file(p) and PurePosixPath(p).parts[1] in review.entries]
        _check_sizes(head, wanted)
        download(repo, f"refs/pr/{pr}", wanted, submitted)
    root = base if pr is None else submitted
    folders = [root / ENTRIES / name for name in review.entries]
    return Chosen(folders, base / BENCHMARKS, base / ENTRIES, author, review.problems)


def _is_entry_file(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) >= 3 and parts[0] == ENTRIES and ".." not in parts


def _check_sizes(tree: Mapping[str, RemoteFile], paths: list[str]) -> None:
    for path in paths:
        limit = _LIMITS.get(PurePosixPath(path).name, MAX_ENTRY_BYTES)
        if tree[path].size > limit:
            raise ResultError(f"{path} has {tree[path].size} bytes: at most {limit} are downloaded")
