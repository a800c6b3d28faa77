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

from imagenet_hard.errors import UsageError
from imagenet_hard.types import Record
from imagenet_hard.validation import place, shorten

MAX_LINE = 300
MAX_URL = 2000
MAX_SLUG = 90

_ACTIVE = re.compile(r"\s*(javascript|vbscript|data)\s*:", re.IGNORECASE)


def plain(text: str) -> str:
    """``text`` itself, if every character can be seen and none opens a tag.

    Raises:
        ValueError: a control, format or surrogate character (line ends, right-to-left marks, ...), ``<`` or
            ``>``, or a beginning such as ``javascript:``.
    """
    for character in text:
        if character in "<>" or not character.isprintable():
            raise ValueError(
                f"has the character {character!r}: expected plain text on one line, without < and >"
            )
    if _ACTIVE.match(text):
        raise ValueError("begins like a script address: expected plain text")
    return text


def _line(text: str) -> str:
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
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


def check_plain(value: Any) -> None:
    """Refuse a JSON value that has other than plain text in any string or key of it.

    Raises:
        ValueError: the place of the first such string, and what is wrong there.
    """
    for where, text in _strings(value, ()):
        try:
            plain(text)
        except ValueError as error:
            raise ValueError(f"{place(where)}: {shorten(text)} {error}") from None


def _strings(value: Any, where: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield where, str(key)
            yield from _strings(each, (*where, str(key)))
    elif isinstance(value, Sequence):
        for index, each in enumerate(value):
            yield from _strings(each, (*where, index))


def entry_id(org: str, name: str) -> str:
    """``ORG__MODEL``: the folder of an entry, safe on every file system.

    Raises:
        UsageError: nothing is left of one of them.

    >>> entry_id("Google Research", "ViT-B/32 (ours)")
    'Google-Research__ViT-B-32-ours'
    """
    return f"{_slug(org, 'org')}__{_slug(name, 'name')}"


def _slug(text: str, what: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    # "__" parts the two halves, and Windows drops a trailing dot.
    slug = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9._]+", "-", ascii_text)).strip("._-")
    if not slug or len(slug) > MAX_SLUG:
        raise UsageError(
            f"{what} {shorten(text)} makes no folder name: expected 1 to {MAX_SLUG} characters, among them "
            "letters a-z or digits"
        )
    return slug
