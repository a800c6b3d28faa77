"""Which class is taken for which, over all entries and images of a board."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import N_CLASSES, NO_CLASS

BLOCK = 64
"""Entries at a time."""


def confusions(
    predicted: NDArray[np.integer], correct: NDArray[np.bool_], labels: Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """int64 (1000, 1000): how many answers to images labelled as the row's class are the column's, and wrong.

    ``predicted``, ``correct``: (m, n). An image with several labels counts in the row of each.
    """
    found = np.zeros(N_CLASSES * N_CLASSES, np.int64)
    for labelled in zip_longest(*labels, fillvalue=NO_CLASS):  # the first labels, the second, ...
        label = np.array(labelled, np.int64)
        rows = np.flatnonzero(label != NO_CLASS)
        for start in range(0, len(predicted), BLOCK):
            answers = predicted[start : start + BLOCK, rows].astype(np.int64)
            wrong = ~correct[start : start + BLOCK, rows] & (answers != NO_CLASS)
            at = (label[rows] * N_CLASSES + answers)[wrong]
            found += np.bincount(at, minlength=len(found))
    return found.reshape(N_CLASSES, N_CLASSES)
