"""Text for people: what may be printed, what stands in a cell, numbers, and values cut to a message's length.

Names come from files that anybody may have written: no character moves a terminal's cursor or hides text, and
no cell is read as markup or run as a formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol


class Interval(Protocol):
    """What has two ends, shares in [0, 1]."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


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
    r"""One line: what cannot be seen (control characters, turned reading order) becomes its code.

    >>> print(printable("a\x1b[31mb\u202e"))
    a\x1b[31mb\u202e
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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


def shorten_list(items: Sequence[str], shown: int = 10, between: str = ", ") -> str:
    """The first ones, and how many more there are.

    >>> shorten_list("abcde", 2), shorten_list("abc", 2, "; ")
    ('a, b and 3 more', 'a; b; and 1 more')
    """
    before = " " if between == ", " else between
    more = f"{before}and {len(items) - shown:,} more" if len(items) > shown else ""
    return between.join(items[:shown]) + more


def reason(error: BaseException) -> str:
    """An error of another library in a word or a line."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what it counts.

    >>> counted(1, "image"), counted(1200, "image"), counted(0, "entry")
    ('1 image', '1,200 images', '0 entries')
    """
    plural = many or (f"{one[:-1]}ies" if one.endswith("ry") else f"{one}s")
    return f"{n:,} {one if n == 1 else plural}"


def pct(share: float) -> str:
    """A share as percent with two digits.

    >>> pct(0.63333)
    '63.33'
    """
    return f"{100 * share:.2f}"


def pct1(share: float) -> str:
    """A share as percent with one digit."""
    return f"{100 * share:.1f}"


def span(rate: Interval) -> str:
    """The interval of a rate in percent."""
    return f"{pct(rate.low)}–{pct(rate.high)}"


def signed(n: int) -> str:
    """A whole number with its sign.

    >>> signed(3), signed(-2), signed(0)
    ('+3', '−2', '0')
    """
    return f"{n:+,}".replace("-", "−") if n else "0"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.0125), points(-0.2)
    ('+1.25', '−20.00')
    """
    return f"{100 * share:+.2f}".replace("-", "−")


def count(n: int) -> str:
    """A whole number with thousands set apart."""
    return f"{n:,}"


def size(n: int) -> str:
    """A number of parameters.

    >>> size(25557032), size(1_366_000_000), size(4652)
    ('25.6 M', '1.37 B', '4.7 k')
    """
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if n >= unit:
            value = n / unit
            return f"{value:.{2 if value < 10 and name == 'B' else 1 if value < 100 else 0}f} {name}"
    return str(n)
