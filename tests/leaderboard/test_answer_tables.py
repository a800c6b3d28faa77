"""Published class indices as Parquet, CSV and NPZ: the same table, or an error that names the place."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.leaderboard import answer_tables
from imagenet_hard.leaderboard.answer_tables import read_answer_table, renamed

IDS = ["x.jpg", "a,b.jpg"]
FIVE = [[1, 2, 3, 4, 5], [9, 8, 7, 6, 999]]


def test_three_formats_hold_one_table(tmp_path: Path) -> None:
    """Five classes of one model, the first of another, whatever the integers' width and the kind of list."""
    nested = pa.FixedSizeListArray.from_arrays(pa.array([*FIVE[0], *FIVE[1]], pa.uint16()), 5)
    pq.write_table(
        pa.table({"m": nested, "id": IDS, "one": pa.array([7, 8], pa.int8())}), tmp_path / "t.parquet"
    )
    (tmp_path / "t.csv").write_text('id,m,one\nx.jpg,1 2 3 4 5,7\n"a,b.jpg",9 8 7 6 999,8\n')
    np.savez_compressed(tmp_path / "t.npz", id=np.array(IDS), m=np.array(FIVE), one=np.array([[7], [8]]))
    for name in ("t.parquet", "t.csv", "t.npz"):
        table = read_answer_table(tmp_path / name)
        assert table.ids == tuple(IDS), name
        assert table.models["m"].tolist() == FIVE, name
        assert table.models["one"].tolist() == [[7], [8]], name
    assert list(renamed(read_answer_table(write(tmp_path, "id,m\na,1\n")), "n").models) == ["n"]
    with pytest.raises(UsageError, match="holds 2 models"):
        renamed(table, "n")


def write(folder: Path, content: Any) -> Path:
    """CSV from text, Parquet from columns with "id" first, NPZ from a dict in a tuple."""
    if isinstance(content, str):
        (folder / "t.csv").write_text(content)
        return folder / "t.csv"
    if isinstance(content, dict):
        pq.write_table(pa.table(content), folder / "t.parquet")
        return folder / "t.parquet"
    np.savez(folder / "t.npz", **content[0])
    return folder / "t.npz"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no column id"),
        ("id\na\n", "has 0 models"),
        ("id,m\n", "has no rows"),
        ({"id": pa.array([], pa.string()), "m": pa.array([], pa.string())}, "has no rows"),
        ("m\n1\n", "has no column id"),
        ("id,m,m\na,1,1\n", "has the column 'm' twice"),
        ("id,m\na,1\nb\n", "t.csv:3: got 1 cell, expected 2"),
        ("id,m\na,1000\n", "column 'm': row 0 has '1000'"),
        ("id,m\na,1 2\n", "row 0 has '1 2'"),
        ("id,m\na,1.0\n", "row 0 has '1.0'"),
        ("id,m\na,\n", "row 0 has ''"),
        ("id,m\na,1\nb,1 2 3 4 5\n", "row 1 has '1 2 3 4 5', and row 0 has '1'"),
        ({"id": ["a", None], "m": [1, 2]}, "column 'id': row 1 is empty"),
        ({"id": ["a", "b"], "m": [1, None]}, "column 'm': row 1 is empty"),
        ({"id": ["a", "b"], "m": [FIVE[0], [1, 2, 3, 4, None]]}, "row 1 is empty"),
        ({"id": ["a", "b"], "m": [FIVE[0], [1]]}, "row 1 has 1 classes, and row 0 has 5"),
        ({"id": ["a"], "m": [[1, 2, 3, 4, 5, 6]]}, "expected integers (1,) or (1, 5)"),
        ({"id": ["a"], "m": [1.5]}, "float64"),
        ({"id": ["a"], "m": [True]}, "bool"),
        ({"id": ["a"], "m": ["1"]}, "expected integers"),
        ({"id": [1.5], "m": [1]}, "expected a text or a number a row"),
        (({"id": np.array(["a"]), "m": np.array([1, 2])},), "int64 (2,): expected integers (1,) or (1, 5)"),
        (({"id": np.array(["a"]), "m": np.array([None])},), "holds Python objects"),
        (({"id": np.array([b"a"]), "m": np.array([1])},), "column id: |S1"),
        (({"id": np.array("a"), "m": np.array([1])},), "expected a text or a number a row"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: Any, message: str) -> None:
    """Each says the file, the column and the row."""
    with pytest.raises(ResultError) as error:
        read_answer_table(write(tmp_path, content))
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("unpickled",)


def npy(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    """An array file that announces a shape."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<i8", "fortran_order": False, "shape": shape})
    return out.getvalue() + data


def test_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickles, headers that announce a terabyte, bombs, names twice, and files that are none."""
    path = tmp_path / "t.npz"
    for members in (
        [("id.npy", npy((10**12,)))],
        [("id.npy", npy((1,), bytes(8))), ("id", npy((1,), bytes(8)))],
        [("id.npy", pickle.dumps(Bomb()))],
        [("../id", b"x")],
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members:
                archive.writestr(name, data)
        with pytest.raises(ResultError):
            read_answer_table(path)
    for name in ("t.npz", "t.parquet", "t.csv", "t.pkl", "t"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()) + b"\xff")
        with pytest.raises(ResultError, match=name):
            read_answer_table(tmp_path / name)
    with pytest.raises(ResultError, match="not there"):
        read_answer_table(tmp_path / "none.csv")
    monkeypatch.setattr(answer_tables, "MAX_UNCOMPRESSED_BYTES", 100)
    np.savez_compressed(path, id=np.zeros(1000, int))
    with pytest.raises(ResultError, match=r"unpacked bytes: at most 100 are read"):
        read_answer_table(path)
