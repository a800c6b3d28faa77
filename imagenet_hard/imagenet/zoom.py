"""The zoom grid: 36 scales x 9 anchors, and an image's crops under any of them (paper, section 3).

A zoom resizes the shorter side of the image to ``scale`` (bicubic, torchvision's rule for the longer
side) and crops a square around the centre of one cell of a 3 x 3 grid; what lies outside the image is
black. Pure geometry and PIL: no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.resizing import Enlarged, resize_shorter, resized_size

PAPER_SIZE = 224
"""Side of the paper's crop in pixels."""

PAPER_SCALES = (
    *(10, 16, 32, 48, 64, 96, 122, 128, 192, 224, 235, 240, 256, 288, 320, 348, 384, 448, 460, 512),
    *(573, 576, 640, 664, 672, 680, 686, 690, 700, 720, 768, 798, 832, 896, 911, 1024),
)
"""Length of the shorter side after the resize, in pixels."""

ANCHORS = tuple((row, column) for row in range(3) for column in range(3))
"""Cells of the 3 x 3 grid, row by row."""

STANDARD_SCALE, STANDARD_ANCHOR = 256, (1, 1)
"""The study's standard view ("1-crop"): the middle of the image at scale 256."""


@dataclass(frozen=True, slots=True)
class Zoom:
    """One way to look: ``scale`` in pixels of the shorter side, ``row`` and ``column`` in 0..2."""

    scale: int
    row: int
    column: int

    def __str__(self) -> str:
        return f"scale {self.scale}, anchor ({self.row}, {self.column})"


@dataclass(frozen=True)
class ZoomGrid:
    """``scales`` x the 9 anchors, numbered scale by scale, then row by row: the paper's are 0..323.

    ``size``: side of the square crop in pixels. For another input size than 224, ``for_size`` keeps
    what each zoom shows: scales grow with the crop.

    >>> len(ZoomGrid()), str(ZoomGrid()[112]), ZoomGrid().standard
    (324, 'scale 256, anchor (1, 1)', 112)
    """

    scales: tuple[int, ...] = PAPER_SCALES
    size: int = PAPER_SIZE
    standard_scale: int = STANDARD_SCALE

    def __post_init__(self) -> None:
        if not self.scales or list(self.scales) != sorted(set(self.scales)) or self.scales[0] < 1:
            raise UsageError(f"zoom scales are {list(self.scales)}: expected rising numbers of 1 or more")
        if self.size < 1:
            raise UsageError(f"the zoom crop is {self.size} pixels wide: expected 1 or more")

    @staticmethod
    def for_size(size: int, scales: Sequence[int] = PAPER_SCALES) -> ZoomGrid:
        """The grid for crops of ``size`` pixels that shows the regions that ``scales`` show at 224.

        Each scale is multiplied by size / 224 and rounded; scales that become equal are one.
        """
        grown = sorted({max(1, round(scale * size / PAPER_SIZE)) for scale in scales})
        return ZoomGrid(tuple(grown), size, max(1, round(STANDARD_SCALE * size / PAPER_SIZE)))

    def __len__(self) -> int:
        return len(self.scales) * len(ANCHORS)

    def __getitem__(self, index: int) -> Zoom:
        index = range(len(self))[index]
        return Zoom(self.scales[index // len(ANCHORS)], *ANCHORS[index % len(ANCHORS)])

    def __iter__(self) -> Iterator[Zoom]:
        return (self[index] for index in range(len(self)))

    @property
    def has_standard(self) -> bool:
        """Whether the grid holds the standard view."""
        return self.standard_scale in self.scales

    @cached_property
    def standard(self) -> int:
        """Number of the standard view.

        Raises:
            UsageError: the grid has been made without its scale.
        """
        if not self.has_standard:
            raise UsageError(
                f"the zoom scales {list(self.scales)} lack {self.standard_scale}, that of the standard view"
            )
        return self.scales.index(self.standard_scale) * len(ANCHORS) + ANCHORS.index(STANDARD_ANCHOR)

    def scale_of(self, index: int) -> int:
        """Scale of a zoom by its number."""
        return self.scales[index // len(ANCHORS)]

    def crops(self, image: Image.Image, zooms: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """``(number, uint8 (size, size, 3))`` of each wanted zoom of an RGB image, in rising order.

        The image is resized once per scale, whatever the number of anchors.
        """
        for scale, wanted in groupby(sorted(set(zooms)), key=self.scale_of):
            resized = resize(image, scale)
            for index in wanted:
                yield index, self.crop(resized, index)

    def shown(self, index: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, width, height) of what a zoom shows, in pixels of an image of ``size`` (width, height).

        May reach beyond it.
        """
        resized = resized_size(size, self.scale_of(index))
        left, top = origin(resized, *ANCHORS[index % len(ANCHORS)], self.size)
        across, down = size[0] / resized[0], size[1] / resized[1]
        return left * across, top * down, self.size * across, self.size * down

    def crop(self, resized: Image.Image | Enlarged, index: int) -> NDArray[np.uint8]:
        """uint8 (size, size, 3): the crop of zoom ``index`` from an image already at its scale."""
        row, column = ANCHORS[index % len(ANCHORS)]
        left, top = origin(resized.size, row, column, self.size)
        return np.asarray(resized.crop((left, top, left + self.size, top + self.size)))


def resize(image: Image.Image, scale: int) -> Image.Image | Enlarged:
    """The shorter side to ``scale`` by torchvision's ``Resize(scale, BICUBIC)`` on a PIL image."""
    return resize_shorter(image, scale, Image.Resampling.BICUBIC)


def origin(size: tuple[int, int], row: int, column: int, crop: int = PAPER_SIZE) -> tuple[int, int]:
    """(left, top) of the crop around the centre of one cell, for an image of ``size`` (width, height).

    May be negative or reach beyond the image; the crop is black there.

    >>> origin((256, 256), 1, 1), origin((10, 15), 0, 0)
    ((15, 15), (-111, -110))
    """
    tile_width, tile_height = size[0] // 3, size[1] // 3
    x, y = column * tile_width + tile_width // 2, row * tile_height + tile_height // 2
    return x - crop // 2, y - crop // 2
