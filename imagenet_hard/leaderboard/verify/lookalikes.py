"""Names that a reader takes for another's: flagged, since two honest names may look alike too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files

from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.verify.report import Finding

_WORD = re.compile(r"[^\W\d_]+")
_DRAWN_LIKE_LATIN = {"GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU"}


def look_alikes(entry: Entry, others: Iterable[Entry]) -> Finding:
    """Names of ``entry`` that look like those of another entry but are others, or mix scripts in a word."""
    for what, text in (("name", entry.name), ("org", entry.org), ("submitter", entry.submitter)):
        if word := next(_mixed(text), None):
            return True, f"{what} has the word {word!a}, which mixes letters of scripts that look alike"
    for other in others:
        if other is entry:
            continue
        for what, mine, theirs in (
            ("org", (entry.org,), (other.org,)),
            ("submitter", (entry.submitter,), (other.submitter,)),
            ("name", (entry.org, entry.name), (other.org, other.name)),
        ):
            if mine != theirs and all(map(_same_look, mine, theirs)):
                return True, f"the {what} {mine[-1]!a} looks like {theirs[-1]!a} of {other.id}"
        if entry.id != other.id and _same_look(_joined(entry.id), _joined(other.id)):
            return True, f"the id looks like {other.id}"
        if other.submitter == entry.submitter and other.owner and not _accounts(other) & _accounts(entry):
            return True, f"the submitter {entry.submitter!a} is that of {other.id}, of another owner"
    return False, ""


def _accounts(entry: Entry) -> set[tuple[str, str]]:
    return {(platform, account.casefold()) for platform, account in (entry.owner or {}).items()}


def _same_look(one: str, other: str) -> bool:
    return one == other or skeleton(one) == skeleton(other)


@lru_cache(maxsize=2**14)
def _joined(entry: str) -> str:
    """An id without what parts it: a name may be written like another model's entry on a benchmark.

    >>> _joined("A__B-imagenet-hard-4k") == _joined("A__B__imagenet-hard-4k")
    True
    """
    return re.sub("[-_]+", "-", entry)


@lru_cache(maxsize=2**14)
def skeleton(text: str) -> str:
    """What is left of a text when all that looks alike is written the same way.

    >>> skeleton("Gооgle") == skeleton("Google")  # Cyrillic о
    True
    """
    parts = unicodedata.normalize("NFKD", text)
    # Before folding as well: Greek Μ is drawn like M, its small letter μ is not.
    bare = "".join(c for c in parts if not unicodedata.combining(c)).translate(_table()).casefold()
    return " ".join(bare.translate(_table()).replace("rn", "m").replace("vv", "w").split())


@cache
def _table() -> dict[int, str]:
    """Letter -> the ASCII character that it is drawn like, after folding case and compatibility forms."""
    lines = files("imagenet_hard.leaderboard").joinpath("data/lookalikes.txt").read_text("utf-8").splitlines()
    return {ord(letter): line[0] for line in lines for letter in line[2:]}


def _mixed(text: str) -> Iterator[str]:
    """The words with Latin letters and such of a script that has letters drawn like them."""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
        scripts = {unicodedata.name(letter, "?").split()[0] for letter in word}
        if "LATIN" in scripts and scripts & _DRAWN_LIKE_LATIN:
            yield word
