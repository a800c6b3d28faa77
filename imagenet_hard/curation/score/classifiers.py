"""The classifiers that images have to defeat: loaded under the zoom's crop, and put in order of cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import IMAGENET_MEAN, IMAGENET_STD
from imagenet_hard.classifiers.transform_policy import with_policy
from imagenet_hard.curation.recipe import ClassifierSpec, Recipe
from imagenet_hard.engine.batch_size import seconds_per_image
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.imagenet.zoom import ZoomGrid

log = logging.getLogger(__name__)

SCREENING_GAIN = 0.8
"""Time of a bfloat16 crop, as a share of float32's, up to which screening is worth its confirmations."""


@dataclass(frozen=True)
class ZoomClassifier:
    """A classifier that images have to defeat: its id in the recipe, and the zooms it sees."""

    id: str
    model: Classifier
    grid: ZoomGrid


def load_classifiers(recipe: Recipe, device: str = "cpu") -> list[ZoomClassifier]:
    """The recipe's classifiers under the zoom's crop, in its order.

    Raises:
        ClassifierError: unknown, without weights, or unable to take the crop's size.
    """
    return [load_zoom_classifier(spec, recipe.grid(spec.size), device) for spec in recipe.classifiers]


def load_zoom_classifier(spec: ClassifierSpec, grid: ZoomGrid, device: str = "cpu") -> ZoomClassifier:
    """One classifier under the zooms of ``grid``, which is for crops of its size.

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
    return ZoomClassifier(spec.id, with_policy(classifier, view), grid)


@dataclass(frozen=True)
class Arrangement:
    """Ids of classifiers: cheapest first, and those that are worth screening in bfloat16."""

    order: tuple[str, ...]
    screened: tuple[str, ...] = ()

    def of(self, classifiers: Sequence[ZoomClassifier]) -> list[ZoomClassifier]:
        """``classifiers`` in this order."""
        by_id = {classifier.id: classifier for classifier in classifiers}
        return [by_id[id] for id in self.order]


def arrange(
    classifiers: Sequence[ZoomClassifier], settings: RunSettings, *, screening: bool = False
) -> Arrangement:
    """By the measured time of a crop: what a cheap classifier solves, no dear one has to see.

    With ``screening`` bfloat16 is timed as well: many processors have no faster arithmetic for it, and there
    a screening would cost time.

    Raises:
        ClassifierError: a classifier does not run.
    """
    if len(classifiers) < 2 and not screening:
        return Arrangement(tuple(c.id for c in classifiers))
    seconds = {c.id: seconds_per_crop(c, settings) for c in classifiers}
    screened = []
    for c in classifiers if screening else ():
        half = seconds_per_crop(c, replace(settings, precision="bf16"))
        if half <= SCREENING_GAIN * seconds[c.id]:
            screened.append(c.id)
        else:
            log.info(
                "%s: not screened, as bfloat16 is not worth it here (%.1f ms a crop, float32 %.1f ms)",
                *(c.id, 1000 * half, 1000 * seconds[c.id]),
            )
    return Arrangement(tuple(sorted(seconds, key=seconds.__getitem__)), tuple(screened))


def seconds_per_crop(classifier: ZoomClassifier, settings: RunSettings) -> float:
    """See ``seconds_per_image``: the crops are what the model takes.

    Raises:
        ClassifierError: the classifier does not run, or memory does not suffice.
    """
    import torch

    try:
        return seconds_per_image(classifier.model, replace(settings, compile=False))
    except torch.OutOfMemoryError as error:
        raise ClassifierError(
            f"{classifier.id} does not fit on {settings.device} at this batch size: give a smaller "
            "--batch-size"
        ) from error
