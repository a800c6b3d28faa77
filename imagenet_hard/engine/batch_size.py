"""The batch size: fixed by the kind of device, or the fastest one, measured on the device at hand.

The default is fixed so that the same command gives the same numbers on each run, near-ties included; what
is measured once is remembered, so that a run that is resumed finds it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from imagenet_hard.base.errors import ClassifierError, ResultError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import cache_dir
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, device_name, resolve_device

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.engine import Engine

log = logging.getLogger(__name__)

LADDERS = {
    "cpu": (4, 8, 16, 32, 64, 128),
    "cuda": (32, 64, 128, 256, 512, 1024),
    "mps": (16, 32, 64, 128, 256),
}
"""Sizes that are tried, by kind of device."""

WORTH = 0.97
"""A size counts as fastest within 3 % of the best: what machines repeat to."""


def choose_batch_size(
    wanted: int | Literal["fastest"] | None, classifier: Classifier, settings: RunSettings, engine: Engine
) -> int | None:
    """``wanted``, with "fastest" measured where the engine runs: the largest of the fastest sizes.

    It is remembered on this machine, for the classifier, the settings and the device. A number that is none
    of ``LADDERS``, as a file that was cut short may hold, is measured anew.

    Raises:
        ClassifierError: the classifier does not run at any size.
    """
    if wanted != "fastest":
        return wanted
    settings = replace(settings, device=engine.device_type(settings.device))
    if engine.workers is None:
        device = device_name(resolve_device(settings.device))
    else:
        device = min(engine.workers.devices)
    parts = [classifier.spec.model_dump(mode="json"), asdict(settings), device]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    file = cache_dir() / "batch-sizes" / f"{name}.json"
    if (known := _remembered(file)) in LADDERS[settings.device]:
        return known
    measure = partial(measured_batch_size, classifier, settings)
    if engine.workers is None:
        found = measure()
    else:
        classifier.module.cpu()  # to be sent
        found = engine.workers.call(measure)
    log.info("%s: batch size %d is the fastest on %s", classifier.spec.name, found, device)
    try:
        write_atomically(file, json.dumps(found).encode())
    except ResultError as error:
        log.warning("the measured batch size cannot be remembered: %s", error)
    return found


def _remembered(file: Path) -> int:
    """0 where there is nothing that can be read."""
    try:
        return int(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return 0


def measured_batch_size(classifier: Classifier, settings: RunSettings) -> int:
    """The largest of the fastest sizes in this process, each timed on noise.

    Raises:
        ClassifierError: it does not run at any size.
    """
    ladder = LADDERS[resolve_device(settings.device).type]
    return fastest(partial(seconds_per_image, classifier, settings), ladder)


def fastest(seconds: Callable[[int], float], ladder: Sequence[int]) -> int:
    """The largest size of the rising ``ladder`` whose ``seconds`` an image are within 3 % of the least.

    Stops where memory runs out.

    >>> fastest({4: 2.0, 8: 1.02, 16: 1.0, 32: 1.01, 64: 1.2}.__getitem__, (4, 8, 16, 32, 64))
    32
    """
    import torch

    times: dict[int, float] = {}
    for size in ladder:
        try:
            times[size] = seconds(size)
        except torch.OutOfMemoryError:
            break
    if not times:
        raise ClassifierError(f"out of memory at batch size {ladder[0]}")
    return max(size for size, time_ in times.items() if time_ * WORTH <= min(times.values()))


def seconds_per_image(classifier: Classifier, settings: RunSettings, batch_size: int | None = None) -> float:
    """Wall time of an image in a full batch of noise, the best of three after one to warm up.

    ``batch_size`` None: that of the settings.

    Raises:
        ClassifierError: the classifier does not run.
        torch.OutOfMemoryError: it does not fit at this size.
    """
    from PIL import Image

    settings = replace(settings, batch_size=batch_size or settings.batch_size)
    forward = Forward(classifier, settings, resolve_device(settings.device))
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    pixels = [forward.prepare(Image.fromarray(noise), "")] * forward.batch_size
    times = []
    with keep_activations(), undisturbed(classifier.module):
        for _ in range(4):
            start = time.perf_counter()
            forward.launch(pixels, ["noise"] * len(pixels)).cpu()
            times.append(time.perf_counter() - start)
    return min(times[1:]) / len(pixels)
