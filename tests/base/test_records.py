"""JSON files as checked records."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.types import Record


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
