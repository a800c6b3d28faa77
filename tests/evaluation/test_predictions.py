"""The predictions file: round trip, hashes, and everything that an untrusted file may do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation import predictions as module
from imagenet_hard.evaluation.predictions import (
    check_predictions,
    predictions_from_bytes,
    predictions_sha256,
    predictions_to_bytes,
    read_predictions,
    write_predictions,
)
from tests.evaluation.scored import logits_to_predictions, make_scored


def same(a: Predictions, b: Predictions) -> bool:
    """Equal values and dtypes."""
    return a.ids == b.ids and all(
        np.array_equal(x, y) and x.dtype == y.dtype
        for x, y in ((a.top5, b.top5), (a.logprob5, b.logprob5), (a.margin, b.margin))
    )


def small(n: int = 3) -> Predictions:
    """``n`` lawful predictions."""
    return make_scored(n)[0].predictions


def table_of(p: Predictions) -> pa.Table:
    """The predictions as anybody's pyarrow would write them."""
    return pa.table(
        {
            "id": pa.array(p.ids, pa.string()),
            "top5": pa.array(p.top5.tolist(), pa.list_(pa.int16())),
            "logprob5": pa.array(p.logprob5.tolist(), pa.list_(pa.float32())),
            "margin": pa.array(p.margin, pa.float32()),
        }
    )


def test_round_trip(tmp_path: Path) -> None:
    """What is written is what is read, and the bytes are the same each time."""
    p = make_scored(500)[0].predictions
    write_predictions(tmp_path / "a.parquet", p)
    write_predictions(tmp_path / "b.parquet", p)
    assert same(read_predictions(tmp_path / "a.parquet"), p)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=20), st.integers(0, 9))
def test_any_ids_come_back(tmp_path_factory: pytest.TempPathFactory, ids: set[str], seed: int) -> None:
    """Any text is an id, sorted by code point, which is the order of its UTF-8."""
    names = tuple(sorted(each for each in ids))
    p = logits_to_predictions(names, np.random.default_rng(seed).normal(size=(len(names), 1000)))
    path = tmp_path_factory.mktemp("ids") / "p.parquet"
    write_predictions(path, p)
    assert same(read_predictions(path), p)


def test_the_file_is_what_the_design_says(tmp_path: Path) -> None:
    """Columns, types and order, as other programs see them."""
    write_predictions(tmp_path / "p.parquet", small())
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.schema.names == ["id", "top5", "logprob5", "margin"]
    assert [str(t).replace("element", "item") for t in table.schema.types] == [
        "string",
        "list<item: int16>",
        "list<item: float>",
        "float",
    ]


def test_hash_is_of_the_values_not_the_file(tmp_path: Path) -> None:
    """Another compression and other row groups give other bytes, the same predictions and the same hash."""
    p = small(40)
    pq.write_table(table_of(p), tmp_path / "p.parquet", compression="gzip", row_group_size=7)
    again = read_predictions(tmp_path / "p.parquet")
    assert same(again, p)
    assert predictions_sha256(again) == predictions_sha256(p)


def test_hash_golden() -> None:
    """The hash is the one that its docstring spells out; -0.0 is 0.0."""
    p = Predictions(
        ids=("é",),
        top5=np.array([[1, 2, 3, 4, 999]], np.int16),
        logprob5=np.array([[-0.0, -20, -20, -20, -30]], np.float32),
        margin=np.array([1.5], np.float32),
    )
    raw = b"imagenet-hard predictions 1\n" + (1).to_bytes(8, "little") + b"\x02\0\0\0\xc3\xa9"
    raw += b"\x01\0\x02\0\x03\0\x04\0\xe7\x03" + np.array([0, -20, -20, -20, -30], "<f4").tobytes()
    raw += np.array([1.5], "<f4").tobytes()
    assert predictions_sha256(p) == hashlib.sha256(raw).hexdigest()


def test_hash_tells_values_apart() -> None:
    """A change of any one value changes the hash."""
    p = small()
    top5, logprob5, margin = p.top5.copy(), p.logprob5.copy(), p.margin.copy()
    top5[2, 4] += 1
    logprob5[0, 1] -= 1e-6
    margin[1] = np.nextafter(margin[1], np.float32(9))
    changed = [
        p,
        replace(p, top5=top5),
        replace(p, logprob5=logprob5),
        replace(p, margin=margin),
        replace(p, ids=(*p.ids[:2], "z")),
    ]
    assert len({predictions_sha256(each) for each in changed}) == 5


def edit(name: str, row: Any, value: Any) -> Callable[[Predictions], Predictions]:
    """Predictions with ``array[row] = value``."""

    def apply(p: Predictions) -> Predictions:
        array = getattr(p, name).copy()
        array[row] = value
        return replace(p, **{name: array})

    return apply


