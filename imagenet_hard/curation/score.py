"""Score a recipe: its classifiers against its sources, into a work folder that a later run goes on with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imagenet_hard.classifiers.policy import with_policy
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import IMAGENET_MEAN, IMAGENET_STD
from imagenet_hard.curation.hardness import Curator, FilterProgress, HardnessFilter
from imagenet_hard.curation.recipe import ClassifierSpec, Recipe
from imagenet_hard.curation.records import OpenSource, ScoreSummary
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.errors import ClassifierError, ResultError, UsageError

Mode = str
MODES: dict[Mode, str] = {
    "early-exit": "an image leaves at its first right zoom; float32",
    "screening": "the same, with bfloat16 sorting out what is far from right",
    "exhaustive": "every zoom of every image and classifier; float32",
}


def score(
    recipe: Recipe,
    sources: Sequence[OpenSource],
    work: Path,
    settings: RunSettings,
    *,
    mode: Mode = "early-exit",
    curators: Sequence[Curator] | None = None,
    on_progress: Callable[[FilterProgress], None] = lambda progress: None,
) -> ScoreSummary:
    """Find out which images of ``sources`` no zoom of the recipe's classifiers solves.

    What ``work`` holds already is not done again, also after ``kill -9``. ``curators``: as
    ``load_curators`` gives them, which is called otherwise.

    Raises:
        ClassifierError: a classifier that cannot be loaded or run.
        ResultError: ``work`` belongs to another recipe, mode or weights, or cannot be written.
        DatasetError: a source has changed since an earlier run.
        UsageError: an unknown mode, or a precision other than fp32.
    """
    if mode not in MODES:
        raise UsageError(f"scoring mode {mode!r}: expected {', '.join(MODES)}")
    if settings.precision != "fp32":
        raise UsageError(
            f"hardness is decided in fp32, not in {settings.precision}: for speed, let bfloat16 screen"
        )
    with CurationStore(work / FILE, create=True) as store:
        claim(store, recipe, mode)
        loaded = list(load_curators(recipe, settings.device) if curators is None else curators)
        _same_classifiers(store, loaded)
        store.remember(
            classifiers=json.dumps({c.id: c.classifier.spec.model_dump(mode="json") for c in loaded}),
            standard=json.dumps({c.id: c.grid.standard for c in loaded if c.grid.has_standard}),
            finished="no",
        )
        run = HardnessFilter(
            sources,
            cheapest_first(loaded, settings),
            store,
            settings,
            exif=recipe.exif,
            exhaustive=mode == "exhaustive",
            screening=mode == "screening",
            on_progress=on_progress,
        )
        run.run()
        return store.summary()


def load_curators(recipe: Recipe, device: str = "cpu") -> list[Curator]:
    """The recipe's classifiers under the zoom's crop, in its order.

    Raises:
        ClassifierError: unknown, without weights, or unable to take the crop's size.
    """
    return [load_curator(recipe, spec, device) for spec in recipe.classifiers]


def load_curator(recipe: Recipe, spec: ClassifierSpec, device: str = "cpu") -> Curator:
    """One classifier of a recipe.

    Raises:
        ClassifierError, UsageError: as ``load_classifier`` and ``with_policy``.
    """
    classifier = load_classifier(
        spec.model,
        weights=spec.weights,
        pretrained=spec.pretrained,
        templates=spec.templates,
        device=str(resolve_device(device)),
    )
    view: dict[str, object] = {"crop": spec.size, "interpolation": "bicubic"}
    if spec.normalization == "imagenet":
        view |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    return Curator(spec.id, with_policy(classifier, view), recipe.grid(spec.size))


def claim(store: CurationStore, recipe: Recipe, mode: Mode) -> None:
    """Make the store this recipe's, or check that it is.

    Raises:
        ResultError: it was begun by another recipe or in another mode.
    """
    mine = {"recipe_sha256": recipe.scoring_sha256(), "mode": mode}
    for name, value in mine.items():
        before = store.fact(name)
        if before not in (None, value):
            what = (
                f"the recipe {store.fact('recipe_name')!r} as it was then ({before[:12]}...)"
                if name == "recipe_sha256"
                else f"the mode {before}"
            )
            now = f"{recipe.name!r} ({value[:12]}...)" if name == "recipe_sha256" else value
            raise ResultError(
                f"{store.path} was begun with {what}, and cannot go on with {now}: scores of two kinds do "
                "not belong together. Give another --work folder, or what was given then"
            )
    store.remember(**mine, recipe_name=recipe.name)


def _same_classifiers(store: CurationStore, curators: Sequence[Curator]) -> None:
    """The weights are those that scored the first part."""
    before = json.loads(store.fact("classifiers") or "{}")
    for curator in curators:
        spec = curator.classifier.spec.model_dump(mode="json")
        old = before.get(curator.id, spec)
        for key in ("weights_sha256", "transform_sha256", "head"):
            if old[key] != spec[key]:
                raise ResultError(
                    f"{curator.id} is not the classifier that {store.path} was begun with: {key} was "
                    f"{old[key]}, now it is {spec[key]}. Restore it, or give another --work folder"
                )


def cheapest_first(curators: Sequence[Curator], settings: RunSettings) -> list[Curator]:
    """By the measured time of a crop: what a cheap classifier solves, no dear one has to see."""
    if len(curators) < 2:
        return list(curators)
    return sorted(curators, key=lambda curator: seconds_per_crop(curator, settings))


def seconds_per_crop(curator: Curator, settings: RunSettings) -> float:
    """Wall time of a crop in a full batch, the second of two (the first one warms up).

    Raises:
        ClassifierError: the classifier does not run.
    """
    import torch

    settings = replace(settings, precision="fp32")
    forward = Forward(curator.classifier, settings, resolve_device(settings.device))
    size = curator.grid.size
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (size, size, 3), np.uint8)] * forward.batch_size
    try:
        for _ in range(2):
            start = time.perf_counter()
            forward.logits(crops, ["noise"] * len(crops)).cpu()
            seconds = time.perf_counter() - start
    except torch.OutOfMemoryError as error:
        raise ClassifierError(
            f"{curator.id} does not fit on {forward.device} at batch size {forward.batch_size}: "
            "give a smaller --batch-size"
        ) from error
    return seconds / len(crops)
