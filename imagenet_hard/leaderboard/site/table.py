"""The results table as text: Markdown, CSV, JSON, LaTeX; and the one in a README, kept current."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import markdown_cell, pct, size, span
from imagenet_hard.leaderboard.site.data import Board, SiteEntry
from imagenet_hard.leaderboard.site.downloads import table_csv, table_json

START = "<!-- leaderboard:start -->"
END = "<!-- leaderboard:end -->"
_MAX_README = 4 * 2**20
_NOTHING = "No entry has been submitted yet."
_HEADER = (
    "Rank",
    "Rank range",
    "Model",
    "By",
    "Top-1 %",
    "95 % interval",
    "Top-5 %",
    "Parameters",
    "Training data",
    "Tier",
)
_ALIGN = "rrllrrrrll"
_CURATION = "used in curation"


def markdown(boards: Sequence[Board], top: int | None = None) -> str:
    """A table per benchmark in GitHub's Markdown; the first ``top`` entries of each."""
    if not boards:
        return f"{_NOTHING}\n"
    return "\n".join(_markdown_board(board, top) for board in boards)


def csv(boards: Sequence[Board], top: int | None = None) -> str:
    """Plain numbers, one block per benchmark with its own header, parted by an empty line."""
    return "\n".join(table_csv(_cut(board, top)) for board in boards)


def json_text(boards: Sequence[Board], top: int | None = None) -> str:
    """One JSON array with an object per benchmark."""
    return json.dumps([table_json(_cut(board, top)) for board in boards], indent=2) + "\n"


def latex(boards: Sequence[Board], top: int | None = None) -> str:
    """A ``tabular`` per benchmark, for the booktabs package."""
    return "\n".join(_table(board, top).latex() for board in boards) or f"% {_NOTHING}\n"


FORMATS: Mapping[str, Callable[[Sequence[Board], int | None], str]] = {
    "markdown": markdown,
    "csv": csv,
    "json": json_text,
    "latex": latex,
}


def write_between(path: Path, table: str) -> bool:
    """Put ``table`` between the markers of a text file; whether that changed the file.

    Raises:
        UsageError: the file has not exactly one pair of markers.
        ResultError: it cannot be read or written.
    """
    old, new = _with_table(path, table)
    if new != old:
        write_atomically(path, new.encode())
    return new != old


def is_current(path: Path, table: str) -> bool:
    """Whether ``table`` stands between the markers of a text file.

    Raises:
        UsageError: the file has not exactly one pair of markers.
        ResultError: it cannot be read.
    """
    old, new = _with_table(path, table)
    return old == new


def _with_table(path: Path, table: str) -> tuple[str, str]:
    try:
        old = read_bounded(path, _MAX_README).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    if (old.count(START), old.count(END)) != (1, 1) or old.index(START) > old.index(END):
        raise UsageError(
            f"{path} has no place for the table: expected one line {START} and, below it, one line {END}"
        )
    before, rest = old.split(START)
    newline = "\r\n" if "\r\n" in old else "\n"
    body = table.strip("\n").replace("\n", newline)
    return old, f"{before}{START}{newline}{body}{newline}{END}{rest.split(END)[1]}"


def _cut(board: Board, top: int | None) -> Board:
    """The board with its first entries only; ranks stay those among all."""
    if top is None or top >= len(board.entries):
        return board
    return Board(
        **{
            **{name: getattr(board, name) for name in Board.__dataclass_fields__},
            "entries": board.entries[:top],
            "correct": board.correct[:top],
            "predicted": board.predicted[:top],
            "kappa": board.kappa[:top, :top],
            "tied": board.tied[:top, :top],
            "similar": tuple(i for i in board.similar if i < top),
        }
    )


def _cells(e: SiteEntry) -> tuple[str, ...]:
    low, high = e.rank.low, e.rank.high
    return (
        *(str(e.rank.place), str(low) if low == high else f"{low}–{high}"),
        *(e.name, e.org, pct(e.top1.accuracy), span(e.top1)),
        pct(e.top5.accuracy) if e.top5 else "",
        size(e.parameters) if e.parameters is not None else "",
        *(e.training_data, f"{e.tier}, {_CURATION}" if e.used_in_curation else e.tier),
    )


def _markdown_board(board: Board, top: int | None) -> str:
    shown = board.entries[:top]
    more = f" The first {len(shown)} of {len(board.entries)}." if len(shown) < len(board.entries) else ""
    return (
        f"**{markdown_cell(board.title)}**: {len(board.entries)} entries on {board.n:,} images, fingerprint "
        f"`{board.fingerprint[:12]}`. Rank is the place by score; the range holds the ranks that the images "
        f"leave open for an entry (95 %, each entry for itself).{more}\n\n{_table(board, top).markdown()}"
    )


def _table(board: Board, top: int | None) -> Table:
    title = f"{board.title}, {board.n} images, fingerprint {board.fingerprint[:12]}"
    return Table(_HEADER, [_cells(e) for e in board.entries[:top]], _ALIGN, title)