BAD_VALUES = [
    (edit("top5", (1, 2), 1000), r"row 1 \(id 'image-1'\), column top5: .*expected classes 0\.\.999"),
    (edit("top5", (1, 2), -1), r"row 1 .*column top5: .*expected classes 0\.\.999"),
    (edit("top5", (2, slice(None)), 7), r"row 2 .*top5: \[7, 7, 7, 7, 7\]; expected five different classes"),
    (edit("logprob5", (0, 4), np.nan), r"row 0 .*logprob5: .*expected finite numbers"),
    (edit("logprob5", (0, 4), -np.inf), r"row 0 .*logprob5: .*expected finite numbers"),
    (edit("logprob5", (0, 0), 0.1), r"row 0 .*logprob5: .*expected log probabilities of at most 0"),
    (edit("logprob5", (0, 4), -0.01), r"row 0 .*logprob5: .*expected values that do not rise"),
    (edit("logprob5", 1, -0.5), r"row 1 .*logprob5: .*expected probabilities that sum to at most 1"),
    (edit("margin", 2, -0.1), r"row 2 .*margin: -0\.1.*expected a finite number of at least 0"),
    (edit("margin", 2, np.inf), r"row 2 .*margin: inf; expected a finite number of at least 0"),
    (edit("margin", 2, np.nan), r"row 2 .*margin: nan; expected a finite number"),
    (lambda p: replace(p, ids=("a", "a", "b")), "row 1, column id: 'a' appears twice|row 1.*appears twice"),
    (
        lambda p: replace(p, ids=("a", "c", "b")),
        "row 2, column id: 'b' comes after 'c'; expected unique ids, sorted",
    ),
    (lambda p: replace(p, ids=("", "a", "b")), "row 0, column id: ''; expected 1 to 1024 characters"),
    (
        lambda p: replace(p, ids=("a", "b", "c" * 1025)),
        "row 2, column id: 'ccc.*expected 1 to 1024 characters",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_VALUES)
def test_bad_values_are_neither_written_nor_read(
    tmp_path: Path, change: Callable[[Predictions], Predictions], message: str
) -> None:
    """Every rule holds for our own file before it is written and for anybody's when it is read."""
    bad = change(small())
    path = tmp_path / "p.parquet"
    with pytest.raises(ResultError, match=message):
        write_predictions(path, bad)
    assert not path.exists()
    pq.write_table(table_of(bad), path)
    with pytest.raises(ResultError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_rounding_is_forgiven() -> None:
    """float32 may carry a sure prediction a hair beyond probability 1."""
    p = replace(small(1), logprob5=np.array([[3e-6, -12, -12, -12, -13]], np.float32))
    check_predictions(p)


def test_what_is_no_predictions_at_all() -> None:
    """No rows, other shapes, other dtypes and undecodable ids are named."""
    p = small()
    empty = Predictions((), np.zeros((0, 5), np.int16), np.zeros((0, 5), np.float32), np.zeros(0, np.float32))
    for bad, message in (
        (empty, "no rows; expected at least one prediction"),
        (replace(p, top5=p.top5[:, :4]), r"top5 is int16 \(3, 4\): expected int16 \(3, 5\)"),
        (replace(p, margin=p.margin.astype(float)), r"margin is float64 \(3,\): expected float32 \(3,\)"),
        (replace(p, ids=p.ids[:2]), r"top5 is int16 \(3, 5\): expected int16 \(2, 5\)"),
        (replace(p, ids=("a", "b", "c\udcff")), r"row 2, column id: 'c\\udcff'"),
    ):
        with pytest.raises(ResultError, match=message):
            check_predictions(bad)


def column(table: pa.Table, name: str, values: Any, kind: pa.DataType) -> pa.Table:
    """``table`` with one column replaced."""
    return table.set_column(table.schema.names.index(name), name, pa.array(values, kind))


FIVE = [-1.0, -2.0, -3.0, -4.0, -5.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["margin"]), r"has the columns \['id', 'top5', 'logprob5'\]: expected"),
        (lambda t: t.drop_columns(["id"]), r"has no column id: expected the columns \['id', 'top5'"),
        (lambda t: t.append_column("x", t["id"]), r"has the columns .*'x'\]: expected"),
        (lambda t: t.select(["top5", "id", "logprob5", "margin"]), r"has the columns \['top5'.*: expected"),
        (lambda t: column(t, "id", [1, 2, 3], pa.int64()), "column id: type 'int64', expected string"),
        (
            lambda t: column(t, "id", [b"a", b"b", b"\xff"], pa.binary()),
            "column id: type .*binary.* expected string",
        ),
        (
            lambda t: column(t, "top5", [[1, 2, 3, 4, 5]] * 3, pa.list_(pa.int64())),
            "column top5: type 'list<.*int64>', expected list<int16>",
        ),
        (
            lambda t: column(t, "top5", [1, 2, 3], pa.int16()),
            "column top5: type 'int16', expected list<int16>",
        ),
        (
            lambda t: column(t, "logprob5", [FIVE] * 3, pa.list_(pa.float64())),
            "column logprob5: type .*double.*, expected list<float>",
        ),
        (
            lambda t: column(t, "margin", [[1.0]] * 3, pa.list_(pa.float32())),
            "column margin: type 'list<.*expected float",
        ),
        (lambda t: column(t, "margin", [1.0, 1.0, None], pa.float32()), "row 2, column margin: null"),
        (lambda t: column(t, "id", ["a", None, "c"], pa.string()), "row 1, column id: null"),
        (
            lambda t: column(t, "logprob5", [FIVE, [*FIVE[:4], None], FIVE], pa.list_(pa.float32())),
            "row 1, column logprob5: null; expected 5 values",
        ),
        (
            lambda t: column(t, "logprob5", [FIVE, FIVE[:4], [*FIVE, -6.0]], pa.list_(pa.float32())),
            "row 1, column logprob5: expected 5 values",
        ),
        (
            lambda t: column(t, "top5", [[1, 2, 3, 4]] * 3, pa.list_(pa.int16())),
            "row 0, column top5: expected 5 values",
        ),
        (
            lambda t: column(t, "top5", [None, *[[1, 2, 3, 4, 5]] * 2], pa.list_(pa.int16())),
            "row 0, column top5: null",
        ),
        (lambda t: t.slice(0, 0), "no rows"),
    ],
)
def test_other_tables_are_refused(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    """A file of another shape is refused with the column, and the row where there is one."""
    path = tmp_path / "p.parquet"
    pq.write_table(change(table_of(small())), path)
    with pytest.raises(ResultError, match=message):
        read_predictions(path)


def test_canonical_form_comes_back() -> None:
    """The hashed bytes hold everything, and nothing else is taken for them."""
    p = small(20)
    data = b"".join(predictions_to_bytes(p))
    assert same(predictions_from_bytes(data), p)
    for bad in (b"", data[:-1], data + b"x", b"X" + data[1:], data[:40]):
        with pytest.raises(ValueError, match="not the bytes|utf-8|buffer"):
            predictions_from_bytes(bad)


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_damaged_files_are_refused(tmp_path: Path, cut: int) -> None:
    """Empty, truncated and foreign files are not Parquet."""
    path = tmp_path / "p.parquet"
    write_predictions(path, small())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ResultError, match="is not a readable Parquet file"):
        read_predictions(path)


