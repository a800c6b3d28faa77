"""An image at another size, of which only the parts that are cropped are made where the whole would be huge.

A line of 1 x 3000 pixels with its shorter side at 1024 has three billion pixels, of which a zoom shows
50,000. ``Enlarged`` computes these alone, with Pillow's own arithmetic and so bit for bit as Pillow would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageMode

MOST_PIXELS = 2**25
"""Of an enlarged image that is made as a whole: 134 MB. A photograph of 5:4 at a scale of 5,000 has fewer."""

PRECISION_BITS = 22
"""Of Pillow's weights: whole numbers of 2**-22."""

STEP = 2**20
"""Positions that are walked at a time."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def resized_size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """(width, height) after torchvision's ``Resize(shorter)`` on an image of ``size`` (width, height)."""
    width, height = size
    longer = int(shorter * max(size) / min(size))
    return (shorter, longer) if width <= height else (longer, shorter)


def resize_shorter(
    image: Image.Image, shorter: int, resampling: Image.Resampling, most: int = MOST_PIXELS
) -> Image.Image | Enlarged:
    """The shorter side to ``shorter``, by torchvision's rule: something to crop from.

    Of 8 bits a band, it takes no more memory than the image itself or ``most`` pixels, whichever is more.
    """
    width, height = resized_size(image.size, shorter)
    eight_bit = ImageMode.getmode(image.mode).typestr in ("|u1", "|b1")
    if eight_bit and width * height > max(most, image.width * image.height):
        return Enlarged(image, (width, height), resampling)
    return image.resize((width, height), resampling)


@dataclass(frozen=True)
class Enlarged:
    """``image``, of 8 bits a band, at a larger ``size`` (width, height); crops are made when asked for.

    Neither side is smaller than it was. Equal to ``image.resize(size, resampling).crop(box)`` bit for bit.
    """

    image: Image.Image
    size: tuple[int, int]
    resampling: Image.Resampling

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """The pixels of ``box`` (left, top, right, bottom); zeros beyond the image."""
        left, right = _inside(box[0], box[2], self.width)
        top, bottom = _inside(box[1], box[3], self.height)
        nearest = self.resampling == Image.Resampling.NEAREST or self.image.mode in ("1", "P")
        part = (self._nearest if nearest else self._filtered)(range(left, right), range(top, bottom))
        return part.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top))

    def _nearest(self, columns: range, rows: range) -> Image.Image:
        x = _nearest(self.image.width, self.width, columns)
        y = _nearest(self.image.height, self.height, rows)
        source = self.image.crop((int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1))
        if source.mode == "1":
            source = source.convert("L")
        made = _image(source.mode, _pixels(source)[y - y[0]][:, x - x[0]])
        if palette := source.getpalette():
            made.putpalette(palette)
        return made.convert(self.image.mode)

    def _filtered(self, columns: range, rows: range) -> Image.Image:
        x, across = _weights(self.image.width, self.width, columns, self.resampling)
        y, down = _weights(self.image.height, self.height, rows, self.resampling)
        left, top = int(x.min()), int(y.min())
        source = self.image.crop((left, top, int(x.max()) + 1, int(y.max()) + 1))
        # As Pillow does: colours are weighed by their alpha.
        source = source.convert({"LA": "La", "RGBA": "RGBa"}.get(source.mode, source.mode))
        pixels = _weighted(_pixels(source), x - left, across)
        pixels = _weighted(pixels.swapaxes(0, 1), y - top, down).swapaxes(0, 1)
        return _image(source.mode, pixels).convert(self.image.mode)


def _inside(first: int, last: int, length: int) -> tuple[int, int]:
    """What of ``first`` to ``last`` lies in 0 to ``length``; one pixel of it at the least."""
    first = min(max(first, 0), length - 1)
    return first, max(min(last, length), first + 1)


def _nearest(before: int, after: int, wanted: range) -> Ints:
    """Pixels of a side of ``before`` that become ``wanted`` ones of ``after``.

    Pillow walks in steps, whose rounding decides where a position falls between two pixels; so do we.
    """
    step = float(np.float32(before)) / after
    position, start = 0.5 * step, 0
    while start < wanted.start:
        n = min(STEP, wanted.start - start)
        position, start = float(_walk(position, step, n)[-1]), start + n
    return np.minimum(_walk(position, step, len(wanted) - 1).astype(np.int64), before - 1)


def _walk(position: float, step: float, n: int) -> Floats:
    """``position``, and where ``n`` steps lead, each rounded."""
    return np.add.accumulate(np.concatenate([[position], np.full(n, step)]))


def _weights(before: int, after: int, wanted: range, resampling: Image.Resampling) -> tuple[Ints, Ints]:
    """(n, taps): pixels of a side of ``before`` that make ``wanted`` ones of ``after``, and their weights."""
    support, kernel = FILTERS[resampling]
    centre = (np.array(wanted) + 0.5) * (float(np.float32(before)) / after)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), before)
    at = first[:, None] + np.arange(2 * ceil(support) + 1)
    weights = kernel(at - centre[:, None] + 0.5)
    weights[at >= last[:, None]] = 0
    weights /= np.add.accumulate(weights, axis=1)[:, -1:]  # in order, as floats do not add up in any other
    whole = np.trunc(weights * 2**PRECISION_BITS + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
    return np.minimum(at, before - 1), whole


def _weighted(pixels: Bytes, at: Ints, weights: Ints) -> Bytes:
    """(rows, columns, bands) -> (rows, n, bands): each the weighted sum of some columns, cut to 0..255."""
    sums = np.full((len(pixels), len(at), pixels.shape[2]), 1 << (PRECISION_BITS - 1), np.int64)
    for tap in range(at.shape[1]):
        sums += pixels[:, at[:, tap]] * weights[:, tap, None]
    found: Bytes = np.clip(sums >> PRECISION_BITS, 0, 255).astype(np.uint8)
    return found


def _pixels(image: Image.Image) -> Bytes:
    """uint8 (height, width, bands)."""
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, -1)


def _image(mode: str, pixels: Bytes) -> Image.Image:
    """uint8 (height, width, bands) as an image."""
    return Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())


def _box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Floats) -> Floats:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _bicubic(x: Floats) -> Floats:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


# numpy's sine may differ from the C library's, which Pillow uses, in the last digit.
@np.vectorize
def _hamming(x: float) -> float:
    x = abs(x) * pi
    half, other = float(np.float32(0.54)), float(np.float32(0.46))
    return 1.0 if x == 0 else 0.0 if x >= pi else sin(x) / x * (half + other * cos(x))


@np.vectorize
def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else sin(x * pi) / (x * pi)


FILTERS: Mapping[Image.Resampling, tuple[float, Callable[[Floats], Floats]]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.HAMMING: (1.0, _hamming),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
"""Half of the width in pixels, and the weight at a distance, where an image grows."""
