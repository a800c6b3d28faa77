"""What a request to the board may change, by who asks: nothing but paths of a known kind.

Anybody may add, change and take back entries of their own, or mend the README beside them. What is taken back
leaves a record, which only maintainers change or remove later; so does a correction of labels. Gold labels,
records of what was checked and published tables are the maintainers', in requests without entries: no entry
rides along with what it is judged by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

KINDS: Mapping[str, re.Pattern[str]] = {
    "entry": re.compile(
        r"entries/[A-Za-z0-9][A-Za-z0-9._-]*/(entry\.json|predictions\.parquet|top[15]\.csv|answers\.jsonl)"
    ),
    "withdrawal": re.compile(r"withdrawn/[A-Za-z0-9][A-Za-z0-9._-]*\.json"),
    "correction": re.compile(r"corrections/[a-z0-9][a-z0-9-]{0,59}\.json"),
    "text": re.compile(r"(entries/)?README\.md"),
    "board": re.compile(
        r"verified/[A-Za-z0-9][A-Za-z0-9._-]*\.json|benchmarks/[0-9a-f]{64}\.(json|parquet)"
        r"|published/[a-z0-9][a-z0-9-]*\.yaml|(benchmarks|corrections|verified|published|withdrawn)/README\.md"
    ),
}
"""Every path of a board's folder that a request may change."""


@dataclass(frozen=True)
class ChangedPath:
    """A changed path, relative to the board's folder or, where it lies ``outside``, to the repository.

    ``regular``: before and after it is a plain file, where it is there.
    """

    path: str
    regular: bool = True
    outside: bool = False


@dataclass(frozen=True)
class RequestReview:
    """``entries``: the names of those to verify; ``problems``: why the request is refused, if it is."""

    entries: tuple[str, ...]
    problems: tuple[str, ...]


def review_of(
    changes: Iterable[ChangedPath],
    *,
    is_left: Callable[[str], bool],
    owns: Callable[[str], bool],
    withdrawal: Callable[[str], str],
    maintainer: bool = False,
    on_board: Callable[[str], bool] = lambda path: False,
) -> RequestReview:
    """What is to verify of a request, and what in it is refused.

    Of an entry's name, ``is_left`` says whether the request leaves its folder there, and ``owns`` whether the
    board's entry is the author's; of one that is removed, ``withdrawal`` says what is wrong with the record
    that the request puts in its place, "" where nothing is. ``maintainer``: the platform says that the author
    may write to the board. ``on_board``: whether the board has a path already.
    """
    changes = list(changes)
    names = {change.path.split("/")[1] for change in changes if _kind(change) == "entry"}
    gone = {name for name in names if not is_left(name)}
    records = {f"withdrawn/{name}.json" for name in gone}
    if maintainer:  # who evaluated a model for the board has both the entry and the report on it
        records |= {f"verified/{name}.json" for name in names - gone}
    problems = [
        f"{change.path!a} {problem}"
        for change in changes
        if (
            problem := _problem(
                change,
                record=change.path in records,
                submission=bool(names),
                maintainer=maintainer,
                on_board=on_board,
            )
        )
    ]
    problems += [
        f"{name} is removed: only its proven owner or a maintainer takes an entry back"
        for name in sorted(gone)
        if not (maintainer or owns(name))
    ]
    if not problems:  # only then is it a plain file and anybody's to look into
        problems = [f"{name} {problem}" for name in sorted(gone) if (problem := withdrawal(name))]
    return RequestReview(tuple(sorted(names - gone)), tuple(problems))


def _kind(change: ChangedPath) -> str | None:
    if change.outside:
        return None
    return next((kind for kind, pattern in KINDS.items() if pattern.fullmatch(change.path)), None)


def _problem(
    change: ChangedPath, *, record: bool, submission: bool, maintainer: bool, on_board: Callable[[str], bool]
) -> str:
    """``record``: it belongs to an entry which the request removes, or which a maintainer adds."""
    kind = "entry" if record and not change.outside else _kind(change)
    if not change.regular and not change.outside:
        return "is not a plain file: links, submodules and programs are refused"
    if kind is None and not change.outside:
        return "is of no kind that a board holds"
    if submission and kind != "entry":
        return "does not belong to an entry: a request with entries changes nothing else"
    if kind == "correction" and not maintainer and on_board(change.path):
        return "is a correction that the board has: only maintainers change or remove one"
    if kind in ("board", "withdrawal", None) and not maintainer:
        return "is the maintainers' to change, in a request of theirs"
    return ""
