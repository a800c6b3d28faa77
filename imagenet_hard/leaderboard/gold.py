"""Gold: the ids and labels of one benchmark, against which every entry is scored again.

``leaderboard/benchmarks/<fingerprint>.parquet`` with a small JSON beside it. The fingerprint is computed
again whenever gold is read, so labels that were changed do not pass for the benchmark's own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imagenet_hard.base.errors import DatasetError, ResultError, UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.records import read_record
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import (
    N_CLASSES,
    NO_CLASS,
    SCHEMA_VERSION,
    BenchmarkInfo,
    ModelSpec,
    Record,
    SchemaVersion,
    Sha256,
)
from imagenet_hard.dataset.decode import is_turned
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.dataset.labels import labels_of
from imagenet_hard.leaderboard.plain_text import Line, Name, check_plain

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark

MAX_GOLD_BYTES = 256 * 2**20
_COLUMNS = ["id", "labels", "origin", "image_sha256"]


class GoldInfo(Record):
    """What a benchmark is, beside its labels."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    name: Name
    source: Name = Field(description="Hub id, 'folder', 'package' or 'predictions'")
    revision: Line | None = None
    split: Line | None = None
    n: Annotated[int, Field(ge=1)]
    fingerprint: Sha256
    images: bool = Field(
        description="false: no image bytes were at hand, the fingerprint is over ids and labels"
    )
    origins_sha256: Sha256 = Field(description="hash of the origins, which the fingerprint leaves out")
    curators: tuple[Name, ...] = Field(
        default=(), description="models that chose the images: BACKEND:NAME/TAG"
    )
    note: Line = ""
    since: dt.date | None = Field(default=None, description="when the images came out: no entry is older")

    @model_validator(mode="after")
    def _plain(self) -> GoldInfo:
        check_plain(self.model_dump(mode="json"))
        return self


