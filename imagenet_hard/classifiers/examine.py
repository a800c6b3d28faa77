"""What makes the numbers of an unknown classifier doubtful, seen on a few fixed images.

Cheap, and once: what cannot be a classifier is refused; what cannot repeat, or is not what it seems, is
remarked.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.outputs import AsLogits, background, check_shape, read_as, recognise, remarks
from imagenet_hard.classifiers.transform import CallableTransform, ImageTransform, Transform
from imagenet_hard.classifiers.transform_policy import ZoomTransform
from imagenet_hard.classifiers.trial import TrialView, images, run, views

log = logging.getLogger(__name__)

SAME = 1e-4
"""Largest difference of a logit, relative to the largest, that rounding makes between two runs."""

ROUNDED = 0.05
"""The same between an image alone and in a batch, for models that compute in bfloat16 inside."""

LARGEST = 16
"""Normalised pixels lie within 3 or so; beyond this they are not scaled to [0, 1]."""

FLATTEST = 0.01
"""Standard deviation of a textured image: below it the pixels were scaled down twice, or are lost."""

REPEATS = 5
"""Runs of a transform on each image."""


def examine(classifier: Classifier, drop_class: int | None = None) -> Classifier:
    """``classifier`` with what it gives recognised and read as logits, and remarks on what is doubtful.

    ``drop_class``: its background class, 0 or 1000 of 1001 outputs. Random numbers, and what the model keeps
    of what it saw, are afterwards what they were.

    Raises:
        ClassifierError: what cannot be a classifier's input or output, or fails.
    """
    drop = background(drop_class)
    if isinstance(classifier.module, AsLogits) and drop in (None, classifier.outputs.drop_class):
        return classifier  # it was examined
    name, module, transform = classifier.spec.name, classifier.module, classifier.transform
    with undisturbed(module):
        seen = views(module, transform, name)
        rows, found = _of_model(module, seen, name, drop)
        noted = [] if isinstance(transform, Transform | ZoomTransform) else _of_transform(transform)
    form = recognise(rows, name)
    found += remarks(rows, form)
    if isinstance(transform, CallableTransform):
        transform = replace(transform, remarks=tuple(noted))
    else:
        found += noted
    examined = replace(read_as(classifier, form, drop), transform=transform, remarks=tuple(found))
    for each in examined.warnings:
        log.warning("%s: %s", name, each)
    return examined


def _of_transform(transform: ImageTransform) -> list[str]:
    """Can a transform of one's own repeat, and are its pixels those of a normalised image?"""
    found, pixels = [], []
    draws = differs = False
    for image, _ in images()[1:]:
        try:
            runs = [_seeded(seed, _prepared, transform, image) for seed in range(REPEATS)]
        except Exception:  # an image of the run that it fails on is named there
            log.debug("a test image is not taken", exc_info=True)
            continue
        pixels.append(runs[0].value)
        draws |= _draws(runs)
        differs |= any(not _equal(each.value, runs[0].value) for each in runs)
    if draws or differs:
        how = "draws random numbers" if draws else "gives other pixels for the same image each time"
        found.append(f"cannot repeat: the transform {how}; evaluation wants a fixed one, as a centre crop is")
    if (largest := max((float(x.abs().max()) for x in pixels), default=0)) > LARGEST:
        found.append(
            f"the transform gives pixels up to {largest:.0f}, not scaled to [0, 1] as by ToTensor() or "
            "ToDtype(torch.float32, scale=True): right only for a model that was trained so"
        )
    elif pixels and max(float(x.std()) for x in pixels) < FLATTEST:
        found.append("the transform leaves no contrast in a textured image: are pixels scaled down twice?")
    return found


def _prepared(transform: ImageTransform, image: Image.Image) -> torch.Tensor:
    return transform.batch([transform.pixels(image)], "cpu").clone()


def _of_model(
    module: torch.nn.Module, seen: Sequence[TrialView], name: str, drop_class: int | None
) -> tuple[torch.Tensor, list[str]]:
    """Its outputs for the views, float (n, classes). Can it repeat, does it mind what else is in a batch?"""
    found = []
    before = {key: value.clone() for key, value in module.named_buffers()}
    alone = _seeded(0, _each, module, seen, name, drop_class)
    again = _seeded(1, _in_one_batch, module, seen, name)
    now = dict(module.named_buffers())
    if changed := [key for key, value in before.items() if key in now and not _equal(now[key], value)]:
        found.append(
            f"cannot repeat: the model changes its own state as it runs ({changed[0]}), so what it says of "
            "an image depends on those before"
        )
    elif again.value is not None:
        apart = _apart(alone.value, again.value)
        third = _seeded(2, _in_one_batch, module, seen, name).value if apart > SAME else again.value
        if _draws([alone, again]) or third is None or _apart(again.value, third) > SAME:
            found.append(
                "cannot repeat: the model is random in eval mode, as with a dropout that is always on"
            )
        elif apart > ROUNDED:
            found.append(
                "cannot repeat: what the model says of an image depends on what else is in its batch, as "
                "with a batch norm that is always in training"
            )
    return alone.value, found


def _each(module: Any, seen: Sequence[TrialView], name: str, drop_class: int | None) -> torch.Tensor:
    rows = []
    for view in seen:
        output = run(module, view.batch, name, view.what)
        check_shape(output, name, drop_class)
        rows.append(output.detach().clone())
    return torch.cat(rows)


def _in_one_batch(module: Any, seen: Sequence[TrialView], name: str) -> torch.Tensor | None:
    """All views in one batch, or one by one where they are of several sizes; None where that fails.

    The engine names a batch that a model can't take.
    """
    same = len({view.batch.shape for view in seen}) == 1
    batches = [torch.cat([view.batch for view in seen])] if same else [view.batch for view in seen]
    try:
        rows = torch.cat([run(module, batch, name, "test images") for batch in batches]).detach().clone()
    except Exception:
        log.debug("%s takes no batch of %d", name, len(seen), exc_info=True)
        return None
    return rows if len(rows) == len(seen) else None


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """To the bit, NaN being itself."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference where both are finite, relative to the largest value."""
    a, b = a.double(), b.double()
    both = torch.isfinite(a) & torch.isfinite(b)
    return float((a - b)[both].abs().max() / a[both].abs().max().clamp_min(1e-6)) if both.any() else 0.0


@dataclass(frozen=True)
class _Seeded:
    """What a call gave, and the states of the random numbers before and after it."""

    value: Any
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def _seeded(seed: int, call: Callable[..., Any], *arguments: Any) -> _Seeded:
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    before = _states()
    return _Seeded(call(*arguments), before, _states())


def _states() -> tuple[bytes, ...]:
    """Of the random numbers of Python, numpy and torch."""
    kind, key, *rest = np.random.get_state()
    return (
        repr(random.getstate()).encode(),
        repr((kind, rest)).encode() + np.asarray(key).tobytes(),
        torch.get_rng_state().numpy().tobytes(),
    )


def _draws(runs: Sequence[_Seeded]) -> bool:
    """Whether the calls took random numbers, other than from a seed that they set themselves."""
    return any(
        all(run.before[k] != run.after[k] for run in runs) and len({run.after[k] for run in runs}) > 1
        for k in range(len(runs[0].before))
    )
