"""Class names of a file, in the order of the classes, from any of the forms that ImageNet's lists have.

Names alone (one a line, or a list), names behind numbers or wnids (``0: tench``, ``n01440764 tench``),
Keras's and torch's JSON. wnids and numbers order the names; where there are none, names that are known
must stand at their own classes. Under another order every score would be wrong, and nothing would fail.
"""

from __future__ import annotations

import ast
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet.classes import devkit_order, names, wnid_to_index, wnids
from imagenet_hard.imagenet.names import called

log = logging.getLogger(__name__)

MISPLACED = 10
"""Known names at other classes from which on a list is taken to be in another order."""


def class_names(content: str, path: Path) -> tuple[str, ...]:
    """The 1000 names in class order.

    Raises:
        UsageError: for another number of names, for wnids or numbers without names or that are not those of
            the classes, and for known names in another order.
    """
    entries = read_names(content, path)
    ordered = _ordered(entries, path)
    texts = tuple(entry.text.replace("_", " ") for entry in ordered)
    _check_places(ordered, texts, path)
    _say(ordered, texts, path)
    return texts


def _ordered(entries: Sequence[NameEntry], path: Path) -> list[NameEntry]:
    """One entry for each class, in class order: by wnid, else by number, else as they stand."""
    if entries[0].wnid is not None:
        return _by_wnid(entries, path)
    if len(entries) != N_CLASSES:
        first = entries[0].text
        hint = f": {first!r} is no class of ImageNet-1k, leave it out" if "background" in first else ""
        raise UsageError(
            f"{path}: got {len(entries)} class names, expected {N_CLASSES}, one for each class in class "
            f"order{hint}"
        )
    numbers = [entry.number for entry in entries]
    if None in numbers:
        return list(entries)
    order = sorted(entries, key=lambda entry: entry.number or 0)
    start = order[0].number or 0
    if start > 1 or any((b.number or 0) - (a.number or 0) != 1 for a, b in pairwise(order)):
        raise UsageError(
            f"{path}: the numbers of the class names are {start} to {order[-1].number}, {len(set(numbers))} "
            f"different ones: expected 0 to {N_CLASSES - 1} or 1 to {N_CLASSES}, each once"
        )
    return order


def _by_wnid(entries: Sequence[NameEntry], path: Path) -> list[NameEntry]:
    index = wnid_to_index()
    ours = [entry for entry in entries if entry.wnid in index]
    found = {entry.wnid: entry for entry in ours}
    if missing := [wnid for wnid in wnids() if wnid not in found]:
        raise UsageError(
            f"{path}: {len(missing)} of the {N_CLASSES} classes have no name, the first {missing[0]} "
            f"({names()[index[missing[0]]]})"
        )
    if len(ours) != N_CLASSES:
        twice = next(wnid for wnid, n in Counter(entry.wnid for entry in ours).items() if n > 1)
        raise UsageError(f"{path}: {twice} has two names: expected one for each class")
    if len(entries) > len(ours):
        log.info("%s: %d names of other classes are left out", path.name, len(entries) - len(ours))
    return [found[wnid] for wnid in wnids()]


def _check_places(entries: Sequence[NameEntry], texts: Sequence[str], path: Path) -> None:
    """Refuse known names that stand at other classes than their own; a few may be a choice, and are told.

    Raises:
        UsageError: for many, and for classes that have exchanged their names.
    """
    owners = [_owners(text) for text in texts]
    if sum(map(bool, owners)) < N_CLASSES // 10:
        log.warning(
            "%s: hardly a class name is one of CLIP's or WordNet's; they go into prompts as they are (%r)",
            path.name, f"a photo of a {texts[0]}.",
        )  # fmt: skip
    wrong = {i: min(owner) for i, owner in enumerate(owners) if owner and i not in owner}
    if not wrong:
        return
    told = ", ".join(f"{texts[i]!r} is class {own}" for i, own in list(wrong.items())[:3])
    first = entries[next(iter(wrong))]
    if len(wrong) < MISPLACED and set(wrong) != set(wrong.values()):
        log.warning("%s: names of one class stand at another (%s): %s", path.name, first.place, told)
        return
    advice = (
        "expected the order of the wnids, which is that of the classes: put them in it, or write its wnid "
        "before each name (n01440764 tench), and any order will do"
        if first.wnid is None
        else f"the wnids and the names contradict each other ({first.wnid})"
    )
    raise UsageError(
        f"{first.place}: {len(wrong)} of the {N_CLASSES} names stand at another class than their own, "
        f"{_order(texts, wrong)} ({told}): {advice}"
    )


