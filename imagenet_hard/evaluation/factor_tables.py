"""Tables of factors: what is odd about each image, such as its pose or its background.

ImageNet-X (Idrissi et al. 2022, arXiv 2211.01866) has one of ImageNet's validation images, a JSON object a
line: ``file_name``, ``class``, a 0 or 1 for each of 16 factors, and words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.records import no_repeats, reason_of
from imagenet_hard.base.tables import read_csv
from imagenet_hard.base.text import counted, shorten
from imagenet_hard.dataset.image_names import match_names
from imagenet_hard.imagenet.originals import original_file

MAX_BYTES = 256 * 2**20
MAX_FACTORS = 200

KEYS = ("id", "file_name", "file", "image_sha256", "sha256")
"""What a row may name its image by; the first that is there counts."""

WORDS = ("class", "justification", "one_word", "metaclass", "labels", "origin", "shard")
"""What a table may have besides factors."""

HASHES = ("sha256", "image_sha256")


@dataclass(frozen=True)
class Factors:
    """Of k images: ``rows``, the image's name in the table -> its row; ``present`` bool (k, f), which of the
    factors ``names`` it has. ``by``: what ``rows`` are, one of ``KEYS``."""

    path: Path
    by: str
    names: tuple[str, ...]
    rows: Mapping[str, int]
    present: NDArray[np.bool_]

    def found(self, ids: Sequence[str], sha256: Mapping[str, str]) -> NDArray[np.intp]:
        """intp (n,): the row of each image, -1 where there is none; ``sha256``: id -> hash, where known.

        By its very name first, then by that of its original file, as label files name images
        (``dataset/image_names.py``). Images made of one original share its row.

        Raises:
            ResultError: none has a row.
            DatasetError: a row fits two images, or an image two rows.
        """
        if self.by in HASHES:
            rows = [self.rows.get(sha256.get(id, ""), -1) for id in ids]
        else:
            called = {id: id if id in self.rows else original_file(id) or id for id in ids}
            names = match_names(dict.fromkeys(called.values()), self.rows, str(self.path))
            rows = [self.rows[names[name]] if (name := called[id]) in names else -1 for id in ids]
        if max(rows) < 0:
            how = "give --hashes, a CSV with id and sha256 of the images" if self.by in HASHES else ""
            raise ResultError(
                f"{self.path} has none of the {counted(len(ids), 'image')}: {self.by} is such as "
                f"{shorten(next(iter(self.rows)))}, the images' ids are such as {shorten(ids[0])}"
                + (f"; {how}" if how else "")
            )
        return np.array(rows, np.intp)


def read_factors(path: Path) -> Factors:
    """A table of factors: JSON lines as ImageNet-X has them, or CSV with a header.

    An image a row: one of ``KEYS``, and 0 or 1 for each factor; ``WORDS`` are passed over.

    Raises:
        ResultError: ``FILE:LINE:`` with what stands there and what was expected.
    """
    lines = _csv_lines(path) if path.suffix.lower() == ".csv" else _json_lines(path)
    header: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    by, rows, present = "", dict[str, int](), list[list[bool]]()
    for place, row in lines:
        if not header:
            header = tuple(row)
            by, names = _columns(place, header)
        elif set(row) != set(header):
            raise ResultError(
                f"{place}: got the keys {shorten(sorted(row))}, expected {shorten(sorted(header))}"
            )
        image = row[by]
        if not isinstance(image, str) or not image:
            raise ResultError(f"{place}: {by} is {shorten(image)}: expected the name of an image")
        if image in rows:
            raise ResultError(f"{place}: the image {shorten(image)} is there twice")
        rows[image] = len(present)
        present.append([_flag(place, name, row[name]) for name in names])
    if not rows:
        raise ResultError(f"{path} has no image")
    return Factors(path, by, names, rows, np.array(present, np.bool_))


def _columns(place: str, header: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What names the image, and the factors."""
    by = next((key for key in KEYS if key in header), "")
    names = tuple(name for name in header if name not in KEYS and name not in WORDS)
    if not by or not 0 < len(names) <= MAX_FACTORS:
        raise ResultError(
            f"{place}: got the columns {shorten(list(header))}: expected one of {', '.join(KEYS)}, and 1 to "
            f"{MAX_FACTORS} factors with 0 or 1 for each image"
        )
    return by, names


def _flag(place: str, name: str, value: Any) -> bool:
    if value not in (0, 1, "0", "1"):
        raise ResultError(f"{place}: {shorten(name)} is {shorten(value)}: expected 0 or 1")
    return value in (1, "1")


def _csv_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    header, rows = read_csv(path, limit=MAX_BYTES)
    if len(set(header)) < len(header):
        raise ResultError(f"{path}:1: a column is there twice: {shorten(header)}")
    return ((place, dict(zip(header, cells, strict=True))) for place, cells in rows)


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(read_bounded(path, MAX_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line, object_pairs_hook=no_repeats)
        except (ValueError, RecursionError) as error:
            raise ResultError(
                f"{place}: expected a JSON object a line, or a file called .csv ({reason_of(error)})"
            ) from None
        if not isinstance(row, dict):
            raise ResultError(f"{place}: got {shorten(row)}, expected a JSON object")
        yield place, row


def read_image_hashes(path: Path) -> dict[str, str]:
    """Image id -> sha256 of its bytes, of a CSV with such columns, as a built set's ``images.csv``.

    Raises:
        ResultError: it is no such file.
    """
    return {id: sha for _, (id, sha) in read_csv(path, ("id", "sha256"), more=True, limit=MAX_BYTES)[1]}
