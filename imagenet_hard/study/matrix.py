"""The correctness matrix, images x classifiers x zooms, a bit each: what a whole study rests on.

It is collected from the scores of an exhaustive run and kept in a file of its own.

One ``.npz`` file without pickles: ``info``, the JSON of ``MatrixInfo`` as bytes, and ``bits``. Columns
are the recipe's zooms for crops of 224; a classifier of another input size fills them with the zooms
that show the same.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
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
from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.store import FILE as SCORES_FILE
from imagenet_hard.curation.store import CurationStore, ImageRecord, Views
from imagenet_hard.imagenet.zoom import ANCHORS, ZoomGrid
from imagenet_hard.imagenet.zoom_list import indices

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


def collect(recipe: Recipe, work: Path, *, partial: bool = False) -> Matrix:
    """The matrix of what ``work`` holds.

    Images that could not be scored, or not by every classifier, are left out and named in ``left_out``;
    with ``partial`` those that an unfinished run has not come to are simply not there yet.

    Raises:
        ResultError: no scores, those of another recipe or of a run that stopped at the first right
            zoom, an unfinished run without ``partial``, damaged rows, or no image at all.
    """
    with CurationStore(work / SCORES_FILE) as store:
        _check(store, recipe, partial)
        summary = store.summary()
        columns = {each.id: indices(recipe.grid(), recipe.grid(each.size)) for each in recipe.classifiers}
        sizes = {each.id: len(recipe.grid(each.size)) for each in recipe.classifiers}
        by_source = defaultdict[str, list[ImageRecord]](list)
        rows = defaultdict[str, list[NDArray[np.uint8]]](list)
        left_out: dict[str, str] = {}
        for record in store.images():
            if record.state == "failed":
                left_out[record.id] = record.error or "it could not be scored"
                continue
            views = store.views(record.id)
            if lacking := [name for name in columns if name not in views or not views[name].tried.all()]:
                if record.state != "open":  # it is solved by one classifier while another fails on it
                    left_out[record.id] = f"{', '.join(lacking)} failed under some of its zooms"
                continue
            by_source[record.source].append(record)
            rows[record.source].append(_bits(views, columns, sizes, f"{store.path}: image {record.id!r}"))
    found = [spec for spec in recipe.sources if by_source[spec.id]]
    if not found:
        raise ResultError(f"{work} holds no image whose zooms have all been tried: let the run go on")
    info = MatrixInfo(
        recipe=recipe.name,
        recipe_sha256=recipe.scoring_sha256(),
        scales=recipe.scales,
        classifiers={each.id: summary.classifiers[each.id] for each in recipe.classifiers},
        images=tuple(_images(spec, by_source[spec.id]) for spec in found),
        left_out=left_out,
    )
    return Matrix(info, np.concatenate([np.stack(rows[spec.id], axis=1) for spec in found], axis=1))


def _check(store: CurationStore, recipe: Recipe, partial: bool) -> None:
    if store.fact("recipe_sha256") != recipe.scoring_sha256():
        raise ResultError(
            f"{store.path} holds the scores of the recipe {store.fact('recipe_name')!r} as it was then, not "
            f"of this {recipe.name!r}: give the --recipe that was run, or another --work"
        )
    if store.fact("mode") != "exhaustive":
        raise ResultError(
            f"{store.path} was scored in the mode {store.fact('mode')}, which leaves out zooms of solved "
            "images: the study needs `imagenet-hard study run` (or `curate score --exhaustive`)"
        )
    summary = store.summary()
    if not partial and not summary.complete:
        sizes = json.loads(store.fact("sizes") or "{}")
        done = sum(summary.solved.values()) + sum(summary.hard.values())
        raise ResultError(
            f"{store.path} is not complete: {done:,} of {sum(sizes.values()):,} images are done. Let "
            "`imagenet-hard study run` go on, or report on these with --partial"
        )


def _bits(
    views: dict[str, Views], columns: dict[str, list[int]], sizes: dict[str, int], where: str
) -> NDArray[np.uint8]:
    """uint8 (classifiers, ceil(zooms / 8)) of one image."""
    right = []
    for name, wanted in columns.items():
        deficit = views[name].deficit
        if len(deficit) != sizes[name]:
            raise ResultError(f"{where} has {len(deficit)} zooms of {name}: expected {sizes[name]}")
        right.append(deficit[wanted] < 0)
    return np.packbits(np.array(right), axis=1)


def _images(spec: SourceSpec, records: list[ImageRecord]) -> Images:
    # The paper has ReaL's labels alone and united with the original ones as two sets.
    variant = spec.variant + ("+original" if spec.original_labels else "")
    return Images(
        source=spec.id,
        variant=variant,
        ids=tuple(record.id for record in records),
        sha256=tuple(record.sha256 for record in records),
    )
