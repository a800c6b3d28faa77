"""The correctness matrix, images x classifiers x zooms, a bit each: what a whole study rests on.

One ``.npz`` file without pickles: ``info``, the JSON of ``MatrixInfo`` as bytes, and ``bits``. Columns
are the recipe's zooms for crops of 224; a classifier of another input size fills them with the zooms
that show the same.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.records import first_problem
from imagenet_hard.base.types import ModelSpec, Record
from imagenet_hard.imagenet.zoom import ANCHORS, ZoomGrid

FILE = "matrix.npz"

MAX_BYTES = 8 * 2**30
"""Of an unpacked file: ten million images of six classifiers take a quarter more."""

Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Images(Record):
    """One source's images in the matrix's order, by id. ``variant``: as published tables name it."""

    source: Text
    variant: Text
    ids: tuple[Text, ...] = Field(min_length=1)
    sha256: tuple[Text, ...]

    @model_validator(mode="after")
    def _agrees(self) -> Images:
        if len(self.sha256) != len(self.ids):
            raise ValueError(f"{len(self.ids)} ids and {len(self.sha256)} hashes: expected as many")
        return self


class MatrixInfo(Record):
    """What the bits belong to. ``left_out``: image id -> why it is in no row."""

    schema_version: Literal[1] = 1
    recipe: Text
    recipe_sha256: Text
    scales: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    classifiers: dict[str, ModelSpec] = Field(min_length=1)
    images: tuple[Images, ...] = Field(min_length=1)
    left_out: dict[str, str] = Field({})

    @property
    def n_images(self) -> int:
        return sum(len(each.ids) for each in self.images)

    @property
    def n_zooms(self) -> int:
        return len(self.scales) * len(ANCHORS)


@dataclass(frozen=True)
class Matrix:
    """``bits``: uint8 (classifiers, images, ceil(zooms / 8)), 1 = right; first zoom in the highest bit."""

    info: MatrixInfo
    bits: NDArray[np.uint8]

    @property
    def grid(self) -> ZoomGrid:
        """What its columns are."""
        return ZoomGrid(self.info.scales)

    def correct(self, classifier: str, source: str | None = None) -> NDArray[np.bool_]:
        """bool (n, zooms) of one classifier on one source's images, or on all."""
        start, stop = 0, self.info.n_images
        if source is not None:
            start, stop = self._rows(source)
        row = list(self.info.classifiers).index(classifier)
        return np.unpackbits(self.bits[row, start:stop], axis=1, count=self.info.n_zooms).view(np.bool_)

    def by_zoom(self, classifier: str, source: str | None = None) -> NDArray[np.uint8]:
        """uint8 (zooms, ceil(n / 8)): the same with a bit per image, as covers want it."""
        return np.packbits(self.correct(classifier, source).T, axis=1)

    def _rows(self, source: str) -> tuple[int, int]:
        start = 0
        for each in self.info.images:
            if each.source == source:
                return start, start + len(each.ids)
            start += len(each.ids)
        raise KeyError(source)


def write_matrix(matrix: Matrix, path: Path) -> None:
    """Write it whole or not at all; the same matrix gives the same bytes.

    Raises:
        ResultError: the disk is full or read-only.
    """
    info = np.frombuffer(matrix.info.model_dump_json().encode(), np.uint8)
    out = io.BytesIO()
    np.savez_compressed(out, info=info, bits=matrix.bits)
    write_atomically(path, out.getvalue())


def read_matrix(path: Path) -> Matrix:
    """A matrix from its file; nothing in it is executed.

    Raises:
        ResultError: missing, too large, damaged, or inconsistent in itself.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ResultError(f"{path} unpacks to {size:,} bytes: expected at most {MAX_BYTES:,}")
        with np.load(path, allow_pickle=False) as arrays:
            info = MatrixInfo.model_validate_json(arrays["info"].tobytes())
            bits = arrays["bits"]
    except ValidationError as error:
        raise ResultError(f"{path}: {first_problem(error)}") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise ResultError(
            f"cannot read the matrix {path}: {error}. Expected the {FILE} of `imagenet-hard study report`"
        ) from error
    shape = (len(info.classifiers), info.n_images, -(-info.n_zooms // 8))
    if bits.dtype != np.uint8 or bits.shape != shape:
        raise ResultError(f"{path}: bits is {bits.dtype} {bits.shape}, expected uint8 {shape}")
    return Matrix(info, bits)
