"""Text that strangers write, as it may stand in a record: one line that no page and no log acts on.

Pages escape what they show as well; this is the first of two locks, and it keeps the records clean.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import place
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Record

MAX_LINE = 300
MAX_URL = 2000

MAX_NUMBER = 2**63
"""No number of ours comes near it: longer ones are there to break a page."""

_ACTIVE = re.compile(r"\s*(javascript|vbscript|data)\s*:", re.IGNORECASE)
_LIVE = re.compile(
    r"://|(?<![A-Za-z0-9])www\.|(?<!\w)@[A-Za-z]|[\w.+-]+@[\w-]+\.\w|(?<!\w)(mailto|xmpp):", re.IGNORECASE
)
"""What GitHub's Markdown makes a link or a mention of, without any brackets."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef]"
)
"""Called letters, signs and marks, but they show nothing: fillers, the empty Braille cell, selectors."""

_MAX_MARKS = 2
"""Marks on one letter: Thai and Hebrew need two."""


def plain(text: str) -> str:
    """``text`` itself, if every character can be seen, in its own line, and none opens a tag.

    Raises:
        ValueError: a control, format, surrogate or empty character (line ends, right-to-left marks, fillers,
            ...), ``<`` or ``>``, a stack of marks that reaches into other lines, or a beginning such as
            ``javascript:``.
    """
    for character in text:
        if character in "<>" or not character.isprintable() or _UNSEEN.match(character):
            raise ValueError(
                f"has the character {character!a}: expected plain text on one line that can be seen, "
                "without < and >"
            )
    if not text.isascii():
        _check_marks(text)
    if _ACTIVE.match(text):
        raise ValueError("begins like a script address: expected plain text")
    return text


def _check_marks(text: str) -> None:
    for character, covers in _covering(text):
        if covers:
            raise ValueError(
                f"has the mark {character!a} where it covers other text: expected plain text, at most "
                f"{_MAX_MARKS} marks on a letter"
            )


def _covering(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, composed, and whether it is a mark that covers other text."""
    on_letter, marks = False, 0
    for character in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(character)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        yield character, kind == "Me" or marks > _MAX_MARKS or bool(marks and not on_letter)
        on_letter = kind[0] in "LM"


def visible(text: str) -> str:
    r"""Text that may be anything, on one line, each character of it to be seen where it stands: others become
    their codes. What opens a tag is left to whoever shows it.

    >>> print(visible("a cat\nand\u200ba\u0301\u0301\u0301 dog"))
    a cat\nand\u200bá\u0301\u0301 dog
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if covers or not character.isprintable() or _UNSEEN.match(character)
        else character
        for character, covers in _covering(text)
    )


def _line(text: str) -> str:
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    if found := _LIVE.search(text):
        raise ValueError(
            f"has {found[0]!r}, of which Markdown makes a link: expected plain text; addresses go into links"
        )
    return plain(text)


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
        _ = parts.port  # a ValueError where it is no number
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or any(c in url for c in " \\\"'<>`"):
        raise ValueError(
            "expected an address that begins with https://, percent-encoded, without user and password"
        )
    return url


Line = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_line)]
"""One line of plain text, which may be empty."""

Name = Annotated[Line, Field(min_length=1)]
Https = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_https)]


class Link(Record):
    """A labelled https address."""

    label: Name
    url: Https


def https(url: str) -> str:
    """The address, once more known to be https: the last look before it becomes a link.

    Raises:
        ResultError: it is anything else.
    """
    try:
        return Link(label="link", url=url).url
    except ValueError:
        raise ResultError(f"not an https address: {url!r}") from None


def check_plain(value: Any) -> None:
    """Refuse a JSON value that has other than plain text in any string or key of it, or an endless number.

    Raises:
        ValueError: the place of the first such value, and what is wrong there.
    """
    for where, leaf in _leaves(value, ()):
        if not isinstance(leaf, str):
            if abs(leaf) > MAX_NUMBER:
                raise ValueError(f"{place(where)}: {shorten(leaf)}: expected a number of at most 2^63")
            continue
        try:
            plain(leaf)
        except ValueError as error:
            raise ValueError(f"{place(where)}: {shorten(leaf)} {error}") from None


def _leaves(value: Any, where: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    if isinstance(value, str | int | float):
        yield where, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield where, str(key)
            yield from _leaves(each, (*where, str(key)))
    elif isinstance(value, Sequence):
        for index, each in enumerate(value):
            yield from _leaves(each, (*where, index))
