"""JSON that programs write and YAML that people write, as checked records; errors name file and place."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import ValidationError
from typing_extensions import is_typeddict

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded
from imagenet_hard.base.runtime import content_dir
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Record

MAX_BYTES = 2**20
MAX_DEPTH = 20

R = TypeVar("R", bound=Record)


def read_record(path: Path, record: type[R]) -> R:
    """A JSON file as a validated record: at most 64 MiB, no repeated keys, no NaN.

    Raises:
        ResultError: naming the file, the place of the first wrong key, what stands there and why.
    """
    data = read_bounded(path, MAX_JSON_BYTES)
    try:
        # First: pydantic's parser bounds the nesting, so the second look below cannot run away.
        # Strict: a number is a number, not a string that looks like one.
        value = record.model_validate_json(data, strict=True)
        json.loads(data, object_pairs_hook=no_repeats, parse_constant=_no_constant)
    except ValidationError as error:
        raise ResultError(f"{path}: {first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: {error}") from None
    return value


def record_names(folder: str) -> list[str]:
    """The files of a content folder, such as ``evaluate/suites``, by name."""
    return sorted(path.stem for path in content_dir(folder).glob("*.yaml"))


def load_record(kind: type[R], name_or_path: str | Path, folder: str) -> R:
    """A record by its name in a content folder, or from a ``.yaml`` or ``.yml`` file.

    Raises:
        UsageError: no such name or file, or the file's first wrong line with what is wrong in it.
    """
    path = record_path(kind, name_or_path, folder)
    return parse_record(kind, read_bounded(path, MAX_BYTES, error=UsageError), str(path))


def record_path(kind: type[Record], name_or_path: str | Path, folder: str) -> Path:
    """The file of a name or path; a path has a YAML suffix or a separator in it.

    Raises:
        UsageError: there is no such name; the message lists the names and the nearest.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.name != str(name_or_path):
        return path
    names = record_names(folder)
    if path.name not in names:
        near = get_close_matches(path.name, names, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no {_what(kind)} {path.name!r}: {hint}there are {', '.join(names)}, "
            "or give the path of a .yaml file"
        )
    return content_dir(folder) / f"{path.name}.yaml"


