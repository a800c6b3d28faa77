"""Images that are wrong at the standard view and right under another zoom, to be looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import OpenSource, Survivor, View
from imagenet_hard.curation.review.pictures import Pictures
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.imagenet.zoom import ZoomGrid

PER_SOURCE = 6

SIDE = 420
"""Longest side of a picture in pixels."""

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels of the image; may reach beyond it."""


@dataclass(frozen=True)
class Shown:
    """One image. ``whole``, ``crop``: ``data:`` addresses; the boxes are of the two zooms."""

    id: str
    source: str
    labels: tuple[int, ...]
    size: tuple[int, int]
    standard: View
    zoomed: View
    whole: str
    crop: str
    standard_box: Box
    zoomed_box: Box
    zoom_text: str


def gallery(
    recipe: Recipe, sources: Sequence[OpenSource], work: Path, per_source: int = PER_SOURCE
) -> list[Shown]:
    """The images whose best zoom is surest, ``per_source`` each, one classifier an image.

    Raises:
        DatasetError: an image has changed since it was scored, or is in none of the sources.
        ImageError: it cannot be read.
    """
    grids = {each.id: recipe.grid(each.size) for each in recipe.classifiers}
    best = _turned(work, grids, per_source)
    found = [each for spec in recipe.sources for each in best.get(spec.id, ())]
    pictures = Pictures(sources, recipe, found, side=SIDE)
    return [_shown(each, pictures, grids) for each in found]


def _turned(work: Path, grids: dict[str, ZoomGrid], per_source: int) -> dict[str, list[Survivor]]:
    best = defaultdict[str, list[tuple[float, Survivor]]](list)
    with CurationStore(work / FILE) as store:
        for record in store.images(state="solved"):
            turned = []
            for name, views in store.views(record.id).items():
                if not views.tried.all():
                    continue
                standard, zoom = grids[name].standard, int(np.argmin(views.deficit))
                if views.deficit[standard] > 0 > views.deficit[zoom]:
                    both = [
                        View(name, z, int(views.predicted[z]), float(views.deficit[z]))
                        for z in (standard, zoom)
                    ]
                    turned.append((both[1].deficit, both))
            if turned:
                deficit, (first, second) = min(turned, key=lambda each: each[0])
                found = Survivor(
                    record.id,
                    record.source,
                    record.labels,
                    record.sha256,
                    standard=(first,),
                    closest=(second,),
                )
                best[record.source] = sorted([*best[record.source], (deficit, found)], key=lambda x: x[0])
                del best[record.source][per_source:]
    return {name: [each for _, each in kept] for name, kept in best.items()}


def _shown(each: Survivor, pictures: Pictures, grids: dict[str, ZoomGrid]) -> Shown:
    standard, zoomed = each.standard[0], each.closest[0]
    grid, picture = grids[zoomed.classifier], pictures.picture(each)
    return Shown(
        each.id,
        each.source,
        each.labels,
        picture.size,
        standard,
        zoomed,
        picture.whole,
        picture.views[zoomed.classifier, zoomed.zoom],
        grid.shown(standard.zoom, picture.size),
        grid.shown(zoomed.zoom, picture.size),
        str(grid[zoomed.zoom]),
    )
