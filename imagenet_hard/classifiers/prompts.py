"""The words of a zero-shot head: templates and class names, and the hashes that a result records.

Class names and templates have versions, and other words give other accuracies; so both are data
with a sha256. Names in a file replace open_clip's, templates in a file replace OpenAI's 80.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from imagenet_hard.classes import names
from imagenet_hard.errors import UsageError
from imagenet_hard.types import N_CLASSES

BUILTIN = ("openai-80", "openai-7", "simple")
"""Names of the template sets that the package holds."""


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
    ``openai-7``, open_clip's ``SIMPLE_IMAGENET_TEMPLATES``; ``simple`` or ``single``, the one
    sentence "a photo of a {}.". A file holds a JSON list or one template a line; the class name
    goes where ``{}`` or ``{c}`` stands.

    Raises:
        UsageError: no such name or file, or a template without exactly one placeholder.
    """
    name = {"single": "simple"}.get(str(source), str(source))
    if name in BUILTIN:
        content = (files("imagenet_hard") / "data" / "templates" / f"{name}.json").read_text(encoding="utf-8")
        return TextSet(name, tuple(json.loads(content)))
    path = Path(source)
    if not path.exists() and not _looks_like_a_path(name):
        near = get_close_matches(name, BUILTIN, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"unknown templates {name!r}{hint}: expected {', '.join(BUILTIN)} or a file")
    entries = _read_strings(path, "templates")
    return TextSet(path.name, tuple(_checked_template(text, place) for place, text in entries))


def load_classnames(source: str | Path | None = None) -> TextSet:
    """The 1000 class names: open_clip's ``IMAGENET_CLASSNAMES`` (998 different), or those of a file.

    A file holds a JSON list or one name a line, line 1 being class 0.

    Raises:
        UsageError: a file that is missing, unreadable, or does not hold exactly 1000 names.
    """
    if source is None or str(source) == "open_clip":
        return TextSet("open_clip", names())
    path = Path(source)
    texts = tuple(text for _, text in _read_strings(path, "class names"))
    if len(texts) != N_CLASSES:
        raise UsageError(
            f"{path}: got {len(texts)} class names, expected {N_CLASSES}, one for each class in class order"
        )
    return TextSet(path.name, texts)


def _looks_like_a_path(source: str) -> bool:
    return "/" in source or "\\" in source or source.endswith((".json", ".txt"))


def _read_strings(path: Path, what: str) -> list[tuple[str, str]]:
    """(place, text) for each entry; the place names file and line, for messages."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {what} from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {what} must be UTF-8 text: {error}") from error
    entries = _json_entries(content, path) if path.suffix.lower() == ".json" else _line_entries(content, path)
    if not entries:
        raise UsageError(f"{path}: no {what} in this file")
    for place, text in entries:
        if not text:
            raise UsageError(f"{place}: empty; every one of the {what} needs a text")
    return entries


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
