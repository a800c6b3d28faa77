"""JSON files as checked records."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from pydantic import ValidationError

import imagenet_hard
from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import SCHEMA_VERSION, Record


class Point(Record):
    """A small record."""

    x: int
    inner: dict[str, float] | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: EOF while parsing"),
        ("{", "not JSON: EOF while parsing"),
        ("[]", r"Input should be an object \(got \[\]\)"),
        ('{"x": 1, "y": 2}', r"y: unknown key \(got 2\)"),
        ("{}", "x: this key is missing"),
        ('{"x": "one"}', r"x: Input should be a valid integer \(got 'one'\)"),
        ('{"x": 1, "inner": {"deep": []}}', r"inner\.deep: Input should be a valid number"),
        ('{"x": 1, "x": 2}', "the key 'x' stands twice"),
        ('{"x": 1, "inner": {"a": NaN}}', "inner.a: Input should be a finite number"),
        ('{"x": 1, "inner": ' + "[" * 100_000, "recursion limit exceeded"),
        ('{"x": 1, "inner": ' + '{"a":' * 100_000, "recursion limit exceeded"),
    ],
)
def test_bad_json_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the first wrong key and what stands there, on one line."""
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=message) as caught:
        read_record(path, Point)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_latin_1_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are an error of the file, not a crash."""
    path = tmp_path / "point.json"
    path.write_bytes(b'{"x": "\xe9"}')
    with pytest.raises(ResultError, match="not JSON: invalid unicode"):
        read_record(path, Point)


def test_no_record_of_another_version_is_read():
    """Whichever record says its version: a later one may mean other things by the same fields."""
    package, found = Path(imagenet_hard.__file__).parent, []
    for file in sorted(package.rglob("*.py")):
        if "    schema_version: " in file.read_text():
            name = ".".join(file.relative_to(package.parent).with_suffix("").parts)
            mine = [each for each in vars(import_module(name)).values() if isinstance(each, type)]
            found += [each for each in mine if each.__module__ == name and issubclass(each, Record)]
    versioned = [each for each in found if "schema_version" in each.model_fields]
    assert len(versioned) == 14
    for each in versioned:
        with pytest.raises(ValidationError) as refused:
            each.model_validate({"schema_version": SCHEMA_VERSION + 1})
        assert ("schema_version",) in [error["loc"] for error in refused.value.errors()], each
