"""AugMix (Hendrycks et al., arXiv 1912.02781) at the strength that MEMO uses it: severity 1.

Three chains of one to three operations each start from the same view; a Dirichlet(1, 1, 1) draw weighs
them, and a Beta(1, 1) draw weighs their mixture against the view itself. The operations are those that
overlap with no ImageNet-C corruption.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

CHAINS, LONGEST = 3, 3
SEVERITY = 1.0
"""Levels are drawn from 0.1 to this, of 10."""

GREY = (128, 128, 128)
"""What an operation moves into the picture."""

Operation = Callable[[Image.Image, np.random.Generator], Image.Image]


def augmix(view: Image.Image, random: np.random.Generator) -> NDArray[np.float32]:
    """float32 (H, W, 3) in 0..255: the mixture, in the units of pixels, unrounded.

    Weights sum to one, so it does not matter that normalisation comes after the mixture.
    """
    weights = random.dirichlet([1.0] * CHAINS).astype(np.float32)
    own = np.float32(random.beta(1.0, 1.0))
    mixed = np.zeros((view.height, view.width, 3), np.float32)
    for weight in weights:
        chain = view
        for _ in range(int(random.integers(1, LONGEST + 1))):
            chain = OPERATIONS[int(random.integers(len(OPERATIONS)))](chain, random)
        mixed += weight * np.asarray(chain, np.float32)
    return own * np.asarray(view, np.float32) + (1 - own) * mixed


def _level(random: np.random.Generator, largest: float) -> float:
    return float(random.uniform(0.1, SEVERITY)) * largest / 10


def _signed(random: np.random.Generator, value: float) -> float:
    return -value if random.random() < 0.5 else value


def _affine(view: Image.Image, *six: float) -> Image.Image:
    return view.transform(
        view.size, Image.Transform.AFFINE, six, resample=Image.Resampling.BILINEAR, fillcolor=GREY
    )


def _autocontrast(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.autocontrast(view)


def _equalize(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.equalize(view)


def _posterize(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.posterize(view, 4 - int(_level(random, 4)))


def _solarize(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.solarize(view, 256 - int(_level(random, 256)))


def _rotate(view: Image.Image, random: np.random.Generator) -> Image.Image:
    degrees = _signed(random, int(_level(random, 30)))
    return view.rotate(degrees, resample=Image.Resampling.BILINEAR, fillcolor=GREY)


def _shear_x(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(view, 1, _signed(random, _level(random, 0.3)), 0, 0, 1, 0)


def _shear_y(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(view, 1, 0, 0, _signed(random, _level(random, 0.3)), 1, 0)


def _translate_x(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(view, 1, 0, _signed(random, int(_level(random, view.width / 3))), 0, 1, 0)


def _translate_y(view: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(view, 1, 0, 0, 0, 1, _signed(random, int(_level(random, view.height / 3))))


OPERATIONS: tuple[Operation, ...] = (
    _autocontrast,
    _equalize,
    _posterize,
    _rotate,
    _solarize,
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
)
