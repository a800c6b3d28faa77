"""Small built data sets, as a build leaves them: Parquet shards, a card and a manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from imagenet_hard.dataset.fingerprint import fingerprint
from tests.dataset.images import CARD, parquet, published, rows


def built(folder: Path, n: int = 4, *, shards: int = 2, version: str = "1.0.0", **extra: bytes) -> Path:
    """A build of ``n`` rows; ``extra`` are more files in its folder, by name with ``_`` for the dot."""
    columns = rows(n)
    whole = published(columns)
    files = {"README.md": CARD.encode(), **{name.replace("_", "."): data for name, data in extra.items()}}
    for i in range(shards):
        part = whole.select(range(i * n // shards, (i + 1) * n // shards))
        files[f"data/validation-{i:05d}-of-{shards:05d}.parquet"] = parquet(part)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_manifest(folder, n, version=version, fingerprint=row_fingerprint(columns))
    return folder


def row_fingerprint(columns: dict[str, list[Any]]) -> str:
    """The fingerprint of rows whose ids are their numbers."""
    hashes = [hashlib.sha256(image["bytes"]).hexdigest() for image in columns["image"]]
    return fingerprint((str(i), columns["label"][i], sha) for i, sha in enumerate(hashes))


def write_manifest(folder: Path, n: int, **values: Any) -> None:
    """The manifest of the files that lie in ``folder``."""
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    manifest = {
        "schema_version": 1,
        "name": "small",
        "recipe_sha256": "0" * 64,
        "n": n,
        **values,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def rewrite_manifest(folder: Path) -> None:
    """Bring the manifest in line with files that a test has put there."""
    kept = json.loads((folder / "manifest.json").read_text())
    write_manifest(folder, kept["n"], version=kept["version"], fingerprint=kept["fingerprint"])
