"""Rows of a ``datasets`` data set as checked examples, at random or streamed.

Columns as published: ``image``, ``label`` (an integer or a list of them, or what else ``labels`` knows),
and optionally ``id`` and ``origin``; without ``id`` the row number is the id. Under other names, the only
column of images and the only one of class labels are taken. Images stay raw bytes, so that ``datasets``
neither decodes nor rotates them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import Example
from imagenet_hard.dataset.benchmark import Benchmark, Source, StreamingBenchmark
from imagenet_hard.dataset.labels import Labels, class_indices, is_number, labels_of, own_numbering

log = logging.getLogger(__name__)

BATCH = 1000
"""Rows whose labels are read at once."""


def from_dataset(dataset: Any, about: Source) -> Benchmark:
    """A ``datasets.Dataset`` as a benchmark; every label is checked at once.

    Raises:
        DatasetError: it is empty, has no image or label column, or a row has no id of its own or
            no label in 0..999; the message names the row.
    """
    columns = _Columns(dataset.features, dataset.column_names, about)
    data = dataset.with_format(None)
    images = data.select_columns([columns.image]).cast_column(columns.image, _raw_image())
    ids: list[str] = []
    labels: list[Labels] = []
    origins: list[str] = []
    numbers: set[int] = set()
    # By parts, as multi-hot vectors of all rows would fill the memory.
    for table in data.select_columns([c for c in data.column_names if c in columns.used]).iter(BATCH):
        rows = range(len(ids), len(ids) + len(table[columns.label]))
        ids += map(columns.id, table.get(columns.key, rows), rows)
        found = list(map(columns.labels, table[columns.label], rows))
        labels += found
        if not columns.named:
            stored = zip(table[columns.label], found, strict=True)
            numbers.update(*(own for value, own in stored if _is_numbered(value)))
        origins += map(columns.origin, table.get("origin", [None] * len(rows)))
    if not ids:
        raise _empty(about)
    check_unique(ids, about)
    if said := own_numbering(numbers):
        log.warning("%s has the labels %s", _where(about), said)
    return Benchmark(about, ids, labels, origins, partial(_stored_bytes, images, columns.image, ids))


def prepared(builder: Any, about: Source) -> Benchmark:
    """One split of a ``datasets.DatasetBuilder``, converted once and then read from its cache."""
    builder.download_and_prepare()
    stated = (builder.info.splits or {}).get(about.split)
    if stated is not None and stated.num_examples == 0:
        raise _empty(about)
    return from_dataset(builder.as_dataset(about.split), about)


def from_stream(
    dataset: Any,
    about: Source,
    *,
    size: int | None,
    token: str | bool | None = None,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> StreamingBenchmark:
    """A ``datasets.IterableDataset`` as a benchmark; each row is checked when it arrives.

    ``size``: the number of rows where the publisher states it. ``guard`` makes our errors of
    what the network throws while rows arrive.

    Raises:
        DatasetError: as ``from_dataset``, here or while iterating.
    """
    if dataset.features is None:
        dataset = dataset._resolve_features()
    columns = _Columns(dataset.features, dataset.column_names, about)
    data = dataset.select_columns(sorted({columns.image} | columns.used)).cast_column(
        columns.image, _raw_image()
    )

    def stream() -> Iterator[tuple[str, Callable[[], Example]]]:
        seen: set[str] = set()
        with guard():
            for i, row in enumerate(data):
                id = columns.id(row.get(columns.key, i), i)
                if id in seen:
                    raise _twice(id, about)
                seen.add(id)
                labels = columns.labels(row[columns.label], i)
                yield (
                    id,
                    partial(
                        _example, id, row[columns.image], labels, columns.origin(row.get("origin")), token
                    ),
                )
        if not seen:
            raise _empty(about)

    return StreamingBenchmark(about, stream, size)


def _example(
    id: str, cell: Mapping[str, Any] | None, labels: Labels, origin: str, token: str | bool | None
) -> Example:
    """The last step of a streamed row, in the worker: a missing image spoils this example only."""
    try:
        return Example(id, _bytes(cell, id, token), labels, origin)
    except OSError as error:
        raise ImageError(f"image {id!r} cannot be read: {reason(error)}") from error


class _Columns:
    """What the columns of one data set mean."""

    def __init__(self, features: Mapping[str, Any], names: Sequence[str], about: Source) -> None:
        images = [name for name in names if type(features[name]).__name__ == "Image"]
        named = [name for name in names if _class_names(features[name]) is not None]
        image, label = _column(("image",), names, images), _column(("label", "labels", "cls"), names, named)
        if image is None or label is None:
            missing = "'image'" if image is None else "'label', and without labels it cannot be scored"
            raise DatasetError(
                f"{_where(about)} has no column {missing}: got the columns {', '.join(names)}, "
                "expected image and label, and optionally id and origin"
            )
        if not _may_hold_images(features[image]):
            raise DatasetError(
                f"{_where(about)} has the column {image!r} of {features[image]}: expected images, as "
                "datasets.Image, the bytes of files, or their paths"
            )
        self.image, self.label = image, label
        self.key = "id" if "id" in names or "__key__" not in names else "__key__"
        self.used = {label} | ({self.key, "origin"} & set(names))
        self._about = about
        own = _class_names(features[label])
        self.named = own is not None
        self._classes = None if own is None else class_indices(own, _where(about))

    def id(self, value: Any, row: int) -> str:
        if value is None:
            raise DatasetError(
                f"row {row} of {_where(self._about)} has no id: expected one in each row, or no column"
            )
        return str(value)

    def labels(self, value: Any, row: int) -> Labels:
        return labels_of(value, f"row {row} of {_where(self._about)}", self._classes)

    def origin(self, value: Any) -> str:
        return "" if value is None else str(value)


def _is_numbered(value: Any) -> bool:
    """Whether a row's label, or the first of its labels, is a number rather than a wnid or a name."""
    return is_number(value[0] if isinstance(value, list) else value)


