"""The figures of a study: accuracies (paper, section 3), covers, and means over sources.

Counts first, shares last. A correctness matrix is bool (n, 9 * scales) of one classifier on one source,
its columns numbered as in ``ZoomGrid``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.imagenet.zoom import ANCHORS, PAPER_SIZE, STANDARD_ANCHOR, ZoomGrid
from imagenet_hard.study.cover import Cover, Optimum, greedy_cover, minimum_cover
from imagenet_hard.study.matrix import Matrix

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


MAX_EXACT = 500
"""Images of a source up to which the smallest cover is looked for; beyond, only the greedy one."""


@dataclass(frozen=True)
class Pair:
    """One classifier on one source. ``optimum``: None where the source is too large for it."""

    classifier: str
    source: str
    accuracy: ZoomAccuracy
    cover: Cover
    optimum: Optimum | None


@dataclass(frozen=True)
class Means:
    """One classifier, plain means of shares over the sources, in [0, 1]. Groups: name -> (solved, alone)."""

    classifier: str
    one_crop: float
    best: float
    groups: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Figures:
    """``covers``: classifier -> its cover of all sources. ``together``: of all classifiers and sources.

    ``means``: empty where there is one source only.
    """

    pairs: tuple[Pair, ...]
    means: tuple[Means, ...]
    covers: dict[str, Cover]
    together: Cover


def figures(matrix: Matrix) -> Figures:
    """Everything that follows from a matrix.

    Raises:
        UsageError: the zooms lack the standard view.
    """
    classifiers, sources = list(matrix.info.classifiers), [each.source for each in matrix.info.images]
    pairs = [_pair(matrix, classifier, source) for source in sources for classifier in classifiers]
    packed = {classifier: matrix.by_zoom(classifier) for classifier in classifiers}
    return Figures(
        tuple(pairs),
        tuple(_means(name, [p for p in pairs if p.classifier == name]) for name in classifiers)
        if len(sources) > 1
        else (),
        {name: greedy_cover(bits) for name, bits in packed.items()},
        greedy_cover(np.concatenate(list(packed.values()), axis=1)),
    )


def _pair(matrix: Matrix, classifier: str, source: str) -> Pair:
    correct = matrix.correct(classifier, source)
    optimum = None
    if len(correct) <= MAX_EXACT:
        try:
            optimum = minimum_cover(correct)
        except UsageError:  # not found within its steps: the report shows none
            optimum = None
    cover = greedy_cover(matrix.by_zoom(classifier, source))
    return Pair(classifier, source, zoom_accuracy(correct, matrix.grid), cover, optimum)


def _means(classifier: str, pairs: list[Pair]) -> Means:
    def mean(shares: list[float]) -> float:
        return sum(shares) / len(shares)

    accuracies = [pair.accuracy for pair in pairs]
    return Means(
        classifier,
        mean([a.one_crop.accuracy for a in accuracies]),
        mean([a.best.accuracy for a in accuracies]),
        {
            group.name: (
                mean([a.groups[i].solved.accuracy for a in accuracies]),
                mean([a.groups[i].alone.accuracy for a in accuracies]),
            )
            for i, group in enumerate(accuracies[0].groups)
        },
    )
