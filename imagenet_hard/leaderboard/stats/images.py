"""Images by who solves them, and accuracies within groups of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.stats.correctness import Correctness


@dataclass(frozen=True)
class Solved:
    """``by``: int64 (n,), entries that solve each image. ``none``, ``all``: images that no entry or every
    one solves. ``oracle``: share that at least one solves, in [0, 1].
    """

    by: NDArray[np.int64]
    none: int
    all: int
    oracle: float


def solved(correct: Correctness) -> Solved:
    """How many entries solve each image."""
    by = correct.solved_by()
    none = int((by == 0).sum())
    return Solved(by, none, int((by == correct.m).sum()), 1 - none / correct.n)


@dataclass(frozen=True)
class Groups:
    """Accuracies within groups of images. ``names``: k of them, sorted; ``totals``: int64 (k,), images of
    each; ``counts``: int64 (m, k), images of each that an entry solves.
    """

    names: tuple[str, ...]
    totals: NDArray[np.int64]
    counts: NDArray[np.int64]


def by_group(correct: Correctness, groups: Sequence[str]) -> Groups:
    """``groups``: n strings, such as each image's origin or number of labels.

    Raises:
        UsageError: not one for each image.
    """
    if len(groups) != correct.n:
        raise UsageError(f"got {len(groups)} groups for {correct.n} images: expected one each")
    names = tuple(sorted(set(groups)))
    place = {name: i for i, name in enumerate(names)}
    member = np.zeros((correct.n, len(names)), np.float32)
    member[np.arange(correct.n), [place[group] for group in groups]] = 1
    counts = np.zeros((correct.m, len(names)), np.float64)
    start = 0
    for block in correct.blocks():
        counts += block.astype(np.float32) @ member[start : start + block.shape[1]]
        start += block.shape[1]
    return Groups(names, member.sum(axis=0).astype(np.int64), counts.astype(np.int64))
