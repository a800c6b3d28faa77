"""Random zooms: the boxes of torchvision's ``RandomResizedCrop``, from a seed and the image's own hash."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

SCALE = (0.08, 1.0)
"""Share of the image's area that a box covers: torchvision's default, as in the paper."""

RATIO = (3 / 4, 4 / 3)
"""Width over height of a box."""

ATTEMPTS = 10
"""Boxes that are drawn before the largest central one of an allowed ratio is taken."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in its pixels."""

    left: float
    top: float
    width: float
    height: float


def generator(seed: int, digest: str) -> np.random.Generator:
    """Of one image: the same views whatever the order, the batch, or what was scored before.

    ``digest``: sha256 of the image's file, in hex.
    """
    return np.random.default_rng([seed, int(digest, 16)])


def random_box(size: tuple[int, int], random: np.random.Generator) -> Box:
    """One box inside an image of ``size`` (width, height), by the law of ``RandomResizedCrop.get_params``."""
    image_width, image_height = size
    for _ in range(ATTEMPTS):
        area = image_width * image_height * random.uniform(*SCALE)
        ratio = exp(random.uniform(log(RATIO[0]), log(RATIO[1])))
        width, height = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < width <= image_width and 0 < height <= image_height:
            left = int(random.integers(image_width - width + 1))
            top = int(random.integers(image_height - height + 1))
            return Box(left, top, width, height)
    return central_box(size)


def central_box(size: tuple[int, int]) -> Box:
    """The largest box in the middle whose ratio is allowed."""
    width, height = size
    if width / height < RATIO[0]:
        height = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        width = round(height * RATIO[1])
    return Box((size[0] - width) // 2, (size[1] - height) // 2, width, height)