def _class_names(feature: Any) -> list[str] | None:
    """The names of a ``ClassLabel``, alone or in a list."""
    if isinstance(feature, list):  # how lists were written before datasets 4
        feature = feature[0]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return None if names is None else list(names)


def _may_hold_images(feature: Any) -> bool:
    if isinstance(feature, dict):  # Parquet that datasets did not write
        return "bytes" in feature
    kind = getattr(feature, "dtype", None)
    return type(feature).__name__ == "Image" or kind in ("binary", "large_binary", "string", "large_string")


def _column(known: Sequence[str], names: Sequence[str], of_its_kind: Sequence[str]) -> str | None:
    """The column of a known name, else the only one of its kind."""
    found = next((name for name in known if name in names), None)
    return of_its_kind[0] if found is None and len(of_its_kind) == 1 else found


def _raw_image() -> Any:
    from datasets import Image

    return Image(decode=False)


def _stored_bytes(images: Any, column: str, ids: list[str], i: int) -> bytes:
    return _bytes(images[i][column], ids[i])


def _bytes(cell: Mapping[str, Any] | None, id: str, token: str | bool | None = None) -> bytes:
    """The image's file, from the row or from where the row points."""
    data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if data is not None:
        return bytes(data)
    if not path:
        raise ImageError(f"image {id!r} is missing: its row has neither bytes nor a path")
    if "://" in path:
        import fsspec  # type: ignore[import-untyped]

        options = {"token": token} if path.startswith("hf://") else {}
        with fsspec.open(path, "rb", **options) as file:
            return bytes(file.read())
    return Path(path).read_bytes()


def check_unique(ids: list[str], about: Source) -> None:
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise _twice(id, about)
        seen.add(id)


def _where(about: Source) -> str:
    return about.name if about.split is None else f"{about.name} ({about.split})"


def _twice(id: str, about: Source) -> DatasetError:
    return DatasetError(
        f"{_where(about)} has the id {id!r} twice: ids must be unique, or left out altogether"
    )


def _empty(about: Source) -> DatasetError:
    return DatasetError(f"{_where(about)} is empty: got 0 rows, expected at least one labelled image")
