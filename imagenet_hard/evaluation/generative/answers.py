"""Answers as they came: JSON Lines of people and beside a result, and the Parquet file of a tally.

All have ``id`` and ``answer``. An answer that came as null is "": the model said nothing. JSON Lines may say
``finish_reason`` as well, and beside a result they say ``class``, which the answer was read as.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.records import no_repeats, reason_of
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.base.types import N_CLASSES, NO_CLASS, Predictions

MAX_FILE_BYTES = 256 * 2**20
MAX_ROWS = 5_000_000
MAX_ID_LENGTH = 1024
MAX_ANSWER_LENGTH = 2**20
MAX_FINISH_LENGTH = 64
_COLUMNS = ["id", "answer"]


@dataclass(frozen=True)
class RawAnswers:
    """One answer to each image, sorted by id. ``finish``: why each ended, as an endpoint says it ("stop",
    "length", "content_filter"), "" where that is not known; empty where it is known of none."""

    ids: tuple[str, ...]
    answers: tuple[str, ...]
    finish: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of the values, independent of the file's encoding."""
        columns = [self.ids, self.answers, *([self.finish] if self.finish else [])]
        digest = hashlib.sha256(f"imagenet-hard raw answers {len(columns) - 1}\n".encode())
        for row in zip(*columns, strict=True):
            for text in row:
                data = text.encode()
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()


def read_jsonl(path: str | Path) -> RawAnswers:
    """A line an image, ``{"id": "cat.jpg", "answer": "a tabby cat"}``; of other keys, ``finish_reason`` is
    read where it is text, and the rest passed over.

    Raises:
        ResultError: ``FILE:LINE:`` with what stands there and what was expected.
    """
    return _raw(_rows(Path(path), MAX_FILE_BYTES))


def _raw(rows: Sequence[tuple[str, str, dict[str, Any]]]) -> RawAnswers:
    ids, answers, about = zip(*rows, strict=True)
    finish = tuple(map(_finish, about))
    return RawAnswers(ids, answers, finish if any(finish) else ())


def _finish(row: dict[str, Any]) -> str:
    said = row.get("finish_reason")
    return said if isinstance(said, str) and len(said) <= MAX_FINISH_LENGTH and said.isprintable() else ""


def _rows(path: Path, limit: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, answer, and all that a line says; sorted by id, which is unique."""
    try:
        text = read_bounded(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResultError(f"{path} is not UTF-8 text ({error}): save it as JSON Lines in UTF-8") from None
    found: dict[str, tuple[str, str, dict[str, Any]]] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        id, answer, row = _row(line, f"{path}:{number}")
        if id in found:
            raise ResultError(
                f"{path}:{number}: the id {shorten(id)} stands in line {lines[id]} already: "
                "expected one answer to an image"
            )
        found[id], lines[id] = (id, answer, row), number
    if not found:
        raise ResultError(f'{path} has no answers: expected lines {{"id": ..., "answer": ...}}')
    return sorted(found.values(), key=lambda each: each[0])


def _row(line: str, where: str) -> tuple[str, str, dict[str, Any]]:
    expected = 'expected {"id": "...", "answer": "..."}'
    try:
        row = json.loads(line, object_pairs_hook=no_repeats)
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
            raise ResultError(f"{where}: {key} is not Unicode text: {shorten(value)}") from None
    return id, answer, row


def write_answered(path: Path, raw: RawAnswers, predictions: Predictions) -> None:
    """Write the JSON Lines beside a result, whole or not at all; ``imagenet-hard match`` reads them too.

    Raises:
        ResultError: the disk refuses.
    """
    named = predictions.top5[:, 0].tolist()
    lines = []
    for i, (id, answer) in enumerate(zip(raw.ids, raw.answers, strict=True)):
        row: dict[str, Any] = {"id": id, "answer": answer, "class": None if named[i] < 0 else named[i]}
        if raw.finish and raw.finish[i]:
            row["finish_reason"] = raw.finish[i]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_atomically(path, "".join(lines).encode())


def read_answered(path: Path, limit: int = MAX_FILE_BYTES) -> tuple[RawAnswers, Predictions]:
    """What ``write_answered`` wrote, of at most ``limit`` bytes; may be a stranger's.

    Raises:
        ResultError: as ``read_jsonl``, or a class is none.
    """
    rows, named = _rows(path, limit), []
    for id, _, row in rows:
        index = row.get("class", "")
        if index is not None and (type(index) is not int or not 0 <= index < N_CLASSES):
            raise ResultError(
                f"{path}: the class of {shorten(id)} is {shorten(index)}: expected 0 to {N_CLASSES - 1}, or "
                "null for an answer that names none"
            )
        named.append(NO_CLASS if index is None else index)
    raw = _raw(rows)
    return raw, Predictions.in_words(raw.ids, np.array(named))


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
        raise ResultError(f"{path}: a value is not text; expected an id and an answer in each row")
    if list(raw.ids) != sorted(set(raw.ids)):
        raise ResultError(f"{path}: expected unique ids, sorted")
    return raw
