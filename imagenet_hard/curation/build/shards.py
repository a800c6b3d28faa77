"""Parquet shards: rows in order, original bytes untouched, the same bytes out for the same rows in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.build.selection import Selected
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.dataset.decode import is_turned
from imagenet_hard.imagenet.classes import names

GROUP_ROWS = 100
GROUP_BYTES = 32 * 2**20
"""A row group ends at either: readers fetch and hold one at a time, and so does the writer."""

SPLIT = "validation"

OPTIMIZED: Mapping[str, Any] = MappingProxyType(
    {
        "use_content_defined_chunking": {"min_chunk_size": 2**10, "max_chunk_size": 2**14, "norm_level": 0},
        "write_page_index": True,
    }
)
"""As the Hub asks for: pages end where the content says, so that another version of the set shares them
with this one and only what changed is uploaded; an index of pages lets its viewer read at random.

The chunks are smaller than images, so that each image is a page of its own. By pyarrow's defaults (256 KiB
to 1 MiB) some images share one, and where one of them changes or goes all of them are sent: for 10 changed
rows of 400 with 1.3 MB hf_xet sent 4.1 MB, with these 1.7 MB; for 10 that are gone 8.3 MB and 4.3 MB."""


class SelectedImages:
    """The bytes of selected rows, each compared with the hash that was scored."""

    def __init__(self, sources: Sequence[OpenSource]) -> None:
        self._place = {id: (source, row) for source in sources for row, id in enumerate(source.images.ids)}

    def measure(
        self, rows: Sequence[Selected], on_progress: Callable[[int], object]
    ) -> tuple[list[int], tuple[str, ...]]:
        """Bytes of each encoded image, and the ids of those with an EXIF orientation; every row is read.

        Raises:
            DatasetError: images have other bytes than when they were scored, or none.
        """
        sizes, turned, changed = [], [], []
        for row in rows:
            try:
                data = self.read(row)
            except (DatasetError, ImageError):
                changed.append(row.id)
            else:
                sizes.append(len(data))
                turned += [row.id] if is_turned(data) else []
            on_progress(1)
        if changed:
            raise _changed(changed)
        return sizes, tuple(turned)

    def read(self, row: Selected) -> bytes:
        """The encoded image.

        Raises:
            DatasetError: it has other bytes than when it was scored.
            ImageError: it cannot be read.
        """
        source, number = self._place[row.place]
        data = source.images[number].image
        if hashlib.sha256(data).hexdigest() != row.image_sha256:
            raise _changed([row.id])
        return data


def features() -> Any:
    """The published schema, and ``id``."""
    from datasets import Features, Image, List, Value

    return Features(
        {
            "image": Image(),
            "label": List(Value("int64")),
            "origin": Value("string"),
            "english_label": List(Value("string")),
            "id": Value("string"),
        }
    )


def partition(sizes: Sequence[int], shard_bytes: int) -> list[range]:
    """Consecutive rows to shards of at most ``shard_bytes`` image bytes, at least one row each."""
    shards, start, total = [], 0, 0
    for row, size in enumerate(sizes):
        if row > start and total + size > shard_bytes:
            shards.append(range(start, row))
            start, total = row, 0
        total += size
    shards.append(range(start, len(sizes)))
    return shards


def shard_names(n: int, content: str) -> list[str]:
    """``data/validation-00000-of-00002-<hash>.parquet``.

    The hash of the rows is in the name because ``datasets`` caches by the card's file names: a
    rebuilt data set under the same names would be served from the old one's cache.
    """
    return [f"data/{SPLIT}-{i:05d}-of-{n:05d}-{content[:16]}.parquet" for i in range(n)]


def write_shard(
    path: Path,
    rows: Sequence[Selected],
    read: Callable[[Selected], bytes],
    on_progress: Callable[[int], object] = lambda n: None,
) -> None:
    """One Parquet file; uncompressed, as images are compressed already."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features().arrow_schema
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="NONE", **OPTIMIZED) as writer:
            for group in _groups(rows, read):
                writer.write_table(pa.Table.from_pylist(group, schema), row_group_size=len(group))
                on_progress(len(group))
        file.flush()
        os.fsync(file.fileno())


def _groups(rows: Sequence[Selected], read: Callable[[Selected], bytes]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        data = read(row)
        if group and (len(group) == GROUP_ROWS or size + len(data) > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(as_row(row, data))
        size += len(data)
    yield group


def _changed(ids: Sequence[str]) -> DatasetError:
    return DatasetError(
        f"{len(ids)} images have changed since they were scored, or cannot be read: {shorten_list(ids)}. "
        "Restore them, or score again into another --work folder"
    )


def as_row(row: Selected, data: bytes) -> dict[str, Any]:
    """A row of the data set. The path is the file's own name: nothing local leaks."""
    english = names()
    return {
        "image": {"bytes": data, "path": PurePosixPath(row.id).name},
        "label": list(row.labels),
        "origin": row.source,
        "english_label": [english[label] for label in row.labels],
        "id": row.id,
    }
