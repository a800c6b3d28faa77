"""Entries that speak with one voice: copies and ports of one network err alike, and count as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import NO_CLASS

FAMILY = 0.8
"""Share of one wrong answer for both, of the images that two entries get wrong. On ImageNet's validation
images ports of one network's weights reach 0.80 to 0.87 (of Inception-v3 0.76), the most alike of different
networks 0.76."""

MIN_IMAGES = 20
"""Images that both get wrong below which the share says nothing."""


def same_mistakes(
    a: NDArray[np.integer], a_right: NDArray[np.bool_], b: NDArray[np.integer], b_right: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the images that both of a pair get wrong: on how many they give one answer, and how many there are.

    Answers and whether they are right, (..., n) each; counts (...). Two that name no class give no answer.
    """
    both = ~a_right & ~b_right & (a != NO_CLASS) & (b != NO_CLASS)
    return ((a == b) & both).sum(axis=-1), both.sum(axis=-1)


def families(top1: NDArray[np.integer], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 (m,): the family of each of m entries, numbered in the order of their first members.

    ``top1`` (m, n), ``right`` bool (m, n). A family holds with each entry all that make its mistakes, and
    those that make theirs (single linkage at ``FAMILY``).
    """
    family = np.arange(len(top1))
    for i in range(1, len(top1)):
        same, both = same_mistakes(top1[i], right[i], top1[:i], right[:i])
        alike = (both >= MIN_IMAGES) & (same >= FAMILY * both)
        if alike.any():
            joined = np.unique(family[:i][alike])
            family[: i + 1][np.isin(family[: i + 1], [*joined, i])] = joined[0]
    found: NDArray[np.int64] = np.unique(family, return_inverse=True)[1]
    return found


def speakers(top1: NDArray[np.integer], right: NDArray[np.bool_]) -> Sequence[int]:
    """Of each family the entry that is right most often, the first of equals: who speaks for it, rising."""
    family, counts = families(top1, right), right.sum(axis=1)
    members = (np.flatnonzero(family == each) for each in range(family.max(initial=-1) + 1))
    return sorted(int(each[np.argmax(counts[each])]) for each in members)
