"""Any part of a benchmark: the first images, those of a list of ids, or a sample that anyone can draw again.

A sample of ``n`` images holds those whose ``sha256("SEED:ID")`` (UTF-8, as hex) are the ``n`` smallest: it
depends on the ids alone, not on their order or on a library's random numbers, and a smaller sample of one
seed lies in every larger one. A part keeps the benchmark's order, and has a fingerprint of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from heapq import nsmallest
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.types import Selection
from imagenet_hard.dataset.benchmark import Benchmark

MAX_BYTES = 64 * 2**20
"""Of a file of ids."""

SHOWN = 3
"""Unknown ids that a message names."""

Ids = str | PathLike[str] | Sequence[str]


def part_of(
    benchmark: Benchmark,
    *,
    limit: int | None = None,
    ids: Ids | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Benchmark:
    """The part that is asked for, the whole where nothing is.

    ``limit``: the first images; ``ids``: a file of ids, or a sequence of them; ``sample``: the number of
    images to draw, with ``seed`` (default 0).

    Raises:
        UsageError: more than one of them, ids that are not there, or a number below 1.
        DatasetError: the file cannot be read, or the ids of a stream are asked for.
    """
    asked = [
        name for name, value in (("limit", limit), ("ids", ids), ("sample", sample)) if value is not None
    ]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)}: each chooses images in its own way, give one of them")
    if seed is not None and sample is None:
        raise UsageError(f"seed={seed}: it is for a sample, and none is drawn: give sample=N as well")
    if limit is not None:
        return benchmark.take(limit)
    if ids is not None:
        return with_ids(benchmark, ids)
    return benchmark if sample is None else drawn(benchmark, sample, seed or 0)


def with_ids(benchmark: Benchmark, ids: Ids) -> Benchmark:
    """The images of these ids.

    Raises:
        UsageError: an id is not there or is given twice, or there is none; near ids are named.
        DatasetError: the file cannot be read, or the benchmark is a stream.
    """
    where = "ids"
    if isinstance(ids, str | PathLike):
        where = Path(ids).name
        ids = read_ids(Path(ids))
    wanted = Counter(ids)
    if len(wanted) < len(ids):
        twice = next(id for id, n in wanted.items() if n > 1)
        raise UsageError(f"{where} names {twice!r} twice: expected each id once")
    if not wanted:
        raise UsageError(f"{where} names no image: expected one id per line")
    if unknown := sorted(wanted.keys() - set(benchmark.ids)):
        raise UsageError(_unknown(unknown, benchmark, where))
    rows = [row for row, id in enumerate(benchmark.ids) if id in wanted]
    return benchmark.select(rows, selection_of("ids", benchmark, rows))


def drawn(benchmark: Benchmark, n: int, seed: int = 0) -> Benchmark:
    """A sample of ``n`` images without replacement; the benchmark itself where it has no more.

    Raises:
        UsageError: ``n`` is less than 1.
        DatasetError: the benchmark is a stream.
    """
    if n < 1:
        raise UsageError(f"the sample is {n}: expected the number of images to draw, 1 or more")
    ids = benchmark.ids
    rows = sorted(nsmallest(n, range(len(ids)), key=lambda row: draw_key(seed, ids[row])))
    return benchmark.select(rows, selection_of("sample", benchmark, rows, seed=seed))


def read_ids(path: Path) -> list[str]:
    """Ids from a file: one a line, a JSON list, or the column ``id`` of a CSV.

    Raises:
        DatasetError: it cannot be read, is too large, or is none of these.
    """
    expected = "expected one id per line, a JSON list of ids, or a CSV file with a column 'id'"
    if path.suffix.lower() == ".csv":
        _, rows = read_csv(path, ["id"], more=True, limit=MAX_BYTES, error=DatasetError, hint=expected)
        return [row.cells[0] for row in rows]
    try:
        text = read_bounded(path, MAX_BYTES, error=DatasetError).decode("utf-8-sig")
        found = json.loads(text) if path.suffix.lower() == ".json" else None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"the file of ids {path} cannot be read: {error}; {expected}") from error
    if path.suffix.lower() == ".json":
        if not isinstance(found, list) or not all(type(id) in (str, int) for id in found):
            raise DatasetError(f"{path} is not a list of ids: {expected}")
        return [str(id) for id in found]
    return [line.strip() for line in text.splitlines() if line.strip()]


def draw_key(seed: int, id: str) -> str:
    """What the images of a draw are sorted by."""
    return _sha256(f"{seed}:{id}")


def selection_of(
    kind: Literal["ids", "sample", "estimate"], benchmark: Benchmark, rows: Sequence[int], **more: Any
) -> Selection:
    """The record of a choice of rows; ``more``: fields of it."""
    ids = sorted(benchmark.ids[row] for row in rows)
    digest = _sha256("".join(f"{id}\n" for id in ids))
    return Selection(kind=kind, n=len(rows), total=len(benchmark), ids_sha256=digest, **more)


def _unknown(unknown: Sequence[str], benchmark: Benchmark, where: str) -> str:
    told = []
    for id in unknown[:SHOWN]:
        near = _near(id, benchmark.ids)
        told.append(f"{id!r}" + (f" (is it {near!r}?)" if near else ""))
    more = f" and {len(unknown) - SHOWN:,} more" if len(unknown) > SHOWN else ""
    return (
        f"{where} names {len(unknown):,} ids that {benchmark.name} has not: {', '.join(told)}{more}. "
        f"Its ids are written like {benchmark.ids[0]!r}."
    )


def _near(id: str, ids: Iterable[str]) -> str | None:
    """The id of the same file name, else one that differs in little."""
    name = _stem(id)
    same = next((other for other in ids if _stem(other) == name), None)
    return same or next(iter(get_close_matches(id, ids, n=1, cutoff=0.8)), None)


def _stem(id: str) -> str:
    return id.replace("\\", "/").rpartition("/")[2].partition(".")[0].lower()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