def _order(texts: Sequence[str], wrong: Mapping[int, int]) -> str:
    """Which order a list is in, as far as that can be told."""
    if [*texts] in (sorted(texts), sorted(texts, key=str.casefold)):
        return "sorted by name"
    if len(wrong) == 2:
        return "two classes exchanged"
    moves: Mapping[str, Callable[[int, int], bool]] = {
        "in the order of the development kit": lambda i, own: devkit_order()[i] == own,
        "in reverse": lambda i, own: i + own == N_CLASSES - 1,
        "one class late": lambda i, own: i - own == 1,
        "one class early": lambda i, own: own - i == 1,
    }
    for name, holds in moves.items():
        if sum(holds(i, own) for i, own in wrong.items()) > 0.9 * len(wrong):
            return name
    return "in an order that is not known here"


def _owners(name: str) -> frozenset[int]:
    """The classes that are called so, by the whole or by the first of several words."""
    return called(name) or called(re.split(r"[,;/|(]", name)[0])


def _say(entries: Sequence[NameEntry], texts: Sequence[str], path: Path) -> None:
    """What a list does to the prompts that its author may not have meant."""
    if any("_" in entry.text for entry in entries):
        log.warning("%s: underscores in the class names are read as blanks", path.name)
    if sum("," in text for text in texts) > N_CLASSES // 4:
        log.warning(
            "%s: most class names are several words with commas, and go into the prompts as they are (%r)",
            path.name, f"a photo of a {next(t for t in texts if ',' in t)}.",
        )  # fmt: skip
    first: dict[str, int] = {}
    twins = [(first[text], i) for i, text in enumerate(texts) if first.setdefault(text, i) != i]
    if twins:
        log.warning(
            "%s: %d classes share the name of an earlier one and can never come first (%d that of %d: %r)",
            path.name, len(twins), twins[0][1], twins[0][0], texts[twins[0][0]],
        )  # fmt: skip


_KINDS: Mapping[str, str] = {"wnid": r"n\d{8}", "number": r"\d{1,4}"}


@dataclass(frozen=True)
class NameEntry:
    """One name as it stands in the file: ``place`` for messages."""

    place: str
    text: str
    number: int | None = None
    wnid: str | None = None


def read_names(content: str, path: Path) -> list[NameEntry]:
    """The names in a file, in its order.

    Raises:
        UsageError: for what is no list, for numbers or wnids without names or with some names only.
    """
    data = _literal(content, path)
    entries = _of_lines(content, path) if data is None else _of_data(data, path)
    if not entries:
        raise UsageError(f"{path}: no class names in this file")
    for entry in entries:
        if not entry.text:
            raise UsageError(f"{entry.place}: empty; every one of the class names needs a text")
        if re.search(rf"\b{_KINDS['wnid']}\b", entry.text):
            raise UsageError(
                f"{entry.place}: {entry.text!r} has a wnid in it that is not understood: expected it before "
                "or after the name, as 'n01440764 tench'"
            )
    for kind in _KINDS:
        missing = [entry for entry in entries if getattr(entry, kind) is None]
        if missing and len(missing) < len(entries):
            raise UsageError(f"{missing[0].place}: {missing[0].text!r} has no {kind}, which others have")
    return entries


def _literal(content: str, path: Path) -> Any:
    """A JSON or Python list or mapping; None for lines of text."""
    text = re.sub(r"\A\s*\w+\s*=\s*(?=[\[{(])", "", content).strip()
    if not text.startswith(("[", "{", "(")) or re.match(r"[\[(](n\d{8}|\d{1,4})[\])]", text):
        return None  # the second: lines as "[n01440764] tench"
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise UsageError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: not a list of class names: nested too deeply") from error


def _of_data(data: Any, path: Path) -> list[NameEntry]:
    if isinstance(data, Mapping):
        return [_pair(key, value, f"{path}, {key!r}") for key, value in data.items()]
    if not isinstance(data, list | tuple):
        raise UsageError(f"{path}: got a JSON {type(data).__name__}, expected a list of strings")
    if data and all(isinstance(item, list | tuple) for item in data):
        return [_fields(item, f"{path}, item {n}") for n, item in enumerate(data, 1)]
    for number, item in enumerate(data, 1):
        if not isinstance(item, str):
            raise UsageError(f"{path}, item {number}: got {item!r}, expected a string")
    return _keyed([NameEntry(f"{path}, item {n}", item.strip()) for n, item in enumerate(data, 1)])


