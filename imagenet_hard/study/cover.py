"""Covers: small sets of zooms that together solve every image that any zoom solves (paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError

TOP = 36
"""Zooms of the paper's "top-36": the first of the cover."""

MAX_NODES = 1_000
"""Branches of the search for a smallest cover."""


@dataclass(frozen=True)
class Cover:
    """``zooms`` in the order they were chosen. ``n_solvable``: images that any zoom solves.

    ``gained[i]``: images that zoom i solves and none before it does.
    """

    zooms: tuple[int, ...]
    gained: tuple[int, ...]
    n_solvable: int

    def share(self, n: int) -> float:
        """Of the solvable images, those that the first ``n`` zooms solve, in [0, 1]; 1.0 where none is."""
        return sum(self.gained[:n]) / self.n_solvable if self.n_solvable else 1.0


def greedy_cover(packed: NDArray[np.uint8]) -> Cover:
    """The greedy minimum cover of ``packed`` uint8 (zooms, ceil(n / 8)), a bit per image, padding 0.

    Each step takes the zoom that solves most of what is left, the lowest number among equals. Images that
    are solved are cut away as soon as half of the words are empty, and a zoom whose last known gain is
    below the best found so far is not counted again (gains only fall).
    """
    zooms, width = packed.shape
    words = np.zeros((zooms, -(-width // 8) * 8), np.uint8)
    words[:, :width] = packed
    left = words.view(np.uint64).copy()
    union = np.bitwise_or.reduce(left, axis=0)
    bound = np.bitwise_count(left).sum(axis=1, dtype=np.int64)
    chosen: list[int] = []
    gained: list[int] = []
    while True:
        best, gain = -1, 0
        for zoom in np.lexsort((np.arange(zooms), -bound)).tolist():
            if bound[zoom] < gain or (bound[zoom] == gain and zoom > best >= 0) or bound[zoom] == 0:
                break
            bound[zoom] = int(np.bitwise_count(left[zoom]).sum())
            if bound[zoom] > gain or (bound[zoom] == gain > 0 and zoom < best):
                best, gain = zoom, int(bound[zoom])
        if best < 0:
            break
        chosen.append(best)
        gained.append(gain)
        left &= ~left[best]
        alive = left.any(axis=0)
        if alive.sum() < left.shape[1] / 2:
            left = np.ascontiguousarray(left[:, alive])
    return Cover(tuple(chosen), tuple(gained), int(np.bitwise_count(union).sum()))


@dataclass(frozen=True)
class Optimum:
    """``zooms``: the smallest cover found. No cover has fewer than ``at_least``."""

    zooms: tuple[int, ...]
    at_least: int

    @property
    def proven(self) -> bool:
        """Whether no smaller cover exists."""
        return self.at_least == len(self.zooms)


def minimum_cover(correct: NDArray[np.bool_], *, nodes: int = MAX_NODES) -> Optimum:
    """A smallest cover of bool (n, zooms) by integer programming (HiGHS), to judge the greedy one.

    The search ends after ``nodes`` branches, so that the same matrix gives the same answer anywhere.

    Raises:
        UsageError: no cover was found within ``nodes``.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    rows = _hardest(np.unique(correct[correct.any(axis=1)], axis=0))
    if not len(rows):
        return Optimum((), 0)
    zooms = rows.shape[1]
    found = milp(
        np.ones(zooms),
        integrality=np.ones(zooms),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(csr_array(rows.astype(float)), lb=1),
        options={"node_limit": nodes},
    )
    if found.x is None:
        raise UsageError(f"no smallest cover of {len(rows)} images by {zooms} zooms in {nodes} steps")
    chosen = tuple(np.flatnonzero(found.x > 0.5).tolist())
    bound = len(chosen) if found.status == 0 else max(1, ceil(found.mip_dual_bound - 1e-6))
    return Optimum(chosen, bound)


def _hardest(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the images that whatever solves another one solves as well."""
    order = np.argsort(rows.sum(axis=1), kind="stable")
    kept: list[NDArray[np.bool_]] = []
    for row in rows[order]:
        if not any((other <= row).all() for other in kept):
            kept.append(row)
    return np.array(kept, bool).reshape(len(kept), rows.shape[1])
