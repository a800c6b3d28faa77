"""The manifest of a build: what it is, and the hash of every file and every image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from imagenet_hard.base.tables import exact_csv
from imagenet_hard.base.types import SCHEMA_VERSION, Record, SchemaVersion
from imagenet_hard.curation.build.selection import Selected
from imagenet_hard.dataset.fingerprint import fingerprint
from imagenet_hard.dataset.versions import IMAGES_COLUMNS

MANIFEST = "manifest.json"


class FileRecord(Record):
    """One file of a build."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Manifest(Record):
    """``manifest.json``. ``fingerprint``: of ids, labels and image bytes, as results name it."""

    schema_version: SchemaVersion = SCHEMA_VERSION
    name: str
    version: str
    recipe_sha256: str = Field(description="of the recipe's text, which the card quotes")
    fingerprint: str
    n: int = Field(ge=1)
    files: dict[str, FileRecord]


def rows_sha256(rows: Sequence[Selected]) -> str:
    """Hash of all that the rows say: ids, origins, labels, image bytes."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.id, row.source, row.labels, row.image_sha256]).encode() + b"\n")
    return digest.hexdigest()


def images_csv(rows: Sequence[Selected], shards: Sequence[str], parts: Sequence[range]) -> bytes:
    """One line an image: id, sha256, labels, origin, shard."""
    shard_of = {row: name for name, part in zip(shards, parts, strict=True) for row in part}
    lines = (
        (row.id, row.image_sha256, " ".join(map(str, row.labels)), row.source, shard_of[number])
        for number, row in enumerate(rows)
    )
    return exact_csv([IMAGES_COLUMNS, *lines]).encode()


def make_manifest(folder: Path, name: str, version: str, recipe: bytes, rows: Sequence[Selected]) -> Manifest:
    """The manifest of the files that lie in ``folder``."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                files[path.relative_to(folder).as_posix()] = FileRecord(sha256=digest, size=file.tell())
    return Manifest(
        name=name,
        version=version,
        recipe_sha256=hashlib.sha256(recipe).hexdigest(),
        fingerprint=fingerprint((row.id, row.labels, row.image_sha256) for row in rows),
        n=len(rows),
        files=files,
    )
