"""What tells whether a classifier with code of one's own is still the one that was scored before.

Its weights may be equal and its name the same while its code was corrected. So its code is hashed as far as
it can be seen, and it is run on images of the benchmark at hand, before anything that was scored is read or
continued: full float32 logits, in batches of one shape, so that the bits repeat. That costs up to ``IMAGES``
forward passes, and is done only where a classifier brings such code and there is something to compare with.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.base.types import N_CLASSES, Witness
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.own_code import brings_own_code, own_code_sha256
from imagenet_hard.classifiers.transform import CallableTransform, apart
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.prepare import Prepared, Task, preparer
from imagenet_hard.engine.settings import RunSettings, resolve_device

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier

IMAGES = 32
"""That a classifier is run on."""


def needs_witness(classifier: Classifier) -> bool:
    """Whether its spec does not say all that determines its predictions."""
    transform = classifier.transform
    own = transform.own if isinstance(transform, CallableTransform) else apart(transform) is not transform
    return own or brings_own_code(classifier)


def witness(classifier: Classifier, tasks: Sequence[Task], settings: RunSettings, *, exif: bool) -> Witness:
    """Of ``classifier`` on the images of ``tasks``; those that cannot be read are left to the run to name.

    Raises:
        ClassifierError: it fails on one of them, or does not fit into memory.
    """
    transform = classifier.transform
    roots = [transform.function if isinstance(transform, CallableTransform) else transform, classifier.module]
    code = own_code_sha256(*roots)  # before any pass, which may leave something in an attribute
    settings = replace(settings, fold=False, compile=False, runtime="torch")
    if settings.batch_size is not None:  # no more copies of an image than there are images
        settings = replace(settings, batch_size=min(settings.batch_size, IMAGES))
    forward = Forward(classifier, settings, resolve_device(settings.device))
    digest = hashlib.sha256()
    with undisturbed(classifier.module), undisturbed(roots[0]), keep_activations():
        _unseed()
        with ThreadPoolExecutor(settings.decode_workers(), "decode") as pool:
            read = list(pool.map(preparer([forward], [{}], exif=exif), tasks))
        images = [each for each in read if isinstance(each, Prepared)]
        for each, logits in zip(images, _logits(forward, images), strict=True):
            digest.update(bytes.fromhex(each.row.image_sha256) + logits.tobytes())
    return Witness(code=code, logits=digest.hexdigest(), images=len(images))


def _unseed() -> None:
    """Chance must show, whatever seed the process was given: each part of a run draws other numbers."""
    import torch

    random.seed()
    np.random.seed()
    torch.seed()


def _logits(forward: Forward, images: Sequence[Prepared]) -> NDArray[np.float32]:
    """float32 (n, 1000); it may hold what is not finite, which the run will name."""
    import torch

    ids, pixels = [each.row.id for each in images], [each.pixels[0] for each in images]
    for each in pixels:
        if isinstance(each, Exception):
            raise each
    found = [torch.empty(0, N_CLASSES)]
    while pixels:
        size = forward.batch_size
        try:
            found.append(forward.launch(pixels[:size], ids[:size]).cpu())
        except torch.OutOfMemoryError as error:
            if not forward.shrink():
                raise ClassifierError(
                    f"out of memory on {forward.device} at batch size {size}: give a smaller --batch-size"
                ) from error
        else:
            del pixels[:size], ids[:size]
    return np.asarray(torch.cat(found).numpy(), np.float32)
