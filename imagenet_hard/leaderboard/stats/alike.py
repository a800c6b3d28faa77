"""Images that entries answer alike: of those to which most entries give one class, the ones with most answers
in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import N_CLASSES, NO_CLASS

NEIGHBOURS = 5
"""Of each image."""

RUN = 256
"""Images that are compared with each other at most: what it costs grows with their number, not its square."""


def commonest(predicted: NDArray[np.integer]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Of (m, n) answers the class that most entries give to each image, and how many do.

    int16 (n,), the lowest of equals, ``NO_CLASS`` where nobody names a class; int64 (n,).
    """
    n = predicted.shape[1]
    best, votes = np.full(n, NO_CLASS, np.int16), np.zeros(n, np.int64)
    for start in range(0, n, RUN):
        part = predicted[:, start : start + RUN].astype(np.int64)
        width = part.shape[1]
        at = (np.arange(width) * (N_CLASSES + 1) + part + 1).ravel()  # NO_CLASS is counted, and left out
        counts = np.bincount(at, minlength=width * (N_CLASSES + 1)).reshape(width, -1)[:, 1:]
        most = counts.max(axis=1)
        best[start : start + width] = np.where(most, counts.argmax(axis=1), NO_CLASS)
        votes[start : start + width] = most
    return best, votes


def neighbours(predicted: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each of n images those that are answered most alike, and how many of m entries give both one class.

    ``predicted``: (m, n). int32 (n, ``NEIGHBOURS``) each; -1 where there are fewer that share an answer. Only
    images of one commonest answer are compared, in runs of ``RUN`` by how many give it.
    """
    best, votes = commonest(predicted)
    n = len(best)
    rows, shared = np.full((n, NEIGHBOURS), -1, np.int32), np.zeros((n, NEIGHBOURS), np.int32)
    order = np.lexsort((np.arange(n), -votes, best))
    ends = np.flatnonzero(np.diff(best[order])) + 1
    for group in np.split(order, ends):
        if best[group[0]] == NO_CLASS:
            continue
        for start in range(0, len(group), RUN):
            run = group[start : start + RUN]
            answers = np.ascontiguousarray(predicted[:, run].T)
            answers = np.where(answers == NO_CLASS, -2 - np.arange(len(run))[:, None], answers)
            for i, row in enumerate(run):
                same = (answers == answers[i]).sum(axis=1)
                same[i] = 0
                near = np.argsort(-same, kind="stable")[:NEIGHBOURS]
                near = near[same[near] > 0]
                rows[row, : len(near)], shared[row, : len(near)] = run[near], same[near]
    return rows, shared
