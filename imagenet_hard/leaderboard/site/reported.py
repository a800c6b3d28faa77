"""The published tables as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable

from imagenet_hard.leaderboard.published import PublishedTable as Source
from imagenet_hard.leaderboard.published import load_published
from imagenet_hard.leaderboard.site.data import Board, Link, PublishedRow, PublishedTable


def published_tables() -> tuple[PublishedTable, ...]:
    """Every table of ``leaderboard/published``.

    Raises:
        UsageError: a table that breaks a rule; the message names the file and the line.
    """
    return tuple(map(_shown, load_published()))


def reported_on(board: Board, tables: Iterable[PublishedTable]) -> list[PublishedTable]:
    """The tables of a board's benchmark, those on as many images first, then the larger releases first."""
    return sorted(
        (table for table in tables if table.benchmark == board.benchmark),
        key=lambda table: (table.n != board.n, -(table.n or 0)),
    )


def _shown(table: Source) -> PublishedTable:
    return PublishedTable(
        slug=table.name,
        title=table.title,
        source=Link(label=table.source.label[:100], url=table.source.url),
        benchmark=table.benchmark,
        release=table.release.name,
        n=table.release.n,
        date=table.release.date,
        note=" ".join(filter(None, (table.note, table.release.note)))[:500],
        rows=tuple(
            PublishedRow(
                model=f"{row.model} / {row.tag}" if row.tag else row.model,
                top1=row.top1,
                used_in_curation=row.used_in_curation,
                note=row.note,
            )
            for row in table.rows
        ),
    )
