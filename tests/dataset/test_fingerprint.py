"""Laws of the fingerprint, and one computed by another program."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.fingerprint import fingerprint

Row = tuple[str, tuple[int, ...], str]
row = st.tuples(
    st.text(max_size=8),
    st.lists(st.integers(0, 999), min_size=1, max_size=4, unique=True).map(tuple),
    st.binary(max_size=4).map(lambda data: hashlib.sha256(data).hexdigest()),
)
some_rows = st.lists(row, min_size=1, max_size=8, unique_by=lambda r: r[0])


def test_a_golden_fingerprint() -> None:
    """Equal to ``sha256sum`` over the lines, written out by hand."""
    lines = '["0",[1,2],"aa"]\n["10",[0],"bb"]\n["9",[5],"cc"]\n["\\u00e9",[3],"dd"]\n'
    rows: list[Row] = [("é", (3,), "dd"), ("9", (5,), "cc"), ("10", (0,), "bb"), ("0", (2, 1), "aa")]
    assert fingerprint(rows) == hashlib.sha256(lines.encode("ascii")).hexdigest()


@settings(deadline=None)
@given(some_rows, st.randoms())
def test_the_order_does_not_matter(rows: list[Row], random: object) -> None:
    """Neither of the rows nor of the labels in a row."""
    shuffled = [(id, tuple(reversed(labels)), sha) for id, labels, sha in rows]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fingerprint(shuffled) == fingerprint(rows)


@settings(deadline=None)
@given(some_rows, st.data())
def test_any_change_shows(rows: list[Row], data: st.DataObject) -> None:
    """Another id, label set, image or number of rows is another fingerprint."""
    i = data.draw(st.integers(0, len(rows) - 1))
    id, labels, sha = rows[i]
    before, rest = fingerprint(rows), rows[:i] + rows[i + 1 :]
    others = [
        (id + "\0\0\0\0\0\0\0\0\0", labels, sha),
        (id, tuple({*labels, (labels[0] + 1) % 1000} - ({labels[0]} if len(labels) > 1 else set())), sha),
        (id, labels, hashlib.sha256(sha.encode()).hexdigest()),
    ]
    for other in others:
        if set(other[1]) != set(labels) or other != (id, labels, sha):
            assert fingerprint([*rest, other]) != before
    assert fingerprint([*rows, (id + "\0" * 9, labels, sha)]) != before


@settings(deadline=None)
@given(st.text(), st.text())
def test_an_id_cannot_imitate_a_line(a: str, b: str) -> None:
    """Quotes, commas and line ends inside an id stay inside it."""
    if a != b:
        line = json.dumps([a, [0], "aa"]) + "\n" + b
        assert fingerprint([(line, [0], "aa")]) != fingerprint([(a, [0], "aa"), (b, [0], "aa")])


def test_a_repeated_id_is_refused() -> None:
    """Two images under one id would make results ambiguous."""
    with pytest.raises(DatasetError, match="id 'a' occurs twice"):
        fingerprint([("a", [1], "00"), ("b", [1], "00"), ("a", [2], "11")])


def test_nothing_has_no_fingerprint() -> None:
    """An empty data set is an error, not a hash of nothing."""
    with pytest.raises(DatasetError, match="got no rows, expected at least one"):
        fingerprint([])