@dataclass(frozen=True)
class Gold:
    """``n`` labelled images, sorted by id; ``image_sha256`` is "" where the bytes were not at hand.

    ``turned``: ids of images with an EXIF orientation, where the images were read; it is not stored.
    """

    info: GoldInfo
    ids: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    origins: tuple[str, ...]
    image_sha256: tuple[str, ...]
    turned: tuple[str, ...] = field(default=(), compare=False)

    @property
    def benchmark(self) -> BenchmarkInfo:
        """The record that results on this benchmark carry."""
        about = self.info
        return BenchmarkInfo(
            name=about.name,
            source=about.source,
            revision=about.revision,
            split=about.split,
            n=about.n,
            fingerprint=about.fingerprint,
        )

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """bool (n, 1000): which classes are among each image's labels. Worked out once for all entries."""
        found = np.zeros((len(self.labels), N_CLASSES), np.bool_)
        for row, labels in enumerate(self.labels):
            found[row, list(labels)] = True
        return found

    def hits(self, classes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of the classes (n, k), an image a row, are among its labels; ``NO_CLASS`` never is."""
        at = np.maximum(classes, 0) + np.arange(0, self.right.size, N_CLASSES)[:, None]
        known: NDArray[np.bool_] = self.right.ravel().take(at)
        known &= classes != NO_CLASS
        return known

    @cached_property
    def labels_by_id(self) -> Mapping[str, tuple[int, ...]]:
        """Each image's labels."""
        return dict(zip(self.ids, self.labels, strict=True))

    def curated_by(self, model: ModelSpec) -> bool:
        """Whether ``model`` chose the images."""
        return model.key in self.info.curators


def make_gold(
    benchmark: Benchmark, *, curators: Sequence[str] = (), note: str = "", since: dt.date | None = None
) -> Gold:
    """The gold of a benchmark; reads and hashes every image once.

    Raises:
        UsageError: only a part of the benchmark is at hand.
        DatasetError, ImageError: it cannot be read.
    """
    if benchmark.part:
        raise UsageError(f"only a part of {benchmark.name} ({benchmark.part}): gold needs all images")
    rows, turned = [], []
    for each in benchmark:
        rows.append((each.id, each.labels, each.origin, hashlib.sha256(each.image).hexdigest()))
        if is_turned(each.image):
            turned.append(each.id)
    gold = gold_of(
        rows,
        name=benchmark.name,
        source=benchmark.source,
        revision=benchmark.revision,
        split=benchmark.split,
        curators=tuple(curators),
        note=note,
        since=since,
    )
    return replace(gold, turned=tuple(sorted(turned)))


def gold_of(rows: Iterable[tuple[str, Iterable[int], str, str]], **about: Any) -> Gold:
    """Gold from rows (id, labels, origin, sha256 of the image or ""); ``about``: fields of ``GoldInfo``.

    Raises:
        DatasetError: no row, an id twice, a label outside 0..999, or hashes for some images only.
    """
    ordered = sorted(
        (id, labels_of(list(labels), f"image {id!r}"), origin, sha) for id, labels, origin, sha in rows
    )
    digest = fingerprint((id, labels, sha) for id, labels, _, sha in ordered)
    hashed = {bool(sha) for *_, sha in ordered}
    if len(hashed) > 1:
        raise DatasetError("some images have a hash and some have none: expected all or none")
    ids, labels, origins, hashes = zip(*ordered, strict=True)
    info = GoldInfo(
        n=len(ids), fingerprint=digest, images=hashed == {True}, origins_sha256=_hash(origins), **about
    )
    return Gold(info, ids, labels, origins, hashes)


def write_gold(folder: Path, gold: Gold) -> Path:
    """Write ``<fingerprint>.parquet``, then ``<fingerprint>.json``; the JSON's path.

    Raises:
        ResultError: the disk refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [
        pa.array(gold.ids, pa.string()),
        pa.array(gold.labels, pa.list_(pa.int16())),
        pa.array(gold.origins, pa.string()),
        pa.array(gold.image_sha256, pa.string()),
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, names=_COLUMNS), sink, compression="zstd")
    path = folder / f"{gold.info.fingerprint}.json"
    write_atomically(path.with_suffix(".parquet"), sink.getvalue().to_pybytes())
    write_atomically(path, (gold.info.model_dump_json(indent=2) + "\n").encode())
    return path


def known_golds(folder: Path) -> dict[str, GoldInfo]:
    """Fingerprint -> what it is, for every benchmark in the folder.

    Raises:
        ResultError: a JSON file there is malformed.
    """
    return {path.stem: read_record(path, GoldInfo) for path in sorted(folder.glob("*.json"))}


def _listed(folder: Path) -> str:
    """The benchmarks there, for messages."""
    return ", ".join(f"{info.name} ({digest[:12]}...)" for digest, info in known_golds(folder).items())


def find_gold(folder: Path, benchmark: str) -> Gold:
    """The gold of a benchmark by name, or by the beginning of its fingerprint.

    Raises:
        ResultError: none is it, or several are.
    """
    known = known_golds(folder).items()
    found = [digest for digest, about in known if about.name == benchmark or digest.startswith(benchmark)]
    if len(found) != 1:
        raise ResultError(
            f"{len(found)} benchmarks in {folder} are called {benchmark!r}: expected the name or fingerprint "
            f"of one of {_listed(folder) or 'its benchmarks, but it has none'}; or give --labels"
        )
    return read_gold(folder, found[0])


def read_gold(folder: Path, fingerprint_: str) -> Gold:
    """The gold of a benchmark, its fingerprint computed again.

    Raises:
        ResultError: this benchmark is not known (the message lists those that are), or the files do not hold
            what they say.
    """
    path = folder / f"{fingerprint_}.json"
    if not path.is_file():
        raise ResultError(
            f"the fingerprint {fingerprint_[:12]}... is of no benchmark in {folder}: it has "
            f"{_listed(folder) or 'none'}. Other images, labels or ids give another fingerprint"
        )
    info = read_record(path, GoldInfo)
    rows = _read_rows(path.with_suffix(".parquet"))
    try:
        gold = gold_of(
            rows,
            **info.model_dump(include={"name", "source", "revision", "split", "curators", "note", "since"}),
        )
    except DatasetError as error:
        raise ResultError(f"{path.with_suffix('.parquet')}: {error}") from None
    if gold.info != info or info.fingerprint != fingerprint_:
        raise ResultError(
            f"{path.with_suffix('.parquet')} does not hold the benchmark that {path.name} names: its rows "
            f"have the fingerprint {gold.info.fingerprint[:12]}...; restore both files"
        )
    return gold


def _read_rows(path: Path) -> list[tuple[str, list[int], str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = read_bounded(path, MAX_GOLD_BYTES)
    try:
        table = pq.read_table(pa.BufferReader(data), columns=_COLUMNS)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultError(f"{path} is not a gold file: {shorten(str(error), 200)}") from None
    if table.column_names != _COLUMNS or any(column.null_count for column in table.columns):
        raise ResultError(f"{path}: expected the columns {_COLUMNS} without nulls")
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _hash(origins: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(origins).encode()).hexdigest()
