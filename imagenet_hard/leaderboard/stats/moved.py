"""What another version of the labels does to the score of an entry."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.types import Record
from imagenet_hard.evaluation.intervals import CONFIDENCE, RESAMPLES
from imagenet_hard.evaluation.metrics import Rate

Difference = Annotated[float, Field(ge=-1, le=1)]


class Moved(Record):
    """An entry's top-1 before and after a correction, and the difference of the shares.

    ``low``..``high``: 95 %, a percentile bootstrap over the images of the version before.
    """

    before: Rate
    after: Rate
    difference: Difference
    low: Difference
    high: Difference


def moved(before: NDArray[np.bool_], after: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Moved:
    """``before``: bool (n,), which images are right by the version before; ``kept``: bool (n,), which of them
    the version after has; ``after``: bool (kept.sum(),), which of those are right by it."""
    later = np.zeros(len(before), np.bool_)
    later[kept] = after
    # Each image is one of these; what resampling draws is how many of each.
    cells = [before & kept & later, before & kept & ~later, before & ~kept]
    cells += [~before & kept & later, ~before & kept & ~later, ~before & ~kept]
    shares = np.array([cell.sum() for cell in cells]) / len(before)
    draws = np.random.default_rng(0).multinomial(len(before), shares, size=RESAMPLES)
    n_after = draws[:, [0, 1, 3, 4]].sum(axis=1)
    differences = draws[:, [0, 3]].sum(axis=1) / np.maximum(n_after, 1) - draws[:, :3].sum(axis=1) / len(
        before
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    rates = Rate.of(int(before.sum()), len(before)), Rate.of(int(after.sum()), len(after))
    return Moved(
        before=rates[0],
        after=rates[1],
        difference=rates[1].accuracy - rates[0].accuracy,
        low=float(low),
        high=float(high),
    )
