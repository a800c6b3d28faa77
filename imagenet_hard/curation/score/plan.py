"""What a recipe reads and what it costs, before anything runs.

Sources are listed, classifiers loaded and timed on a few batches; then the cost follows from how
many images the classifiers leave unsolved, which nobody knows beforehand: the plan says what it assumes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_hard.base.errors import ImageError, ImageNetHardError, UsageError
from imagenet_hard.base.records import line_of, record_path
from imagenet_hard.classifiers.transform import fixed_images, to_rgb
from imagenet_hard.curation.recipe import FOLDER, Recipe
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.curation.score.classifiers import (
    ZoomClassifier,
    arrange,
    load_zoom_classifier,
    seconds_per_crop,
)
from imagenet_hard.curation.score.order import ZoomOrder
from imagenet_hard.curation.sources import open_source, unwanted
from imagenet_hard.curation.sources.exclusions import image_sha256s, near_copies, read_exclusions
from imagenet_hard.dataset.copies import Copy
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import ZoomGrid

PROBED = 16
"""Images of a source that are read and decoded to time it."""

SURVIVING = (0.01, 0.11)
"""Assumed share of hard images: what 324 zooms left of CLIP ViT-L/14's errors on the seven sets of the
paper, from ImageNet-R's 0.8 % to Sketch's 11 %."""

BYTES_PER_IMAGE = 400
BYTES_PER_VIEW = 8
"""Of the store: a row of an image, and one zoom of one classifier on a hard one."""


@dataclass(frozen=True)
class SourcePlan:
    """One source: its images, and the measured seconds to read and decode one, on one core."""

    id: str
    where: str
    licence: str
    n: int
    mask: str
    seconds_per_image: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ClassifierPlan:
    """One classifier: who it is, and the measured seconds of a crop in a full batch."""

    id: str
    parameters: int | None
    input_size: int
    zooms: int
    seconds_per_crop: float


@dataclass(frozen=True)
class Plan:
    """The whole: sizes, rates, and the cost range under ``SURVIVING``.

    ``seconds``: wall time for the lowest and the highest share of hard images. ``store_bytes``: of
    the scores file then. ``cut_seconds``: to resize and crop one zoom, on one core. ``duplicates``: ids
    of images with equal bytes, as far as that is no variant's design and no exclusion settles it; None
    where they were not looked for. ``near_copies``: those that show the same picture in other bytes; None
    as well where ImageHash is not installed.
    """

    recipe: str
    sources: tuple[SourcePlan, ...]
    classifiers: tuple[ClassifierPlan, ...]
    cut_seconds: float
    crops_per_solved_image: float
    workers: int
    seconds: tuple[float, float]
    store_bytes: tuple[int, int]
    duplicates: tuple[tuple[str, ...], ...] | None = None
    near_copies: tuple[Copy, ...] | None = None

    @property
    def n(self) -> int:
        """Images in all."""
        return sum(source.n for source in self.sources)


def plan(
    recipe: Recipe,
    path: Path,
    root: Path,
    settings: RunSettings,
    *,
    exhaustive: bool = False,
    quick: bool = False,
    on_progress: Callable[[int], object] = lambda n: None,
) -> Plan:
    """Open every source, load and time every classifier, and say what scoring will take.

    ``path``: the recipe's file, whose lines are named when something in it cannot work. ``quick``: do not
    read every image to find duplicates; ``on_progress`` is told of those read.

    Raises:
        UsageError: ``FILE:LINE: place: why`` for the first source or classifier that cannot work.
        DatasetError: exclusions that cannot be read, or name images that no source has.
    """
    sources, classifiers = [], []
    for i, source in enumerate(recipe.sources):
        with _naming_the_line(path, "sources", i):
            sources.append(open_source(source, root, exif=recipe.exif))
    for i, classifier in enumerate(recipe.classifiers):
        with _naming_the_line(path, "classifiers", i):
            classifiers.append(
                load_zoom_classifier(classifier, recipe.grid(classifier.size), settings.device)
            )
    excluded = read_exclusions(recipe.exclusions, path, sources)
    found = None if quick else unwanted(sources, image_sha256s(sources, on_progress), excluded)
    ids = [id for source in sources for id in source.images.ids if id not in excluded]
    near = None if quick else near_copies(sources, ids, on_progress)
    workers = settings.decode_workers()
    source_plans = tuple(_source_plan(recipe, source) for source in sources)
    timed = arrange(classifiers, settings).of(classifiers)
    classifier_plans = tuple(_classifier_plan(classifier, settings) for classifier in timed)
    cut = seconds_per_cut(recipe.grid())
    expected = expected_crops(recipe.grid())
    n = sum(len(source.images) for source in sources)
    decode_seconds = sum(s.n * s.seconds_per_image for s in source_plans) / workers

    def cost(share: float) -> float:
        every = sum(c.zooms * (c.seconds_per_crop + cut / workers) for c in classifier_plans)
        if exhaustive:
            return decode_seconds + n * every
        first = classifier_plans[0].seconds_per_crop + cut / workers
        return decode_seconds + n * ((1 - share) * expected * first + share * every)

    kept = sum(c.zooms for c in classifier_plans) * BYTES_PER_VIEW

    def size(share: float) -> int:
        return int(n * (BYTES_PER_IMAGE + (1.0 if exhaustive else share) * kept))

    low, high = SURVIVING
    return Plan(
        recipe.name,
        source_plans,
        classifier_plans,
        cut,
        expected,
        workers,
        (cost(low), cost(high)),
        (size(low), size(high)),
        None if found is None else tuple(each.ids for each in found),
        near,
    )


def recipe_file(name_or_path: str | Path) -> Path:
    """Where a recipe lies.

    Raises:
        UsageError: there is none of that name.
    """
    return record_path(Recipe, name_or_path, FOLDER)


@contextmanager
def _naming_the_line(path: Path, section: str, index: int) -> Iterator[None]:
    try:
        yield
    except ImageNetHardError as error:
        line = line_of(path.read_bytes(), section, index)
        raise UsageError(f"{path}:{line}: {section}[{index}]: {error}") from error


def _source_plan(recipe: Recipe, source: OpenSource) -> SourcePlan:
    spec, images = source.spec, source.images
    step = max(1, len(images) // PROBED)
    rows = range(0, len(images), step)[:PROBED]
    unread = list[str]()
    start = time.perf_counter()
    for row in rows:
        try:
            example = images[row]
            to_rgb(decode(example.image, id=example.id, exif=recipe.exif))
        except (ImageError, MemoryError):  # it will be undecided, and the others scored
            unread.append(images.ids[row])
    seconds = (time.perf_counter() - start) / len(rows)
    where = spec.path or f"{spec.hub}@{spec.revision or 'main'}"
    notes = source.notes
    if unread:
        notes += (f"{len(unread)} of {len(rows)} images tried cannot be decoded (first {unread[0]})",)
    return SourcePlan(spec.id, where, spec.licence, len(images), spec.mask_name, seconds, notes)


def _classifier_plan(classifier: ZoomClassifier, settings: RunSettings) -> ClassifierPlan:
    spec = classifier.model.spec
    return ClassifierPlan(
        classifier.id,
        spec.parameters,
        classifier.grid.size,
        len(classifier.grid),
        seconds_per_crop(classifier, settings),
    )


def seconds_per_cut(grid: ZoomGrid) -> float:
    """To resize and crop one zoom of a 500 x 375 image, on one core, each scale resized once."""
    image: Image.Image = fixed_images()[0]
    start = time.perf_counter()
    for _ in grid.crops(image, range(len(grid))):
        pass
    return (time.perf_counter() - start) / len(grid)


def expected_crops(grid: ZoomGrid) -> float:
    """Zooms until an image is solved, for images that are, from the prior of ``ZoomOrder``."""
    order = ZoomOrder({"any": grid})
    unsolved, crops, solved = 1.0, 0.0, 0.0
    tried = 0
    for name, zooms in order.steps():
        rates = order.rates(name)[zooms]
        tried += len(zooms)
        here = unsolved * (1 - float(np.prod(1 - rates)))
        crops, solved, unsolved = crops + here * tried, solved + here, unsolved - here
    return crops / solved
