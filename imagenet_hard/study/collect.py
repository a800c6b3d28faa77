"""From the scores of an exhaustive run to the correctness matrix."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.store import FILE, CurationStore, ImageRecord, Views
from imagenet_hard.imagenet.zoom_list import indices
from imagenet_hard.study.matrix import Images, Matrix, MatrixInfo


def collect(recipe: Recipe, work: Path, *, partial: bool = False) -> Matrix:
    """The matrix of what ``work`` holds.

    Images that could not be scored, or not by every classifier, are left out and named in ``left_out``;
    with ``partial`` those that an unfinished run has not come to are simply not there yet.

    Raises:
        ResultError: no scores, those of another recipe or of a run that stopped at the first right
            zoom, an unfinished run without ``partial``, damaged rows, or no image at all.
    """
    with CurationStore(work / FILE) as store:
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
