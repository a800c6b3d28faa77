"""Crops made ahead, in threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.text import reason
from imagenet_hard.curation.lane import Candidate, Crop
from imagenet_hard.imagenet.zoom import ZoomGrid

Pixels = list[tuple[int, NDArray[np.uint8]]]


class Cutter:
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
