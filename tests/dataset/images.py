"""Small encoded images, and data sets made of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WNIDS = ("n01440764", "n01443537", "n01484850")
"""Classes 0, 1 and 2."""


def picture(seed: int = 0, size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A reproducible RGB picture; ``size`` is (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The image as a file of ``format``."""
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0) -> bytes:
    """A small JPEG, different for each seed."""
    return encoded(picture(seed), "JPEG")


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces ``width`` x ``height`` RGB pixels and has none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data, b"IEND")
    )


def class_tree(root: Path, folders: Sequence[str] = WNIDS, per_class: int = 2) -> Path:
    """A folder with ``per_class`` JPEGs in each of ``folders``."""
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for i in range(per_class):
            (root / folder / f"{i}.JPEG").write_bytes(jpeg(number * 100 + i))
    return root


def rows(n: int = 6) -> dict[str, list[Any]]:
    """``n`` rows with the columns of the published data set."""
    return {
        "image": [{"bytes": jpeg(i), "path": f"{i}.jpg"} for i in range(n)],
        "label": [[i, 10 + i] if i % 2 else [i] for i in range(n)],
        "origin": [("imagenet", "imagenet_sketch")[i % 2] for i in range(n)],
        "english_label": [["x"] for _ in range(n)],
    }


def published(columns: dict[str, list[Any]] | None = None, **features: Any) -> Any:
    """A ``datasets.Dataset`` with the published features; ``features`` replace or add some."""
    from datasets import Dataset, Features, List, Value
    from datasets import Image as ImageFeature

    columns = rows() if columns is None else columns
    known = {
        "image": ImageFeature(),
        "label": List(Value("int64")),
        "origin": Value("string"),
        "english_label": List(Value("string")),
        **features,
    }
    return Dataset.from_dict(columns, features=Features({name: known[name] for name in columns}))


CARD = """---
configs:
- config_name: default
  data_files:
  - split: validation
    path: data/validation-*
---
# A small set
"""


def parquet(dataset: Any) -> bytes:
    """The data set as one Parquet file."""
    buffer = BytesIO()
    dataset.to_parquet(buffer)
    return buffer.getvalue()


def build(folder: Path, dataset: Any, *, split: str = "validation", card: str | None = CARD) -> Path:
    """Write a built data set as the Hub holds it: Parquet in data/ and a README."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / f"{split}-00000-of-00001.parquet").write_bytes(parquet(dataset))
    if card is not None:
        (folder / "README.md").write_text(card)
    return folder
