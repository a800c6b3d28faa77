"""What a bridge stands on: the versions of a built set, and everybody's answers to their images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.dataset.versions import VERSIONS, Rows, Versions, read_rows, read_versions, rows_of_all
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.ballots import answers_in
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.bridge import Models


def read_chain(build: Path) -> tuple[Versions, tuple[Rows, ...]]:
    """The versions of a built set, and the rows of each.

    Raises:
        UsageError: it is no refreshed set.
        ResultError: it does not hold together.
    """
    if not (build / VERSIONS).is_file():
        raise UsageError(
            f"{build} has no {VERSIONS}: expected a set that `imagenet-hard curate refresh` and `build` made"
        )
    chain = read_versions(build / VERSIONS)
    return chain, rows_of_all(chain, read_rows(build), str(build))


def read_models(
    files: Iterable[Path], board: Path | None, fingerprints: Iterable[str]
) -> tuple[Models, dict[str, str]]:
    """Answers by name, from results and tables and of a board's entries on one of the versions; and the key
    of each, as committees name models. Entries of one name bear the organisation that each is of. Those that
    chose among a few names are of another board.

    Raises:
        ResultError, UsageError: a file cannot be read; or there is nothing.
    """
    found: dict[str, list[Answers]] = defaultdict(list)
    keys: dict[str, str] = {}
    for path in files:
        for name, model, answers in answers_in(path):
            found[name].append(answers)
            keys[name] = model
    wanted = set(fingerprints)
    entries = [
        each
        for each in (read_board(board) if board is not None else ())
        if each.entry.benchmark.fingerprint in wanted and not each.entry.choices
    ]
    bearers = Counter(name for _, name in {(each.entry.model_id, each.entry.name) for each in entries})
    for each in entries:
        name, org = each.entry.name, each.entry.org
        name = f"{name} ({org})" if bearers[name] > 1 or name in keys else name
        found[name].append(each.answers)
        keys[name] = each.entry.model.key
    if not found:
        raise UsageError(
            "nobody answered: give results, tables of answers, or --entries of a board with some"
        )
    return found, keys
