"""Rows of a ``datasets`` data set as checked examples, at random or streamed.

Columns as published: ``image``, ``label`` (an integer or a list of them), and optionally ``id``
and ``origin``; without ``id`` the row number is the id. Images stay raw bytes, so that
``datasets`` neither decodes nor rotates them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from imagenet_hard.classes import wnid_to_index
from imagenet_hard.dataset.benchmark import Benchmark, Source, StreamingBenchmark
from imagenet_hard.dataset.labels import checked
from imagenet_hard.errors import DatasetError, ImageError
from imagenet_hard.types import N_CLASSES, Example

ToIndex = Callable[[Any], Any]


def from_dataset(dataset: Any, about: Source) -> Benchmark:
    """A ``datasets.Dataset`` as a benchmark; every label is checked at once.

    Raises:
        DatasetError: it is empty, has no image or label column, or a row has no id of its own or
            no label in 0..999; the message names the row.
    """
    columns = _Columns(dataset.features, dataset.column_names, about)
    data = dataset.with_format(None)
    images = data.cast_column("image", _raw_image()).select_columns(["image"])
    table = data.select_columns([c for c in data.column_names if c in columns.used])[:]
    n = len(dataset)
    if n == 0:
        raise _empty(about)
    ids = [columns.id(value, i) for i, value in enumerate(table.get("id", range(n)))]
    _check_unique(ids, about)
    labels = [columns.labels(value, i) for i, value in enumerate(table[columns.label])]
    origins = [columns.origin(value) for value in table.get("origin", [""] * n)]
    return Benchmark(about, ids, labels, origins, partial(_stored_bytes, images, ids))


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
    data = dataset.select_columns(sorted({"image"} | columns.used)).cast_column("image", _raw_image())

    def stream() -> Iterator[tuple[str, Callable[[], Example]]]:
        seen: set[str] = set()
        with guard():
            for i, row in enumerate(data):
                id = columns.id(row.get("id", i), i)
                if id in seen:
                    raise _twice(id, about)
                seen.add(id)
                labels = columns.labels(row[columns.label], i)
                yield (
                    id,
                    partial(_example, id, row["image"], labels, columns.origin(row.get("origin")), token),
                )
        if not seen:
            raise _empty(about)

    return StreamingBenchmark(about, stream, size)


def _example(
    id: str, cell: Mapping[str, Any] | None, labels: tuple[int, ...], origin: str, token: str | bool | None
) -> Example:
    """The last step of a streamed row, in the worker: a missing image spoils this example only."""
    try:
        return Example(id, _bytes(cell, id, token), labels, origin)
    except OSError as error:
        raise ImageError(f"image {id!r} cannot be read: {type(error).__name__}: {error}") from error


class _Columns:
    """What the columns of one data set mean."""

    def __init__(self, features: Mapping[str, Any], names: list[str], about: Source) -> None:
        label = next((name for name in ("label", "labels") if name in names), None)
        if "image" not in names or label is None:
            missing = "'image'" if "image" not in names else "'label', and without labels it cannot be scored"
            raise DatasetError(
                f"{_where(about)} has no column {missing}: got the columns {', '.join(names)}, "
                "expected image and label, and optionally id and origin"
            )
        self.label: str = label
        self.used = {label} | ({"id", "origin"} & set(names))
        self._about = about
        self._to_index = _to_index(features[label], about)

    def id(self, value: Any, row: int) -> str:
        if value is None:
            raise DatasetError(
                f"row {row} of {_where(self._about)} has no id: expected one in each row, or no column"
            )
        return str(value)

    def labels(self, value: Any, row: int) -> tuple[int, ...]:
        where = f"row {row} of {_where(self._about)}"
        if isinstance(value, list):
            return checked([self._to_index(v) for v in value], where)
        return checked(self._to_index(value), where)

    def origin(self, value: Any) -> str:
        return "" if value is None else str(value)


def _to_index(feature: Any, about: Source) -> ToIndex:
    """From a stored label to a class index.

    ``ImageFolder`` data sets number their own classes: where these are named by wnid, the wnid
    counts; a ``ClassLabel`` of all 1000 names is taken in its order; any other has another meaning.
    """
    if isinstance(feature, list):  # how lists were written before datasets 4
        feature = feature[0]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if names is None:
        return lambda value: value
    if all(re.fullmatch(r"n\d{8}", name) for name in names):
        index = wnid_to_index()
        if unknown := [name for name in names if name not in index]:
            raise DatasetError(
                f"{_where(about)} has classes beyond the {N_CLASSES}: {', '.join(unknown[:5])}"
            )
        return lambda value: index[names[value]] if value is not None and value >= 0 else value
    if len(names) == N_CLASSES:
        return lambda value: value
    raise DatasetError(
        f"{_where(about)} has {len(names)} classes of its own ({', '.join(names[:3])}, ...): expected "
        f"ImageNet's {N_CLASSES}, as class indices or named by wnid"
    )


def _raw_image() -> Any:
    from datasets import Image

    return Image(decode=False)


def _stored_bytes(images: Any, ids: list[str], i: int) -> bytes:
    return _bytes(images[i]["image"], ids[i])


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


def _check_unique(ids: list[str], about: Source) -> None:
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
