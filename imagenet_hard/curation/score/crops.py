"""Images at work, and their crops: made ahead, in threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.text import reason
from imagenet_hard.curation.store import ImageRecord, Views
from imagenet_hard.imagenet.resizing import Enlarged
from imagenet_hard.imagenet.zoom import ZoomGrid, resize


@dataclass(eq=False)
class Candidate:
    """An image at work: decoded, with its record and the steps that are left to try.

    ``waiting``: crops that are being made or queued. ``broken``: classifiers that cannot run on it.
    """

    record: ImageRecord
    mask: NDArray[np.bool_] | None
    image: Image.Image
    steps: Iterator[tuple[str, list[int]]]
    waiting: int = 0
    resized: tuple[int, Image.Image | Enlarged] | None = None

    def __post_init__(self) -> None:
        self.broken: dict[str, str] = {}

    @property
    def decided(self) -> bool:
        """Whether nothing more has to be tried."""
        return self.record.state != "open"

    def views(self, name: str, n: int) -> Views:
        """What classifier ``name`` with ``n`` zooms has seen of it."""
        return self.record.views.setdefault(name, Views.empty(n))

    def next_block(self, sizes: dict[str, int]) -> tuple[str, list[int]] | None:
        """The next classifier and zooms that have not been tried; None when all have been."""
        for name, zooms in self.steps:
            if name in self.broken:
                continue
            tried = self.views(name, sizes[name]).tried
            if block := [zoom for zoom in zooms if not tried[zoom]]:
                return name, block
        return None

    def crops(self, grid: ZoomGrid, zooms: list[int]) -> list[tuple[int, NDArray[np.uint8]]]:
        """The crops of ``zooms``; the last resize is kept, as the next classifier wants it too."""
        made = []
        for zoom in zooms:
            scale, kept = grid.scale_of(zoom), self.resized  # another block may be cut in another thread
            if kept is None or kept[0] != scale:
                kept = self.resized = (scale, resize(self.image, scale))
            made.append((zoom, grid.crop(kept[1], zoom)))
        return made


@dataclass(frozen=True, eq=False)
class Crop:
    """One candidate under one zoom, uint8 (size, size, 3).

    ``screened``: the deficit that a screening gave it, where it comes from one.
    """

    candidate: Candidate
    zoom: int
    pixels: NDArray[np.uint8]
    screened: float | None = None


Pixels = list[tuple[int, NDArray[np.uint8]]]


class CropMaker:
    """Resizes and crops candidates in the threads of ``pool``."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._under_way: list[tuple[Candidate, str, list[int], Future[Pixels]]] = []

    @property
    def busy(self) -> bool:
        """Whether crops are being made."""
        return bool(self._under_way)

    def submit(self, candidate: Candidate, grid: ZoomGrid, name: str, zooms: list[int]) -> None:
        """Begin with the crops that classifier ``name`` is to see; the candidate waits for them."""
        candidate.waiting += len(zooms)
        self._under_way.append((candidate, name, zooms, self._pool.submit(candidate.crops, grid, zooms)))

    def made(self, *, wait: bool) -> Iterator[tuple[str, Crop]]:
        """Classifier and crop, as far as they are there; all of them with ``wait``.

        On a CPU one waits: cutting and the forward pass are bound by the same cores. Crops that cannot be
        made are the candidate's failure alone: its classifier is broken for it.
        """
        pending = []
        for candidate, name, zooms, future in self._under_way:
            if not (wait or future.done()):
                pending.append((candidate, name, zooms, future))
            elif (error := future.exception()) is None:
                yield from ((name, Crop(candidate, zoom, pixels)) for zoom, pixels in future.result())
            else:
                candidate.waiting -= len(zooms)
                candidate.broken[name] = f"its zooms cannot be made ({reason(error)})"
        self._under_way = pending
