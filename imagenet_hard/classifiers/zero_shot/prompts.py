"""The words of a zero-shot head: templates and class names, and the hashes that a result records.

Class names and templates have versions, and other words give other accuracies; so both are data
with a sha256. Names in a file replace open_clip's, templates in a file replace OpenAI's 80; which forms
such a file of names may have says ``name_files``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers.zero_shot.name_files import class_names
from imagenet_hard.imagenet.classes import distinct_names, names

BUILTIN = ("openai-80", "openai-7", "single")
"""Names of the template sets that the package holds."""

ALIASES = {"simple": "openai-7"}
"""open_clip's ``SIMPLE_IMAGENET_TEMPLATES``. (Results of release 0.1 call the one template "simple".)"""

BUILTIN_NAMES: Mapping[str, Callable[[], tuple[str, ...]]] = {"open_clip": names, "distinct": distinct_names}
"""Names of the lists of class names that the package holds."""

MOST_BYTES = 16 << 20
"""Of a file of texts; all of WordNet's nouns with their words have 3 MB."""


@dataclass(frozen=True)
class TextSet:
    """An ordered set of texts: templates with one ``{}`` each, or one name for each class.

    ``name`` is what a result calls it: a built-in name, or a file's without its folder.
    """

    name: str
    texts: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of the texts in their order, whatever the set is called."""
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.texts)


def fill(template: str, name: str) -> str:
    """The sentence about ``name``.

    >>> fill("a photo of a {}.", "tench")
    'a photo of a tench.'
    """
    return template.replace("{}", name)


def load_templates(source: str | Path = "openai-80") -> TextSet:
    """Templates by name, or from a file.

    Names: ``openai-80``, the ensemble of the paper (open_clip's ``OPENAI_IMAGENET_TEMPLATES``);
    ``openai-7`` or ``simple``, open_clip's ``SIMPLE_IMAGENET_TEMPLATES``; ``single``, the one sentence
    "a photo of a {}.". A file holds a JSON list or one template a line; the class name goes where
    ``{}`` or ``{c}`` stands.

    Raises:
        UsageError: no such name or file, or a template without exactly one placeholder.
    """
    name = ALIASES.get(str(source), str(source))
    if name in BUILTIN:
        content = (files("imagenet_hard.classifiers") / "data" / "templates" / f"{name}.json").read_text(
            encoding="utf-8"
        )
        return TextSet(name, tuple(json.loads(content)))
    path = Path(source)
    if not path.exists() and not _looks_like_a_path(name):
        near = get_close_matches(name, [*BUILTIN, *ALIASES], n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"unknown templates {name!r}{hint}: expected {', '.join([*BUILTIN, *ALIASES])} or a file"
        )
    entries = _read_strings(path, "templates")
    return TextSet(path.name, tuple(_checked_template(text, place) for place, text in entries))


def load_classnames(source: str | Path | None = None) -> TextSet:
    """The 1000 class names, by name or from a file.

    Names: ``open_clip``, its ``IMAGENET_CLASSNAMES``, 998 different ones; ``distinct``, the same with
    WordNet's own words for the two classes that share another's name. A file: see ``name_files``.

    Raises:
        UsageError: a file that is missing, unreadable, or does not hold exactly 1000 names in class order.
    """
    if source is None or str(source) in BUILTIN_NAMES:
        name = str(source or "open_clip")
        return TextSet(name, BUILTIN_NAMES[name]())
    path = Path(source)
    if not path.exists() and not _looks_like_a_path(str(source)):
        near = get_close_matches(str(source), BUILTIN_NAMES, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"unknown class names {str(source)!r}{hint}: expected {', '.join(BUILTIN_NAMES)} or a file"
        )
    return TextSet(path.name, class_names(_read_text(path, "class names"), path))


def _looks_like_a_path(source: str) -> bool:
    return "/" in source or "\\" in source or source.endswith((".json", ".txt"))


def _read_strings(path: Path, what: str) -> list[tuple[str, str]]:
    """(place, text) for each entry; the place names file and line, for messages."""
    content = _read_text(path, what)
    entries = _json_entries(content, path) if path.suffix.lower() == ".json" else _line_entries(content, path)
    if not entries:
        raise UsageError(f"{path}: no {what} in this file")
    for place, text in entries:
        if not text:
            raise UsageError(f"{place}: empty; every one of the {what} needs a text")
    return entries


def _read_text(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is too large to hold {what}: {path.stat().st_size >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {what} from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {what} must be UTF-8 text: {error}") from error


def _line_entries(content: str, path: Path) -> list[tuple[str, str]]:
    # Only "\n" ends a line (with "\r" stripped): str.splitlines would also cut at form feeds.
    lines = [line.strip() for line in content.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return [(f"{path}, line {number}", line) for number, line in enumerate(lines, 1)]


def _json_entries(content: str, path: Path) -> list[tuple[str, str]]:
    try:
        data = json.loads(content)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(data, list):
        raise UsageError(f"{path}: got a JSON {type(data).__name__}, expected a list of strings")
    for number, item in enumerate(data, 1):
        if not isinstance(item, str):
            raise UsageError(f"{path}, item {number}: got {item!r}, expected a string")
    return [(f"{path}, item {number}", item.strip()) for number, item in enumerate(data, 1)]


def _checked_template(text: str, place: str) -> str:
    braces = re.findall(r"\{[^{}]*\}|[{}]", text)
    if len(braces) != 1 or braces[0] not in ("{}", "{c}"):
        got = f"{', '.join(braces)}" if braces else "no placeholder"
        raise UsageError(
            f"{place}: {text!r} has {got}; expected exactly one {{}} (or {{c}}) for the class name"
        )
    return text.replace("{c}", "{}")
