"""Class names as files have them: the forms of a list, and the number or wnid that a name may have."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES

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
                "or behind the name, as 'n01440764 tench'"
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
