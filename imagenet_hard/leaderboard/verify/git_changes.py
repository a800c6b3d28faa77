"""What a pull request on git changes, read from the merge commit that its checkout stands on.

The checkout is a stranger's: git is asked for names, modes and hashes alone, and starts no filter, hook or
driver that a repository could name.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from itertools import islice
from pathlib import Path

from imagenet_hard.base.children import run_git
from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.board import BENCHMARKS, ENTRIES, VERIFIED, accepted_report, read_board
from imagenet_hard.leaderboard.corrections import CORRECTIONS, check_corrections
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.verify.changes import ChangedPath, RequestReview, review_of
from imagenet_hard.leaderboard.verify.ownership import Author, owns
from imagenet_hard.leaderboard.withdrawn import WITHDRAWN, withdrawal_problem

BOARD = "leaderboard"
"""The board's folder in the repository."""

_GONE, _PLAIN = b"000000", b"100644"


def git_changes(request: Path, base: Path) -> tuple[ChangedPath, ...]:
    """The paths that the merge of a request into ``base`` changes.

    ``request``: a checkout whose HEAD is the merge; ``base``: a checkout of what it is merged into.

    Raises:
        ResultError: git fails, HEAD is no merge of two commits, or it is a merge into something else.
    """
    _, *parents = _git(request, "rev-list", "--parents", "--max-count=1", "HEAD").decode().split()
    if len(parents) != 2:
        raise ResultError(
            f"HEAD of {request} has {len(parents)} parents: expected the merge of a request into the board"
        )
    if (here := _git(base, "rev-parse", "--verify", "HEAD").decode().strip()) != parents[0]:
        raise ResultError(
            f"{request} is merged into {parents[0][:12]}, and {base} stands on {here[:12]}: check out that "
            "commit, or merge again"
        )
    raw = _git(
        request, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", *parents[:1], "HEAD"
    )
    fields = raw.split(b"\0")[:-1]
    if not fields:
        raise ResultError(f"the merge in {request} changes nothing")
    return tuple(map(_change, islice(fields, 0, None, 2), islice(fields, 1, None, 2)))


def review_of_request(
    request: Path, base: Path, *, author: Author | None = None, maintainer: bool = False
) -> RequestReview:
    """What is to verify of a request, and what in it is refused.

    ``base``: the checkout's folder of entries that the request is merged into; ``author``: who opened the
    request, and ``maintainer``: whether the author may write to the board, as the platform says.

    Raises:
        ResultError: as ``git_changes``.
    """
    changes = git_changes(request, base.resolve().parents[1])
    review = review_of(
        changes,
        is_left=lambda name: os.path.lexists(request / BOARD / ENTRIES / name),
        owns=lambda name: owns(base / name, author),
        withdrawal=lambda name: withdrawal_problem(
            request / BOARD / WITHDRAWN / f"{name}.json", base / name, author
        ),
        maintainer=maintainer,
        on_board=lambda path: os.path.lexists(base.parent / path),
    )
    if not review.problems and any(each.path.startswith(f"{CORRECTIONS}/") for each in changes):
        review = replace(review, problems=_correction_problems(request / BOARD, base.parent / BENCHMARKS))
    if review.problems or not maintainer:
        return review
    if review.entries:
        changed = {change.path for change in changes}
        told = (_record_problem(request / BOARD, n) for n in review.entries if _record(n) in changed)
        return RequestReview(review.entries, tuple(filter(None, told)))
    left_out: list[str] = []
    for _ in read_board(request / BOARD, left_out.append):
        pass
    return RequestReview((), tuple(left_out))


def _correction_problems(board: Path, golds: Path) -> tuple[str, ...]:
    """What is wrong with the corrections as the request leaves them, if anything is."""
    try:
        check_corrections(board, golds)
    except ResultError as error:
        return (str(error),)
    return ()


def _record(name: str) -> str:
    return f"{VERIFIED}/{name}.json"


def _record_problem(board: Path, name: str) -> str:
    """What is wrong with the report that comes with an entry; "" where nothing is."""
    path = f"{_record(name)!a}"
    try:
        if (board / _record(name)).is_file() and not accepted_report(
            board / VERIFIED, read_entry(board / ENTRIES / name)
        ):
            return f"{path} is not about the entry as the request leaves it: evaluate or verify it again"
    except ResultError as error:
        return f"{path}: {error}"
    return ""


def _change(about: bytes, path: bytes) -> ChangedPath:
    """``about``: ``:OLD_MODE NEW_MODE OLD_HASH NEW_HASH STATUS``."""
    modes = about.removeprefix(b":").split(b" ")[:2]
    name = os.fsdecode(path)
    inside = name.startswith(f"{BOARD}/")
    return ChangedPath(
        name.removeprefix(f"{BOARD}/") if inside else name,
        regular=all(mode in (_GONE, _PLAIN) for mode in modes),
        outside=not inside,
    )


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        # No repository around the folder is taken for the folder's own.
        around = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
        done = run_git(folder, *arguments, seconds=300, **around)
    except (OSError, subprocess.SubprocessError) as error:
        raise ResultError(f"git cannot be run in {folder}: {type(error).__name__}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ResultError(f"git {arguments[0]} failed in {folder}: {' '.join(said)[:300]}")
    return done.stdout
