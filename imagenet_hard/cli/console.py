"""Where tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Of a pipe or a log file, which has no width of its own."""


def console() -> Console:
    """Standard output for tables, as wide as the terminal."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=PIPE_WIDTH, highlight=False)
