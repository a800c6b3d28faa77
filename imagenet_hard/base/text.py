"""Text for people: what may be printed, what stands in a cell, and values cut to the length of a message.

Names come from files that anybody may have written: no character moves a terminal's cursor or hides text, and
no cell is read as markup or run as a formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

SHOWN = 10

_TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
}


def printable(text: str) -> str:
    """One line of printable characters; what is none becomes U+FFFD.

    >>> printable("a\\x1b[31mb")
    'a\N{REPLACEMENT CHARACTER}[31mb'
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def markdown_cell(text: str) -> str:
    """One cell of a table: no markup, no mention, no link."""
    return re.sub(r"([\\`*_{}\[\]<>|~#!&:@])", r"\\\1", printable(text))


def spreadsheet_cell(text: str) -> str:
    """One printable line that no spreadsheet runs as a formula.

    >>> spreadsheet_cell("=1+1")
    "'=1+1"
    """
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def tex_cell(text: str) -> str:
    """Text that LaTeX sets as it stands.

    >>> tex_cell("50 % & more")
    '50 \\\\% \\\\& more'
    """
    return "".join(_TEX.get(c, c) for c in printable(text))


def shorten(value: Any, width: int = 80) -> str:
    """``repr`` of a value, cut for a message."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def shorten_list(items: Sequence[str]) -> str:
    """The first ten, and how many more there are."""
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if items[SHOWN:] else "")


def reason(error: BaseException) -> str:
    """An error of another library in a word or a line."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
