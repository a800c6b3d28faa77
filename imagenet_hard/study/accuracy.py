"""What a correctness matrix says: accuracy per view, anchor, scale and group (paper, section 3).

Counts first, shares last. Every matrix is bool (n, 9 * scales) of one classifier on one source, its
columns numbered as in ``ZoomGrid``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.imagenet.zoom import ANCHORS, PAPER_SIZE, STANDARD_ANCHOR, ZoomGrid

CENTRE = ANCHORS.index(STANDARD_ANCHOR)


@dataclass(frozen=True)
class Group:
    """Zooms on one side of scale 224: images ``solved`` by any of them, and by them ``alone``."""

    name: str
    solved: Rate
    alone: Rate


@dataclass(frozen=True)
class ZoomAccuracy:
    """One classifier on one source.

    ``one_crop``: the standard view. ``best``: any zoom ("maximum possible accuracy"). ``anchors``: 9,
    row by row, any scale. ``scales``: one each, the central anchor. ``best_of_9``: one each, any anchor.
    """

    one_crop: Rate
    best: Rate
    anchors: tuple[Rate, ...]
    scales: tuple[Rate, ...]
    best_of_9: tuple[Rate, ...]
    groups: tuple[Group, ...]

    @property
    def centre_bias(self) -> float:
        """Accuracy of the central anchor minus the mean of the eight others, in [-1, 1]."""
        others = [rate.accuracy for i, rate in enumerate(self.anchors) if i != CENTRE]
        return self.anchors[CENTRE].accuracy - sum(others) / len(others)


def zoom_accuracy(correct: NDArray[np.bool_], grid: ZoomGrid) -> ZoomAccuracy:
    """All accuracies of bool (n, zooms).

    Raises:
        UsageError: no image, another number of zooms than the grid's, or a grid without the standard view.
    """
    if correct.ndim != 2 or not len(correct) or correct.shape[1] != len(grid):
        raise UsageError(f"the matrix is {correct.shape}: expected (images, {len(grid)}), one image or more")
    cube = correct.reshape(len(correct), len(grid.scales), len(ANCHORS))
    return ZoomAccuracy(
        one_crop=_rate(correct[:, grid.standard]),
        best=_rate(_any(correct, 1)),
        anchors=tuple(map(_rate, _any(cube, 1).T)),
        scales=tuple(map(_rate, cube[:, :, CENTRE].T)),
        best_of_9=tuple(map(_rate, _any(cube, 2).T)),
        groups=_groups(_any(cube, 2), np.array(grid.scales)),
    )


def _groups(by_scale: NDArray[np.bool_], scales: NDArray[np.int_]) -> tuple[Group, ...]:
    """``by_scale``: bool (n, scales), right under any anchor."""
    sides = {"zoom-in": scales > PAPER_SIZE, "zoom-out": scales < PAPER_SIZE, "224": scales == PAPER_SIZE}
    found = []
    for name, inside in sides.items():
        solved = _any(by_scale[:, inside], 1)
        found.append(Group(name, _rate(solved), _rate(solved & ~_any(by_scale[:, ~inside], 1))))
    return tuple(found)


def _any(flags: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.logical_or.reduce(flags, axis=axis)
    return found


def _rate(solved: NDArray[np.bool_]) -> Rate:
    return Rate.of(int(solved.sum()), len(solved))
