"""Answers as they came: JSON Lines of people, and the Parquet file beside a record.

Both have ``id`` and ``answer``. An answer that came as null is "": the model said nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.text import counted, shorten

MAX_FILE_BYTES = 256 * 2**20
MAX_ROWS = 5_000_000
MAX_ID_LENGTH = 1024
MAX_ANSWER_LENGTH = 2**20
_COLUMNS = ["id", "answer"]


@dataclass(frozen=True)
class RawAnswers:
    """One answer to each image, sorted by id."""

    ids: tuple[str, ...]
    answers: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of the values, independent of the file's encoding."""
        digest = hashlib.sha256(b"imagenet-hard raw answers 1\n")
        for pair in zip(self.ids, self.answers, strict=True):
            for text in pair:
                data = text.encode()
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()


def read_jsonl(path: str | Path) -> RawAnswers:
    """A line an image, ``{"id": "cat.jpg", "answer": "a tabby cat"}``; other keys are passed over.

    Raises:
        ResultError: ``FILE:LINE:`` with what stands there and what was expected.
    """
    path = Path(path)
    try:
        text = read_bounded(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResultError(f"{path} is not UTF-8 text ({error}): save it as JSON Lines in UTF-8") from None
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        id, answer = _row(line, f"{path}:{number}")
        if id in found:
            raise ResultError(
                f"{path}:{number}: the id {shorten(id)} stands in line {lines[id]} already: "
                "expected one answer to an image"
            )
        found[id], lines[id] = answer, number
    if not found:
        raise ResultError(f'{path} has no answers: expected lines {{"id": ..., "answer": ...}}')
    return _sorted(found.items())


def _row(line: str, where: str) -> tuple[str, str]:
    expected = 'expected {"id": "...", "answer": "..."}'
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{where}: not JSON ({reason_of(error)}): {shorten(line)}; {expected}") from None
    if not isinstance(row, dict):
        raise ResultError(f"{where}: got {shorten(row)}; {expected}")
    if missing := [key for key in _COLUMNS if key not in row]:
        raise ResultError(f"{where}: no {missing[0]!r} among the keys {shorten(list(row))}; {expected}")
    id, answer = row["id"], row["answer"]
    if isinstance(id, int) and not isinstance(id, bool):  # the row number of a data set without ids
        id = str(id)
    if answer is None:
        answer = ""
    for key, value, longest in (("id", id, MAX_ID_LENGTH), ("answer", answer, MAX_ANSWER_LENGTH)):
        if not isinstance(value, str):
            raise ResultError(f"{where}: {key} is {shorten(value)}; expected text")
        if len(value) > longest:
            raise ResultError(f"{where}: {key} has {len(value):,} characters; at most {longest:,} are read")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ResultError(f"{where}: {key} is no Unicode text: {shorten(value)}") from None
    return id, answer


def reason_of(error: BaseException) -> str:
    """Why a line is no JSON, in a few words."""
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _sorted(rows: Iterable[tuple[str, str]]) -> RawAnswers:
    ids, answers = zip(*sorted(rows), strict=True)
    return RawAnswers(ids, answers)


def check_same_ids(raw: RawAnswers, ids: Iterable[str], benchmark: str, where: str) -> None:
    """Exactly one answer to each image of a benchmark, and none to another.

    Raises:
        ResultError: how many are missing or unknown, and the first of them.
    """
    given, wanted = set(raw.ids), set(ids)
    parts = [
        f"{len(found):,} {what} ({', '.join(shorten(each, 60) for each in islice(sorted(found), 3))}"
        f"{', ...' if len(found) > 3 else ''})"
        for what, found in (("missing", wanted - given), ("unknown", given - wanted))
        if found
    ]
    if parts:
        raise ResultError(
            f"{where}: the ids are not those of {benchmark} ({counted(len(wanted), 'image')}): "
            f"{' and '.join(parts)}. An image that the model did not answer has the answer null"
        )


def write_raw(path: Path, raw: RawAnswers) -> None:
    """Write the Parquet file, whole or not at all.

    Raises:
        ResultError: the disk refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(raw.ids, pa.string()), pa.array(raw.answers, pa.large_string())]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, names=_COLUMNS), sink, compression="zstd")
    write_atomically(path, sink.getvalue().to_pybytes())


def read_raw(path: Path) -> RawAnswers:
    """The answers of a Parquet file that ``write_raw`` wrote. For files of one's own: nothing is isolated.

    Raises:
        ResultError: it is another file, or its ids are not unique and sorted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.schema_arrow.names != _COLUMNS or not 0 < file.metadata.num_rows <= MAX_ROWS:
            raise ResultError(
                f"{path} has the columns {shorten(file.schema_arrow.names)} and {file.metadata.num_rows} "
                f"rows: expected {_COLUMNS} and 1 to {MAX_ROWS}"
            )
        columns = [column.to_pylist() for column in file.read(use_threads=False).columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultError(f"{path} is not a readable Parquet file: {shorten(str(error), 200)}") from None
    raw = RawAnswers(*map(tuple, columns))
    if not all(isinstance(text, str) for text in (*raw.ids, *raw.answers)):
        raise ResultError(f"{path}: a value is no text; expected an id and an answer in each row")
    if list(raw.ids) != sorted(set(raw.ids)):
        raise ResultError(f"{path}: expected unique ids, sorted")
    return raw
