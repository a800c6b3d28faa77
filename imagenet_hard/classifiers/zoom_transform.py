"""One zoom of the study as an evaluation transform: ``--transform study`` is its standard view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.classifiers.transform import Transform, output_sha256, to_rgb
from imagenet_hard.imagenet.zoom import ZoomGrid, resize

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ZoomTransform:
    """The crop of zoom ``index`` of ``grid``, normalised with ``mean`` and ``std`` (paper, section 3).

    It differs from resize and centre crop by up to two pixels: the study's anchors are centres of
    thirds, rounded down.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    index: int
    grid: ZoomGrid = field(default_factory=ZoomGrid)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 (size, size, 3)."""
        return self.grid.crop(resize(to_rgb(image), self.grid.scale_of(self.index)), self.index)

    def batch(self, pixels: Sequence[NDArray[np.uint8]], device: torch.device | str) -> torch.Tensor:
        """float32 (n, 3, size, size), channels last."""
        size = (self.grid.size, self.grid.size)
        return Transform(None, size, "bicubic", self.mean, self.std).batch(pixels, device)

    def describe(self) -> dict[str, Any]:
        zoom = self.grid[self.index]
        return {
            "kind": "zoom",
            "scale": zoom.scale,
            "anchor": [zoom.row, zoom.column],
            "crop": [self.grid.size, self.grid.size],
            "interpolation": "bicubic",
            "mean": list(self.mean),
            "std": list(self.std),
            "rgb": "first",
        }

    def sha256(self) -> str:
        return output_sha256(self)


def standard_view(mean: tuple[float, float, float], std: tuple[float, float, float]) -> ZoomTransform:
    """The study's "1-crop": scale 256, the middle anchor, 224 pixels."""
    grid = ZoomGrid()
    return ZoomTransform(mean, std, grid.standard, grid)
