"""Whether a build is what its manifest says: every file, every image, and the fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.records import read_record
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.build.manifest import MANIFEST, Manifest
from imagenet_hard.curation.build.shards import GROUP_ROWS, features
from imagenet_hard.curation.publish import read_build
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.dataset.versions import IMAGES, IMAGES_COLUMNS
from imagenet_hard.imagenet.classes import names

SHOWN = 20

Line = tuple[str, ...]
"""What ``images.csv`` says of an image: the values of its columns."""


def verify_build(folder: Path) -> Manifest:
    """The manifest of the build in ``folder``, after every hash in it has been computed again.

    Files first; then each row of the Parquet files, with its image's bytes, against ``images.csv``,
    and the number of rows and the fingerprint against the manifest. Holds one row group in memory.

    Raises:
        UsageError: there is no such folder.
        DatasetError: it is no build, or differs from what it says; the differences are named.
        ResultError: the manifest cannot be read.
    """
    read_build(folder)
    manifest = read_record(folder / MANIFEST, Manifest)
    problems = list[str]()
    shards = sorted(name for name in manifest.files if name.endswith(".parquet"))
    found = [line for shard in shards for line in _stored(folder, shard, problems)]
    _, listed = read_csv(folder / IMAGES, IMAGES_COLUMNS, error=DatasetError)
    problems += _differences([tuple(row.cells) for row in listed], found)
    if len(found) != manifest.n:
        problems.append(f"{MANIFEST} says {manifest.n} images, there are {len(found)}")
    if found and len({line[0] for line in found}) == len(found):
        rows = ((id, map(int, labels.split()), sha256) for id, sha256, labels, *_ in found)
        if fingerprint(rows) != manifest.fingerprint:
            problems.append(f"the fingerprint is not that of {MANIFEST}")
    if problems:
        raise DatasetError(
            f"{folder} is not as its manifest says: {shorten_list(problems, SHOWN, '; ')}. Build it again"
        )
    return manifest


def _stored(folder: Path, shard: str, problems: list[str]) -> Iterator[Line]:
    """One line for each row of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    english = names()
    try:
        with pq.ParquetFile(folder / shard) as file:
            schema, expected = file.schema_arrow, features().arrow_schema
            if (schema.names, schema.metadata) != (expected.names, expected.metadata):
                problems.append(f"{shard} has other columns than a build's")
                return
            for batch in file.iter_batches(GROUP_ROWS):
                for row in batch.to_pylist():
                    if row["english_label"] != [english[label] for label in row["label"]]:
                        problems.append(f"{row['id']!r} has english_label {row['english_label']}")
                    sha256 = hashlib.sha256(row["image"]["bytes"]).hexdigest()
                    yield row["id"], sha256, " ".join(map(str, row["label"])), row["origin"], shard
    except (pa.ArrowException, OSError) as error:
        problems.append(f"{shard} cannot be read ({error})")
    except (TypeError, IndexError):  # null where a build has none, or no class
        problems.append(f"{shard} has a row that is no labelled image")


def _differences(listed: list[Line], found: list[Line]) -> Iterator[str]:
    """Each image that only one of both has, that one has twice, or about which they differ."""
    for what, lines in ((IMAGES, listed), ("the Parquet files", found)):
        seen: set[str] = set()
        for line in lines:
            if line[0] in seen:
                yield f"{line[0]!r} is twice in {what}"
            seen.add(line[0])
    stored, said = ({line[0]: line for line in lines} for lines in (found, listed))
    for id in sorted(stored.keys() | said.keys()):
        if id not in stored or id not in said:
            yield f"{id!r} is only in {IMAGES if id in said else 'the Parquet files'}"
        elif stored[id] != said[id]:
            columns = zip(IMAGES_COLUMNS, stored[id], said[id], strict=True)
            which = [f"{name} {a}, not {b}" for name, a, b in columns if a != b]
            yield f"{id!r} has {' and '.join(which)}"
