"""The results table as text: Markdown, CSV, JSON, LaTeX; and the one in a README, kept current."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import counted, markdown_cell
from imagenet_hard.leaderboard.published import PublishedTable
from imagenet_hard.leaderboard.site.columns import text_columns
from imagenet_hard.leaderboard.site.data import Board
from imagenet_hard.leaderboard.site.downloads import table_csv, table_json

START = "<!-- leaderboard:start -->"
END = "<!-- leaderboard:end -->"
_MAX_README = 4 * 2**20
_NOTHING = "No entry has been submitted yet."


def markdown(boards: Sequence[Board], top: int | None = None) -> str:
    """A table per benchmark in GitHub's Markdown; the first ``top`` entries of each."""
    if not boards:
        return f"{_NOTHING}\n"
    return "\n".join(_markdown_board(board, top) for board in boards)


def published_markdown(published: PublishedTable) -> str:
    """A table of a paper in GitHub's Markdown, best first: as reported, without a rank."""
    rows = sorted(published.rows, key=lambda row: -row.top1)
    table = Table(
        ["model", "top-1 %, as reported"],
        [[row.name, f"{row.top1:.2f}"] for row in rows],
        "lr",
        published.title,
    )
    images = f", {counted(published.release.n, 'image')}" if published.release.n else ""
    source = f"[{markdown_cell(published.source.label)}]({published.source.url})"
    return f"**{markdown_cell(published.title)}**{images}, as reported in {source}:\n\n{table.markdown()}"


def csv(boards: Sequence[Board], top: int | None = None) -> str:
    """Plain numbers, one block per benchmark with its own header, parted by an empty line."""
    return "\n".join(table_csv(board, top) for board in boards)


def json_tables(boards: Sequence[Board], top: int | None = None) -> str:
    """One JSON array with an object per benchmark."""
    return json.dumps([table_json(board, top) for board in boards], indent=2) + "\n"


def latex(boards: Sequence[Board], top: int | None = None) -> str:
    """A ``tabular`` per benchmark, for the booktabs package."""
    return "\n".join(_table(board, top).latex() for board in boards) or f"% {_NOTHING}\n"


FORMATS: Mapping[str, Callable[[Sequence[Board], int | None], str]] = {
    "markdown": markdown,
    "csv": csv,
    "json": json_tables,
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


def _markdown_board(board: Board, top: int | None) -> str:
    shown = board.entries[:top]
    more = f" The first {len(shown)} of {len(board.entries)}." if len(shown) < len(board.entries) else ""
    return (
        f"**{markdown_cell(board.title)}**: {counted(len(board.entries), 'entry')} on "
        f"{counted(board.n, 'image')}, fingerprint `{board.fingerprint[:12]}`. Rank is the place by score; "
        "the range holds the ranks that the images "
        f"leave open for an entry (95 %, each entry for itself).{more}\n\n{_table(board, top).markdown()}"
    )


def _table(board: Board, top: int | None) -> Table:
    columns = text_columns(board)
    return Table(
        [column.heading for column in columns],
        [[column.text(entry) for column in columns] for entry in board.entries[:top]],
        "".join("r" if column.number else "l" for column in columns),
        f"{board.title}, {counted(board.n, 'image')}, fingerprint {board.fingerprint[:12]}",
    )
