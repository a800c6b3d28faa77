"""Class indices of many models as others publish them: a table with ids and a column a model.

Parquet, CSV or NPZ. A column holds one class an image, or five, best first. Nothing is guessed: what is no
such table is refused with the column and the row. Sizes are bounded before anything is unpacked; no pickle is
read.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.text import shorten
from imagenet_hard.evaluation.predictions import MAX_FILE_BYTES, MAX_ROWS, MAX_UNCOMPRESSED_BYTES
from imagenet_hard.leaderboard.answers import MAX_CSV_BYTES

MAX_MODELS = 5000
ID = "id"
FORMATS = (
    "a .parquet, .csv or .npz file with a column (array) 'id' and one a model, which hold a class index for "
    "each image, or five, best first; in CSV with blanks between: 281 282 285 287 283"
)

_CELL = re.compile(r"[0-9]{1,3}( [0-9]{1,3}){4}|[0-9]{1,3}")


@dataclass(frozen=True)
class AnswerTable:
    """``ids``: of n images; ``models``: name -> integers (n, 5) or (n, 1), class indices, best first."""

    ids: tuple[str, ...]
    models: Mapping[str, NDArray[np.integer]]


def read_answer_table(path: Path) -> AnswerTable:
    """The table in a file; whether ids repeat and classes are within 0..999 is ``Answers``' to check.

    Raises:
        ResultError: missing, too large, of another form; the message names column and row.
    """
    columns = read_columns(path)
    if ID not in columns:
        raise ResultError(f"{path} has no column {ID}, but {shorten(list(columns))}: expected {FORMATS}")
    ids = columns.pop(ID)
    if not columns or len(columns) > MAX_MODELS:
        raise ResultError(f"{path} has {len(columns)} models: expected 1 to {MAX_MODELS}")
    if ids.ndim != 1 or ids.dtype.kind not in "UiuO":
        raise ResultError(f"{path}, column {ID}: {ids.dtype} {ids.shape}: expected a text or a number a row")
    if not len(ids):
        raise ResultError(f"{path} has no rows: expected one for each image")
    models = {
        name: _classes(values, len(ids), f"{path}, model {shorten(name)}") for name, values in columns.items()
    }
    return AnswerTable(tuple(map(str, ids.tolist())), models)


def renamed(table: AnswerTable, name: str) -> AnswerTable:
    """The table of one model under another name.

    Raises:
        UsageError: it holds several.
    """
    if len(table.models) != 1:
        raise UsageError(f"the file holds {len(table.models)} models: a name is for a file with one")
    return replace(table, models={name: next(iter(table.models.values()))})


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a file as they stand there: (n,), or (n, k) where a cell is a list.

    Raises:
        ResultError: missing, too large, damaged, or of another form.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ResultError(f"{path} has the ending {path.suffix!r}: expected {FORMATS}")
    return read(path)


def _classes(values: NDArray[Any], n: int, where: str) -> NDArray[np.integer]:
    if values.dtype == object and isinstance(values[0], list):
        row = next(i for i, value in enumerate(values) if len(value) != len(values[0]))
        raise ResultError(
            f"{where}: row {row} has {len(values[row])} classes, and row 0 has {len(values[0])}: expected as "
            "many everywhere"
        )
    if values.dtype.kind not in "iu" or values.shape not in ((n,), (n, 1), (n, 5)):
        raise ResultError(
            f"{where}: {values.dtype} {values.shape}: expected integers ({n},) or ({n}, 5). Of more than "
            "five classes give the first five, of fewer the first one"
        )
    return values.reshape(n, -1)


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        meta, names = file.metadata, file.schema_arrow.names
        unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        _check_bounds(path, names, meta.num_rows, unpacked)
        table = file.read(use_threads=False)
        table.validate(full=True)
        return {name: _column(table[name], f"{path}, column {shorten(name)}") for name in names}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ResultError(f"{path} is not a readable Parquet file: {shorten(str(error), 200)}") from None


def _column(column: Any, where: str) -> NDArray[Any]:
    """A column as (n,), a list column as (n, k), without nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def refuse_nulls(values: Any, a_row: int) -> None:
        if values.null_count:
            row = pc.index(values.is_null(), True).as_py() // a_row
            raise ResultError(f"{where}: row {row} is empty: expected a value")

    refuse_nulls(column, 1)
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        values: NDArray[Any] = column.to_numpy()
        return values
    lengths = pc.list_value_length(column).to_numpy()
    if (lengths != lengths[:1]).any():
        return _ragged(column.to_pylist())
    flat = pc.list_flatten(column)
    refuse_nulls(flat, max(lengths[0], 1) if len(lengths) else 1)
    nested: NDArray[Any] = flat.to_numpy().reshape(len(lengths), -1 if len(flat) else 0)
    return nested


def _ragged(rows: Sequence[Any]) -> NDArray[Any]:
    """Rows of different lengths as object (n,)."""
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    names, rows = read_csv(path, limit=MAX_CSV_BYTES)  # many small objects: bounded as an entry's
    _check_bounds(path, names, len(rows), 0)
    columns = list(zip(*(row.cells for row in rows), strict=True)) if rows else [()] * len(names)
    return {
        name: np.array(cells, dtype=object)
        if name == ID
        else _cells(cells, f"{path}, column {shorten(name)}")
        for name, cells in zip(names, columns, strict=True)
    }


def _cells(cells: Sequence[str], where: str) -> NDArray[np.int16]:
    for row, cell in enumerate(cells):
        if not _CELL.fullmatch(cell):
            raise ResultError(
                f"{where}: row {row} has {shorten(cell)}: expected a class in 0..999, or five with "
                "blanks between"
            )
        if (" " in cell) != (" " in cells[0]):
            raise ResultError(
                f"{where}: row {row} has {cell!r}, and row 0 has {cells[0]!r}: expected the same"
            )
    return np.array([[int(word) for word in cell.split(" ")] for cell in cells], np.int16)


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            _check_bounds(path, names, 0, sum(member.file_size for member in members))
            return {name: _array(archive, member) for name, member in zip(names, members, strict=True)}
    except (
        *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError, MemoryError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ResultError(f"{path} is not a readable NPZ file: {shorten(str(error), 200)}") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An array whose header says what is there: numpy makes room for what the header says."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in header:
            raise ValueError(f"{member.filename} has the format {version}")
        shape, _, dtype = header[version](file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects, which are not read")
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} does not hold the {dtype} {shape} that it announces")
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _check_bounds(path: Path, names: Sequence[str], rows: int, unpacked: int) -> None:
    for what, got, limit in (
        ("columns", len(names), MAX_MODELS + 1),
        ("rows", rows, MAX_ROWS),
        ("unpacked bytes", unpacked, MAX_UNCOMPRESSED_BYTES),
    ):
        if not 0 <= got <= limit:
            raise ResultError(f"{path} has {got} {what}: at most {limit} are read")
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ResultError(f"{path} has the column {shorten(repeated)} twice")


_READERS: Mapping[str, Callable[[Path], dict[str, NDArray[Any]]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".npz": _npz,
}
