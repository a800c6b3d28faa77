"""Whether a model that was run again answers as its entry says, and what a check of a part would find.

Arithmetic differs between machines, so an image agrees within a tolerance: log probabilities, place by place
and class by class, which lets two classes change places only where they are that close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import Precision, Predictions
from imagenet_hard.evaluation.metrics import hits

LOGPROB_TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-2, "fp16": 0.0625, "bf16": 0.5}
"""Natural logs. From the near-ties of ``evaluation.metrics``; fp32 moves by 1e-5 between batch sizes, and ten
times a near-tie leaves room for other kernels."""

NARROW = 1e-2
"""Up to here a sixth class almost never comes fifth: one that does counts as a difference."""

ADAPTED_TOLERANCE = 0.5
"""Where weights are adapted to each image: the step takes small differences further."""

SHIFT = 0.1
"""Of the tolerance: how far the mean confidence may be off, apart for right and wrong answers."""

MAY_DIFFER = 0.001
"""Share of the images that may lie outside the tolerance."""

LUCK = 1e-3
"""Tail probability of a fair coin: of images that one run has right and the other wrong."""

CHANGED, MAY_MISS = 0.01, 0.01
"""A spot check finds a share ``CHANGED`` of made-up answers but for a chance of ``MAY_MISS``."""


def may_differ(n: int) -> int:
    """How many of ``n`` images may lie outside the tolerance."""
    return int(MAY_DIFFER * n)


def chance_to_miss(n: int, total: int, share: float = CHANGED) -> float:
    """The chance that a check of ``n`` of ``total`` images passes where ``share`` of the answers are made up.

    >>> round(chance_to_miss(100, 10_980), 2), round(chance_to_miss(1000, 10_980), 4)
    (0.36, 0.0003)
    """
    return float(_misses(total, share)[n - 1])


def smallest_check(total: int) -> int:
    """The fewest of ``total`` images that make a spot check.

    >>> smallest_check(10_980), smallest_check(20)
    (448, 20)
    """
    return int(np.argmax(_misses(total, CHANGED) <= MAY_MISS)) + 1


@cache
def _misses(total: int, share: float) -> NDArray[np.float64]:
    """For checks of 1 to ``total`` images, drawn without putting back: hypergeometric."""
    from scipy.stats import hypergeom

    n = np.arange(1, total + 1)
    changed = int(np.ceil(share * total))
    misses: NDArray[np.float64] = hypergeom.cdf((MAY_DIFFER * n).astype(int), total, changed, n)
    return misses


def agreeing(claimed: Predictions, again: Predictions, tolerance: float) -> NDArray[np.bool_]:
    """Which images agree, row by row: bool (n,).

    Each place has the same log probability, and so has each of the five classes. A class that is not among
    the other five had at most the fifth's: believed only under a wide tolerance, where sixths often move up.
    """
    theirs, ours = (p.logprob5.astype(np.float64) for p in (claimed, again))
    same = claimed.top5[:, :, None] == again.top5[:, None, :]
    found = same.any(axis=2)
    value = np.where(found, (same * ours[:, None, :]).sum(axis=2), ours[:, 4:])
    apart = theirs - value
    near = np.where(found, np.abs(apart), apart if tolerance > NARROW else np.inf) <= tolerance
    return np.asarray((near & (np.abs(theirs - ours) <= tolerance)).all(axis=1), np.bool_)


def compare(
    claimed: Predictions, again: Predictions, labels: Sequence[Sequence[int]], tolerance: float
) -> str:
    """Compare answers to the same images, row by row; what came out, in words.

    Raises:
        ResultError: too many images outside the tolerance, differences that help the claim more often than by
            chance, or confidences that are shifted.
    """
    n, agree = len(claimed), agreeing(claimed, again, tolerance)
    first = int((claimed.top5[:, 0] == again.top5[:, 0]).sum())
    found = (
        f"{int(agree.sum())} of {n} {'image agrees' if n == 1 else 'images agree'} in all five places, "
        f"log probabilities within {tolerance:g}; {first} of {n} top-1 answers are the same"
    )
    if n - int(agree.sum()) > may_differ(n):
        raise ResultError(f"{found}; expected at least {n - may_differ(n)} to agree")
    right = hits(claimed.top5, labels)
    right_again = hits(again.top5, labels)
    for what, theirs, ours in (
        ("top-1", right[:, 0], right_again[:, 0]),
        ("top-5", right.any(axis=1), right_again.any(axis=1)),
    ):
        gained, lost = int((theirs & ~ours).sum()), int((~theirs & ours).sum())
        if _tail(gained, gained + lost) < LUCK:
            raise ResultError(
                f"{found}; but by {what} the entry alone is right on {gained} images and the run again alone "
                f"on {lost}: near-ties favour no side so"
            )
    for what, group in (("right", agree & right[:, 0]), ("wrong", agree & ~right[:, 0])):
        shift = claimed.logprob5[group, 0].astype(np.float64) - again.logprob5[group, 0]
        if len(shift) and abs(shift.mean()) > SHIFT * tolerance:
            raise ResultError(
                f"{found}; but the log confidences of its {what} answers are off by {shift.mean():+.4f} in "
                f"the mean: expected at most {SHIFT * tolerance:g}"
            )
    return f"{found}; {int(right_again[:, 0].sum())} of {n} are right"


def _tail(successes: int, n: int) -> float:
    """Chance that a fair coin falls on one side ``successes`` times of ``n`` or more."""
    from scipy.special import bdtrc

    return float(bdtrc(successes - 1, n, 0.5)) if successes else 1.0