def test_flipped_bytes_never_crash(tmp_path: Path) -> None:
    """Whatever byte is flipped, the file reads to lawful predictions or to a ResultError."""
    path = tmp_path / "p.parquet"
    write_predictions(path, small(6))
    good = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= int(rng.integers(1, 256))
        path.write_bytes(bad)
        try:
            check_predictions(read_predictions(path))
        except ResultError:
            continue


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("MAX_ROWS", "has 40 rows: at most 3 are read"),
        ("MAX_ROW_GROUPS", "has 6 row groups: at most 3"),
        ("MAX_UNCOMPRESSED_BYTES", r"has \d+ uncompressed bytes: at most 3"),
        ("MAX_FILE_BYTES", "has more than 3 bytes"),
    ],
)
def test_large_files_are_refused_from_the_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    """The bounds hold before a row is read."""
    path = tmp_path / "p.parquet"
    pq.write_table(table_of(small(40)), path, row_group_size=7)
    monkeypatch.setattr(module, limit, 3)
    with pytest.raises(ResultError, match=message):
        read_predictions(path)


def test_a_repeated_long_id_does_not_unfold(tmp_path: Path) -> None:
    """One id of 1 MB in 2000 rows is a small file and 2 GB of text: refused without unfolding."""
    n = 2000
    p = small(1)
    bomb = Predictions(
        ids=("x" * 2**20,) * n,
        top5=np.repeat(p.top5, n, axis=0),
        logprob5=np.repeat(p.logprob5, n, axis=0),
        margin=np.repeat(p.margin, n),
    )
    table = table_of(replace(bomb, ids=("x",) * n))
    indices = pa.array(np.zeros(n, np.int32))
    table = table.set_column(0, "id", pa.DictionaryArray.from_arrays(indices, pa.array([bomb.ids[0]])))
    path = tmp_path / "p.parquet"
    pq.write_table(table, path, store_schema=False, dictionary_pagesize_limit=2**23)
    assert path.stat().st_size < 2**20
    before = pa.total_allocated_bytes()
    with pytest.raises(ResultError, match="row 1, column id: appears twice"):
        read_predictions(path)
    assert pa.total_allocated_bytes() - before < 2**26
