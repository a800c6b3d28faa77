"""All figures of a study: each classifier on each source, the covers of several, and means over sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagenet_hard.base.errors import UsageError
from imagenet_hard.study.accuracy import ZoomAccuracy, zoom_accuracy
from imagenet_hard.study.cover import Cover, Optimum, greedy_cover, minimum_cover
from imagenet_hard.study.matrix import Matrix

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
