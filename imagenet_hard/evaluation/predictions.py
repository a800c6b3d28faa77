"""The predictions file: Parquet with ``id``, ``top5``, ``logprob5``, ``margin``, sorted by id.

Written whole and the same way each time; read as untrusted input. ``predictions_sha256`` hashes the
values, not the file: pyarrow writes its version into every file, and a Hub or a database may encode the
same rows anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import N_CLASSES, SCHEMA_VERSION, Predictions

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 5_000_000
MAX_FILE_BYTES = 512 * 2**20
MAX_UNCOMPRESSED_BYTES = 2**30
MAX_ROW_GROUPS = 10_000
MAX_ID_LENGTH = 1024

LOGPROB_TOLERANCE = 1e-4
"""How far float32 rounding may carry a log probability above 0, or five of them beyond a sum of 1."""

_COLUMNS = {"id": 1, "top5": 5, "logprob5": 5, "margin": 1}


def predictions_sha256(predictions: Predictions) -> str:
    """sha256 over ``predictions_to_bytes``: independent of the file's encoding."""
    digest = hashlib.sha256()
    for part in predictions_to_bytes(predictions):
        digest.update(part)
    return digest.hexdigest()


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write the Parquet file atomically; the same predictions and pyarrow give the same bytes.

    Raises:
        ResultError: the predictions break a rule that ``read_predictions`` checks, or the disk refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    check_predictions(predictions, where=str(path))
    n = len(predictions)
    five = np.arange(0, 5 * n + 1, 5, dtype=np.int32)
    table = pa.table(
        [
            _strings(predictions.ids),
            pa.ListArray.from_arrays(_column(five), _column(predictions.top5.ravel())),
            pa.ListArray.from_arrays(_column(five), _column(predictions.logprob5.ravel())),
            _column(predictions.margin),
        ],
        names=list(_COLUMNS),
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=131_072)
    write_atomically(path, sink.getvalue().to_pybytes())


def _column(values: NDArray[Any]) -> pa.Array:
    """As ``pa.array``, which would import pandas to ask whether ``values`` (n,) are of it."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _strings(texts: Sequence[str]) -> pa.Array:
    """The same of texts."""
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = np.array(list(accumulate(map(len, encoded), initial=0)), np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def read_predictions(path: str | Path) -> Predictions:
    """Read and check a predictions file.

    Size, rows, row groups and columns are bounded from the footer before any row is read. What a file
    made to harm can still do to pyarrow's C++ code, such as one row with a list of 10^9 equal values,
    ``sandbox.py`` keeps in a process of its own: use that for files of strangers.

    Raises:
        ResultError: naming the file, and the row and column of the first wrong value.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        # Ids as a dictionary: one long string repeated a million times must not unfold in memory.
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=["id"])
        _check_footer(file, path)
        table = file.read(use_threads=False)
        table.validate(full=True)
    except KeyError:  # the column to be read as a dictionary
        raise ResultError(f"{path} has no column id: expected the columns {list(_COLUMNS)}") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ResultError(f"{path} is not a readable Parquet file: {shorten(str(error), 200)}") from None
    predictions = Predictions(
        ids=_ids(table["id"], path),
        top5=_numbers(table["top5"], "top5", path),
        logprob5=_numbers(table["logprob5"], "logprob5", path),
        margin=_numbers(table["margin"], "margin", path),
    )
    check_predictions(predictions, where=str(path))
    return predictions


