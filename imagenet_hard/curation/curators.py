"""The classifiers that images have to defeat: loaded under the zoom's crop, and put in order of cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.policy import with_policy
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import IMAGENET_MEAN, IMAGENET_STD
from imagenet_hard.curation.recipe import ClassifierSpec, Recipe
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.errors import ClassifierError
from imagenet_hard.zoom import ZoomGrid


@dataclass(frozen=True)
class Curator:
    """A classifier that images have to defeat: its id in the recipe, and its zooms."""

    id: str
    classifier: Classifier
    grid: ZoomGrid


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


def cheapest_first(curators: Sequence[Curator], settings: RunSettings) -> list[Curator]:
    """By the measured time of a crop: what a cheap classifier solves, no dear one has to see."""
    if len(curators) < 2:
        return list(curators)
    return sorted(curators, key=lambda curator: seconds_per_crop(curator, settings))


def seconds_per_crop(curator: Curator, settings: RunSettings) -> float:
    """Wall time of a crop in a full batch, the best of three after one to warm up.

    Raises:
        ClassifierError: the classifier does not run.
    """
    import torch

    settings = replace(settings, precision="fp32")
    forward = Forward(curator.classifier, settings, resolve_device(settings.device))
    size = curator.grid.size
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (size, size, 3), np.uint8)] * forward.batch_size
    times = []
    try:
        with keep_activations():
            for _ in range(4):
                start = time.perf_counter()
                forward.logits(crops, ["noise"] * len(crops)).cpu()
                times.append(time.perf_counter() - start)
    except torch.OutOfMemoryError as error:
        raise ClassifierError(
            f"{curator.id} does not fit on {forward.device} at batch size {forward.batch_size}: "
            "give a smaller --batch-size"
        ) from error
    return min(times[1:]) / len(crops)
