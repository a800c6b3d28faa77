"""In which order zooms are tried: those that solve most come first.

The order decides how soon an image is solved and never whether: an image is hard only after every
zoom of every classifier. So it may follow what the run has seen so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.imagenet.zoom import ANCHORS, PAPER_SIZE, Zoom, ZoomGrid
from imagenet_hard.imagenet.zoom_list import indices
from imagenet_hard.imagenet.zoom_prior import measured_chances

PRIOR_WEIGHT = 50
"""Images that the prior counts for, against those of the run."""

HEAD = 24
"""Zooms of a classifier that are tried by rate alone, before the rest is taken scale by scale."""

BLOCKS = (1, 2, 4, 8)
"""Zooms tried at a time: few while most images are solved at once, then more, so that batches fill."""


class ZoomOrder:
    """How often each zoom has solved, per classifier, and the steps that follow from it.

    ``grids``: classifier id -> its zooms, cheapest classifier first. ``counts``: (id, zoom) ->
    (tried, solved) of an earlier part of the run. ``first``: zooms to begin with, such as a study's
    cover, instead of those with the best rates.

    Raises:
        UsageError: a zoom of ``first`` is not in a grid.
    """

    def __init__(
        self,
        grids: Mapping[str, ZoomGrid],
        counts: Mapping[tuple[str, int], tuple[int, int]] | None = None,
        first: Sequence[Zoom] = (),
    ) -> None:
        self.grids = dict(grids)
        self._first = {name: indices(first, grid) for name, grid in grids.items()}
        self._tried = {name: np.zeros(len(grid), np.int64) for name, grid in grids.items()}
        self._solved = {name: np.zeros(len(grid), np.int64) for name, grid in grids.items()}
        self._prior = {name: prior(grid) for name, grid in grids.items()}
        for (name, zoom), (tried, solved) in (counts or {}).items():
            self._tried[name][zoom], self._solved[name][zoom] = tried, solved

    def note(self, name: str, zoom: int, solved: bool) -> None:
        """One more image tried ``zoom`` of classifier ``name``."""
        self._tried[name][zoom] += 1
        self._solved[name][zoom] += solved

    def counts(self, name: str, zoom: int) -> tuple[int, int]:
        """(tried, solved)."""
        return int(self._tried[name][zoom]), int(self._solved[name][zoom])

    def rates(self, name: str) -> NDArray[np.float64]:
        """float64 (zooms,): chance that a zoom solves an image that came so far, in [0, 1]."""
        n, solved = self._tried[name], self._solved[name]
        return (PRIOR_WEIGHT * self._prior[name] + solved) / (PRIOR_WEIGHT + n)

    def steps(self) -> Iterator[tuple[str, list[int]]]:
        """Blocks of zooms for one image, each zoom of each classifier once.

        First the best zooms of each classifier; then scale by scale through all classifiers, so that
        an image is resized once for all of them.
        """
        rest: dict[str, set[int]] = {}
        rates = {name: self.rates(name) for name in self.grids}
        for name, grid in self.grids.items():
            head = self._first[name] or np.argsort(-rates[name], kind="stable")[:HEAD].tolist()
            rest[name] = set(range(len(grid))) - set(head)
            sizes = chain(BLOCKS, repeat(BLOCKS[-1]))
            while head:
                size = next(sizes)
                yield name, head[:size]
                head = head[size:]
        yield from self._by_scale(rest, rates)

    def everything(self) -> Iterator[tuple[str, list[int]]]:
        """All zooms scale by scale, for a run that tries them all anyway."""
        rates = {name: np.zeros(len(grid)) for name, grid in self.grids.items()}
        yield from self._by_scale({name: set(range(len(grid))) for name, grid in self.grids.items()}, rates)

    def _by_scale(
        self, wanted: Mapping[str, set[int]], rates: Mapping[str, NDArray[np.float64]]
    ) -> Iterator[tuple[str, list[int]]]:
        best: dict[int, float] = {}
        blocks: dict[tuple[int, str], list[int]] = {}
        for name, grid in self.grids.items():
            for zoom in sorted(wanted[name]):
                blocks.setdefault((grid.scale_of(zoom), name), []).append(zoom)
            for scale, rate in zip(
                grid.scales, rates[name].reshape(-1, len(ANCHORS)).mean(axis=1), strict=True
            ):
                best[scale] = max(best.get(scale, 0.0), float(rate))
        for scale in sorted(best, key=lambda s: (-best[s], s)):
            for name in self.grids:
                if block := blocks.get((scale, name)):
                    yield name, block


def prior(grid: ZoomGrid) -> NDArray[np.float64]:
    """float64 (zooms,): the measured chances, in [0, 1]; of the nearest measured scale for another grid."""
    chances = measured_chances()
    scales = sorted(chances)
    found = []
    for scale in grid.scales:
        equivalent = scale * PAPER_SIZE / grid.size
        found.append(chances[min(scales, key=lambda s: abs(np.log(s / equivalent)))])
    return np.array(found, np.float64).reshape(-1)