def check_predictions(predictions: Predictions, *, where: str = "predictions") -> None:
    """The rules that every row obeys, whoever made it.

    Raises:
        ResultError: ids not unique and sorted, wrong shapes or dtypes, classes outside 0..999 or
            repeated, log probabilities that are not finite, rise, exceed 0 or sum to more than 1, or a
            margin below 0.
    """
    n, ids = len(predictions), predictions.ids
    top5, logprob5, margin = predictions.top5, predictions.logprob5, predictions.margin
    if not n:
        raise ResultError(f"{where}: no rows; expected at least one prediction")
    for name, array, shape, dtype in (
        ("top5", top5, (n, 5), np.int16),
        ("logprob5", logprob5, (n, 5), np.float32),
        ("margin", margin, (n,), np.float32),
    ):
        if array.shape != shape or array.dtype != dtype:
            raise ResultError(
                f"{where}: {name} is {array.dtype} {array.shape}: expected {np.dtype(dtype)} {shape}"
            )
    if problem := _wrong_id(tuple(ids)):
        raise ResultError(f"{where}: {problem}")

    ordered = np.sort(top5, axis=1)
    finite = np.isfinite(logprob5)
    known = np.where(finite, logprob5, 0).astype(np.float64)
    for column, bad, expected in (
        ("top5", ((top5 < 0) | (top5 >= N_CLASSES)).any(axis=1), f"classes 0..{N_CLASSES - 1}"),
        ("top5", (ordered[:, 1:] == ordered[:, :-1]).any(axis=1), "five different classes"),
        ("logprob5", ~finite.all(axis=1), "finite numbers"),
        ("logprob5", (known > LOGPROB_TOLERANCE).any(axis=1), "log probabilities of at most 0"),
        ("logprob5", (np.diff(known, axis=1) > LOGPROB_TOLERANCE).any(axis=1), "values that do not rise"),
        (
            "logprob5",
            np.exp(np.minimum(known, 1)).sum(axis=1) > 1 + LOGPROB_TOLERANCE,
            "probabilities that sum to at most 1",
        ),
        ("margin", ~(np.isfinite(margin) & (margin >= 0)), "a finite number of at least 0"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            got = np.asarray(getattr(predictions, column)[row]).tolist()
            raise ResultError(
                f"{where}: row {row} (id {shorten(ids[row])}), column {column}: {got}; expected {expected}"
            )


@lru_cache(maxsize=1)
def _wrong_id(ids: tuple[str, ...]) -> str | None:
    """What is wrong with the first wrong id. Kept, as the files of one benchmark all have the same ids."""
    for row, each in enumerate(ids):
        if not each or len(each) > MAX_ID_LENGTH or not _is_text(each):
            return f"row {row}, column id: {shorten(each)}; expected 1 to {MAX_ID_LENGTH} characters"
    for row, (before, after) in enumerate(pairwise(ids), start=1):
        if before >= after:
            problem = "appears twice" if before == after else f"comes after {shorten(before)}"
            return f"row {row}, column id: {shorten(after)} {problem}; expected unique ids, sorted"
    return None


def _check_footer(file: Any, path: Path) -> None:
    """Bounds and schema, from the metadata alone."""
    import pyarrow as pa

    # Not a look at any column's metadata: there pyarrow 26 ends the process on a malformed file.
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(min(meta.num_row_groups, MAX_ROW_GROUPS + 1))]
    for what, got, limit in (
        ("rows", meta.num_rows, MAX_ROWS),
        ("row groups", meta.num_row_groups, MAX_ROW_GROUPS),
        ("uncompressed bytes", sum(group.total_byte_size for group in groups), MAX_UNCOMPRESSED_BYTES),
    ):
        if not 0 <= got <= limit:
            raise ResultError(f"{path} has {got} {what}: at most {limit} are read")
    if sum(group.num_rows for group in groups) != meta.num_rows:
        raise ResultError(f"{path}: its row groups do not add up to its {meta.num_rows} rows")

    schema = file.schema_arrow
    if schema.names != list(_COLUMNS):
        raise ResultError(f"{path} has the columns {shorten(schema.names)}: expected {list(_COLUMNS)}")
    for name, want in (
        ("id", pa.dictionary(pa.int32(), pa.string())),
        ("top5", pa.int16()),
        ("logprob5", pa.float32()),
        ("margin", pa.float32()),
    ):
        got = schema.field(name).type
        is_list = pa.types.is_list(got)
        if is_list != _is_list(name) or (got.value_type if is_list else got) != want:
            text = "string" if name == "id" else f"list<{want}>" if _is_list(name) else str(want)
            raise ResultError(f"{path}, column {name}: type {shorten(str(got))}, expected {text}")


def _is_list(name: str) -> bool:
    return _COLUMNS[name] > 1


def _numbers(column: Any, name: str, path: Path) -> NDArray[Any]:
    """A column as (n,), a list column as (n, 5), without nulls."""
    import pyarrow as pa

    _refuse_null(column, 1, f"{path}: row {{row}}, column {name}: null; expected a value")
    if _is_list(name):
        # pyarrow.compute takes a tenth of the time in which a finished result is found.
        offsets = [_numpy(chunk.offsets) for chunk in column.chunks]
        ragged = np.concatenate([np.zeros(0, bool), *(np.diff(each) != 5 for each in offsets)])
        if ragged.any():
            raise ResultError(f"{path}: row {int(np.argmax(ragged))}, column {name}: expected 5 values")
        flat = [
            chunk.values.slice(each[0], each[-1] - each[0])
            for chunk, each in zip(column.chunks, offsets, strict=True)
        ]
        column = pa.chunked_array(flat, column.type.value_type)
        _refuse_null(column, 5, f"{path}: row {{row}}, column {name}: null; expected 5 values")
    values = _numpy(column)
    return values.reshape(-1, 5) if _is_list(name) else values


def _numpy(column: Any) -> NDArray[Any]:
    """Numbers without nulls, (n,), as of ``column.to_numpy()``, which would import pandas."""
    chunks = [np.from_dlpack(chunk) for chunk in getattr(column, "chunks", [column])]
    return np.concatenate(chunks) if chunks else np.asarray(column.to_numpy())


def _ids(column: Any, path: Path) -> tuple[str, ...]:
    """The ids. An entry of the dictionary that is used twice is an error, so nothing unfolds."""
    _refuse_null(column, 1, f"{path}: row {{row}}, column id: null; expected a value")
    ids: list[tuple[str, ...]] = []
    for chunk in column.chunks:
        indices = _numpy(chunk.indices)
        first = np.unique(indices, return_index=True)[1]
        if len(first) < len(indices):
            repeated = np.ones(len(indices), dtype=bool)
            repeated[first] = False
            row = sum(map(len, ids)) + int(np.argmax(repeated))
            raise ResultError(f"{path}: row {row}, column id: appears twice; expected unique ids")
        if not len(chunk):
            continue
        # By hand, as above: `dictionary_decode` imports pyarrow.compute.
        _, ends, text = chunk.dictionary.buffers()
        at = np.frombuffer(ends, np.int32, len(chunk.dictionary) + 1, 4 * chunk.dictionary.offset)
        ids.append(_split(at.tobytes(), text.to_pybytes() if text else b"", indices.tobytes()))
    return ids[0] if len(ids) == 1 else tuple(chain.from_iterable(ids))


@lru_cache(maxsize=1)
def _split(ends: bytes, text: bytes, indices: bytes) -> tuple[str, ...]:
    """Arrow's texts at ``indices``. Kept: the files of one benchmark have the same, and one tuple is fast to
    compare."""
    at, chosen = np.frombuffer(ends, np.int32), np.frombuffer(indices, np.int32)
    return tuple(
        text[start:end].decode()
        for start, end in zip(at[chosen].tolist(), at[chosen + 1].tolist(), strict=True)
    )


def _refuse_null(column: Any, width: int, message: str) -> None:
    """Raise for the first null of an Arrow column, ``width`` values making a row."""
    if column.null_count:
        raise ResultError(message.format(row=int(np.argmax(column.is_null().to_numpy())) // width))


def _is_text(value: str) -> bool:
    """False where a lone surrogate, as from an undecodable file name, has no UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_HEADER = f"imagenet-hard predictions {SCHEMA_VERSION}\n".encode()


def predictions_to_bytes(predictions: Predictions) -> Iterator[bytes]:
    """The values as bytes, little endian.

    The header ``imagenet-hard predictions 1\\n``; n as uint64; for each id in sorted order its length in
    bytes as uint32 and its UTF-8; then top5 as int16, logprob5 and margin as float32, each in C order.
    -0.0 is written as 0.0.
    """
    yield _HEADER
    yield len(predictions).to_bytes(8, "little")
    yield _ids_to_bytes(tuple(predictions.ids))
    yield np.ascontiguousarray(predictions.top5, "<i2").tobytes()
    for values in (predictions.logprob5, predictions.margin):
        yield np.ascontiguousarray(values + np.float32(0), "<f4").tobytes()


@lru_cache(maxsize=1)
def _ids_to_bytes(ids: tuple[str, ...]) -> bytes:
    """Kept, as the predictions of one benchmark all have the same ids."""
    encoded = [each.encode() for each in ids]
    return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def predictions_from_bytes(data: bytes) -> Predictions:
    """The inverse of ``predictions_to_bytes``.

    Raises:
        ValueError: other bytes.
    """
    at = len(_HEADER) + 8
    n = int.from_bytes(data[len(_HEADER) : at], "little")
    ids = []
    for _ in range(n):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        ids.append(data[at + 4 : end].decode())
        at = end
    if not data.startswith(_HEADER) or len(data) - at != n * (5 * 2 + 5 * 4 + 4):
        raise ValueError("not the bytes of predictions")
    return Predictions(
        ids=tuple(ids),
        top5=np.frombuffer(data, "<i2", 5 * n, at).reshape(n, 5),
        logprob5=np.frombuffer(data, "<f4", 5 * n, at + 10 * n).reshape(n, 5),
        margin=np.frombuffer(data, "<f4", n, at + 30 * n),
    )