def _pair(key: Any, value: Any, place: str) -> NameEntry:
    """Index or wnid -> name, index -> [wnid, name] (Keras), or name -> index (torch's class_to_idx)."""
    return _fields([*([key] if isinstance(key, str | int) else []), *_as_list(value)], place)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _fields(values: Sequence[Any], place: str) -> NameEntry:
    """The one name among fields that may hold a number and a wnid as well."""
    found: dict[str, Any] = {}
    for value in values:
        text = str(value).strip()
        kind = next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, text)), "text")
        if isinstance(value, bool) or not isinstance(value, str | int) or kind in found:
            raise UsageError(f"{place}: got {values!r}, expected one name, with its number or wnid")
        found[kind] = int(text) if kind == "number" else text
    if "text" not in found:
        raise _nameless(place, values)
    return NameEntry(place, found["text"], found.get("number"), found.get("wnid"))


def _of_lines(content: str, path: Path) -> list[NameEntry]:
    # Only "\n" ends a line (with "\r" stripped): str.splitlines would also cut at form feeds.
    lines = [line.strip() for line in content.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return _keyed([NameEntry(f"{path}, line {number}", line) for number, line in enumerate(lines, 1)])


def _keyed(entries: list[NameEntry]) -> list[NameEntry]:
    """Numbers and wnids before or behind all of the names become keys; quotes and commas around them go."""
    if len(entries) > 1 and all(entry.text.endswith(",") for entry in entries[:-1]):
        entries = [replace(entry, text=entry.text.rstrip(", ")) for entry in entries]
    if all(re.match(r"[-*•]\s", entry.text) for entry in entries):
        entries = [replace(entry, text=entry.text[1:].strip()) for entry in entries]
    keyed = [any(_key(entry.text, kind) for kind in _KINDS) for entry in entries]
    if len(entries) == N_CLASSES + 1 and keyed == [False, *[True] * N_CLASSES]:
        entries = entries[1:]  # a header
    for _ in _KINDS:
        for kind in _KINDS:
            entries = _split(entries, kind)
    return [replace(entry, text=_unquoted(entry)) for entry in entries]


def _key(text: str, kind: str) -> tuple[str, str] | None:
    """The key of this kind before or behind a name, and the name; that is "" where there is none."""
    key = rf"[\"']?(?P<key>{_KINDS[kind]})[\"']?"
    before = rf"[\[(]?{key}(?:\s*[:,;|\t=)\]-]+\s*|\.?\s+)(?P<name>\S.*)"
    between = r"\s*[,;|\t\[(]+\s*" if kind == "number" else r"(?:\s*[,;:|\t\[(]+\s*|\s+)"
    for pattern in (before, rf"(?P<name>.*\S){between}{key}[\])]?", key):
        if found := re.fullmatch(pattern, text):
            return found["key"], found.groupdict().get("name", "")
    return None


def _split(entries: list[NameEntry], kind: str) -> list[NameEntry]:
    """Take keys of this kind off, if all have one.

    Raises:
        UsageError: most have one and some have not, or there is nothing else.
    """
    found = [_key(entry.text, kind) for entry in entries]
    keys = [each for each in found if each is not None]
    if any(getattr(entry, kind) is not None for entry in entries) or 2 * len(keys) <= len(entries):
        return entries
    if len(keys) < len(entries):
        without = entries[found.index(None)]
        raise UsageError(
            f"{without.place}: {without.text!r} has no {kind}, which {len(keys)} of {len(entries)} names have"
        )
    if not any(name for _, name in keys):
        raise _nameless(entries[0].place, entries[0].text)
    read: Callable[[str], Any] = int if kind == "number" else str
    return [
        replace(entry, text=name, **{kind: read(key)})
        for entry, (key, name) in zip(entries, keys, strict=True)
    ]


def _unquoted(entry: NameEntry) -> str:
    text = entry.text
    if found := re.fullmatch(r"([\"'])(.*)\1", text):
        try:
            return str(ast.literal_eval(text)).strip()
        except (ValueError, SyntaxError):
            return found[2].replace('""', '"').strip()
    if text.count('"') == 1:
        raise UsageError(f"{entry.place}: {text!r} has one quotation mark: expected none or two")
    return text


def _nameless(place: str, got: Any) -> UsageError:
    return UsageError(
        f"{place}: {got!r} is a number or a wnid and no name: a prompt needs the words, as 'n01440764 tench'"
    )
