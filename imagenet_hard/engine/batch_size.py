"""Batch size and runtime: fixed, or the fastest one, measured on the device at hand.

The defaults are fixed so that the same command gives the same numbers on each run, near-ties included; what
is measured is remembered for the same reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.measured import measured_once
from imagenet_hard.engine.openvino import may_convert, openvino_version
from imagenet_hard.engine.settings import RunSettings, RuntimeName, resolve_device

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.engine import Engine

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

    It is remembered on this machine (``measured_once``).

    Raises:
        ClassifierError: the classifier does not run at any size.
    """
    if wanted != "fastest":
        return wanted
    ladder = LADDERS[engine.device_type(settings.device)]
    return measured_once("batch-sizes", ladder, measured_batch_size, classifier, settings, engine)


def measured_batch_size(classifier: Classifier, settings: RunSettings) -> int:
    """The largest of the fastest sizes in this process, each timed on noise.

    Raises:
        ClassifierError: it does not run at any size.
    """
    ladder = LADDERS[resolve_device(settings.device).type]
    return fastest(partial(seconds_per_image, classifier, settings), ladder)


def choose_runtime(
    wanted: RuntimeName, classifier: Classifier, settings: RunSettings, engine: Engine
) -> RuntimeName:
    """``wanted``, with "auto" measured where the engine runs; it is remembered on this machine.

    Raises:
        ClassifierError: the classifier does not run.
        UsageError: OpenVINO is asked for, and there is none for the engine's device.
    """
    settings = replace(settings, runtime=wanted)
    if not may_convert(settings, engine.device_type(settings.device)):
        return "torch"
    if wanted == "openvino":
        return wanted
    choices: tuple[RuntimeName, ...] = ("torch", "openvino")
    about = f"OpenVINO {openvino_version()}"
    return measured_once("runtimes", choices, measured_runtime, classifier, settings, engine, about)


def measured_runtime(classifier: Classifier, settings: RunSettings) -> RuntimeName:
    """The faster one in this process, on a batch of noise.

    Raises:
        ClassifierError: the classifier does not run.
    """
    forward = Forward(classifier, settings, resolve_device(settings.device))
    with keep_activations(), undisturbed(classifier.module):
        _pass_of_noise(forward)()
    return forward.runtime


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
    settings = replace(settings, batch_size=batch_size or settings.batch_size)
    forward = Forward(classifier, settings, resolve_device(settings.device))
    run, times = _pass_of_noise(forward), []
    with keep_activations(), undisturbed(classifier.module):
        for _ in range(4):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return min(times[1:]) / forward.batch_size


def _pass_of_noise(forward: Forward) -> Callable[[], object]:
    """A function that runs one full batch."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    pixels = [forward.prepare(Image.fromarray(noise), "")] * forward.batch_size
    return lambda: forward.launch(pixels, ["noise"] * len(pixels)).cpu()
