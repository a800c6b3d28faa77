"""Where the entries of one board stand, from the statistics: ranks, ties, and an order by agreement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.leaderboard.site.data import Rank
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import error_consistency
from imagenet_hard.leaderboard.stats.ranks import ranks

_MOST_ORDERED_EXACTLY = 300
"""Optimal leaf ordering grows with the cube of the entries: seconds here, minutes at a thousand."""


@dataclass(frozen=True)
class Standing:
    """Ranks in the order of the entries; ``kappa``, ``tied``, ``similar`` as in ``Board``.

    ``neighbours_apart``: of the m - 1 neighbours in that order, those that are told apart.
    """

    ranks: tuple[Rank, ...]
    tied: NDArray[np.bool_]
    kappa: NDArray[np.float64]
    similar: tuple[int, ...]
    neighbours_apart: int


def standing(correct: Correctness, *, seed: int = 0) -> Standing:
    """``correct``: one row an entry, the best first; ``seed``: of the resampled images."""
    found = ranks(correct, seed=seed)
    kappa = error_consistency(correct)
    columns = (found.place.tolist(), found.low.tolist(), found.high.tolist())
    return Standing(
        ranks=tuple(Rank(place=place, low=low, high=high) for place, low, high in zip(*columns, strict=True)),
        tied=~found.apart,
        kappa=kappa,
        similar=_side_by_side(kappa),
        neighbours_apart=int(found.apart.diagonal(1).sum()),
    )


def _side_by_side(kappa: NDArray[np.float64]) -> tuple[int, ...]:
    """An order in which entries that err alike are neighbours: leaves of average linkage on 1 - kappa."""
    m = len(kappa)
    if m < 3:
        return tuple(range(m))
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = 1 - np.nan_to_num(kappa)[np.triu_indices(m, 1)]
    tree = linkage(distance, "average", optimal_ordering=m <= _MOST_ORDERED_EXACTLY)
    return tuple(int(i) for i in leaves_list(tree))
