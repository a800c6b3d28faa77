"""What is wrong with a record, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError


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


def reason(error: BaseException) -> str:
    """An error of another library in a word or a line."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


SHOWN = 10


def some(items: Sequence[str]) -> str:
    """The first ten, and how many more there are."""
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if items[SHOWN:] else "")


def shorten(value: Any, width: int = 80) -> str:
    """``repr`` of a value, cut for a message."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."