def parse_record(kind: type[R], data: bytes, where: str) -> R:
    """YAML text as a record; ``where`` stands in front of every message.

    Raises:
        UsageError: ``where:LINE: place: what is wrong``.
    """
    try:
        node = _compose(data)
        value = yaml.constructor.SafeConstructor().construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise UsageError(f"{place}: {error.problem or error.context or 'not YAML'}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        required = [name for name, field in kind.model_fields.items() if field.is_required()]
        raise UsageError(f"{where}: expected the keys {', '.join(required)}")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        # A misspelt key is missed under its right name too: the misspelling is what has to be told.
        worst = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
        line, loc, at = _locate(node, worst["loc"])
        hint = _hint(kind, worst["type"], loc, at)
        raise UsageError(f"{where}:{line}: {problem(worst, loc, hint)}") from None


def line_of(data: bytes, *loc: str | int) -> int:
    """The line (from 1) of a place such as ``("sources", 2, "path")`` in YAML text that parses."""
    return _locate(_compose(data), loc)[0]


def first_problem(error: ValidationError, loc: Sequence[int | str] | None = None) -> str:
    """The first error of a validation as one line: place (``loc``, if given), message, what stood there."""
    first = error.errors(include_url=False, include_context=False)[0]
    return problem(first, first["loc"] if loc is None else loc)


def problem(first: Mapping[str, Any], loc: Sequence[int | str], hint: str = "") -> str:
    """One of a validation's errors as a line; ``hint`` says more than pydantic can."""
    where, message = place(loc), hint or first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "this key is missing"
    elif first["type"] == "extra_forbidden":
        message = "unknown key" + (f": {hint}" if hint else "")
    elif first["type"] == "json_invalid":
        return f"not JSON: {message.removeprefix('Invalid JSON: ')}"
    got = "" if first["type"] in ("missing", "value_error") else f" (got {shorten(first['input'])})"
    return f"{where}: {message}{got}" if where else f"{message}{got}"


def place(loc: Sequence[int | str]) -> str:
    """A path of keys as one writes it: ``metrics.top1.low``, ``models[3].name``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in loc).removeprefix(".")


def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object for ``json.loads``, which by itself keeps the last of two values of one key.

    Raises:
        ValueError: a key stands twice.
    """
    keys = dict(pairs)
    if len(keys) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in keys if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return keys


def reason_of(error: BaseException) -> str:
    """Why a line is no JSON, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return str(error) if isinstance(error, ValueError) else type(error).__name__


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _what(kind: type[Record]) -> str:
    return kind.__name__.lower()


class _Loader(yaml.SafeLoader):
    """YAML without what a list of models never needs: aliases (they can unfold without end),
    repeated keys (the last would win in silence), deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # PyYAML's stubs leave it out
        is_alias: bool = isinstance(event, yaml.AliasEvent)
        if is_alias:
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            problem = (
                "a key must be a word"
                if not isinstance(key, yaml.ScalarNode)
                else f"the key {key.value!r} stands twice"
                if key.value in seen
                else None
            )
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def _compose(data: bytes) -> yaml.Node | None:
    loader = _Loader(data)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _locate(node: yaml.Node | None, loc: Sequence[int | str]) -> tuple[int, list[int | str], yaml.Node]:
    """Line of the deepest part of ``loc`` in the file, ``loc`` without pydantic's union tags, its node."""
    assert node is not None
    line, known = node.start_mark.line, list[int | str]()
    for depth, key in enumerate(loc, start=1):
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            known.append(key)
            node = node.value[key]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == key]
            if found:
                line, node = found[0][0].start_mark.line, found[0][1]
            if found or depth == len(loc):  # the last one may be a key that is missing
                known.append(key)
    return line + 1, known, node


_READ_AS = {"float": "a number", "int": "a number", "bool": "yes or no", "timestamp": "a date"}
"""What YAML takes a word without quotes for."""


def _hint(kind: type[Record], error: str, loc: Sequence[int | str], node: yaml.Node) -> str:
    """What helps more than pydantic's words for a type of ``error``: a key that may be meant, or quotes."""
    known: Mapping[str, Any] = kind.model_fields
    field: Any = None
    for key in loc:
        if isinstance(key, str):
            known = _keys(field) if field is not None else known
            field = known.get(key)
    if error == "extra_forbidden":
        if near := get_close_matches(str(loc[-1]), known, 1):
            return f"did you mean {near[0]}?"
        below = ((key, get_close_matches(str(loc[-1]), _keys(field), 1)) for key, field in known.items())
        if inside := next(((key, found[0]) for key, found in below if found), None):
            return f"did you mean {inside[1]} in {inside[0]}?"
        return f"expected some of {', '.join(known)}"
    described = getattr(field, "description", None)
    expected = f"expected {described}" if described else ""
    read_as = _READ_AS.get(node.tag.rpartition(":")[2])
    if error == "string_type" and isinstance(node, yaml.ScalarNode) and read_as:
        patterns = [each.pattern for each in getattr(field, "metadata", ()) if hasattr(each, "pattern")]
        enough = all(re.search(pattern, node.value) for pattern in patterns)
        what = f"write '{node.value}', in quotes" if enough else expected
        return f"YAML reads {node.value} as {read_as}: {what}"
    return expected if error == "string_pattern_mismatch" else ""


def _keys(field: Any) -> Mapping[str, Any]:
    """The keys of a record, or of a typed dictionary, somewhere in the type of a field."""
    annotation = getattr(field, "annotation", field)
    if hasattr(annotation, "model_fields") or is_typeddict(annotation):
        return getattr(annotation, "model_fields", None) or get_type_hints(annotation)
    return next((keys for inner in get_args(annotation) if (keys := _keys(inner))), {})
