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
    m, wrong = len(top1), ~right & (top1 != NO_CLASS)
    # What is right, or no class, differs from everybody's: one comparison counts the same mistakes.
    own = -2 - np.arange(m)[:, None]
    answers = np.where(wrong, top1, own).astype(np.promote_types(np.int16, np.min_scalar_type(-2 - m)))
    part = -(-top1.shape[1] // 3)  # where a third of the images tells two apart, the others are not looked at
    both, both_in_part = _both(wrong), _both(wrong[:, :part])
    family = np.arange(m)
    for i in range(1, m):
        mistakes = both[i, :i]
        differ = both_in_part[i, :i] - _equal(answers[:i, :part], answers[i, :part])
        near = np.flatnonzero((mistakes >= MIN_IMAGES) & (mistakes - differ >= FAMILY * mistakes))
        alike = np.zeros(i, np.bool_)
        alike[near] = _equal(answers[near], answers[i]) >= FAMILY * mistakes[near]
        if alike.any():
            joined = np.unique(family[:i][alike])
            family[: i + 1][np.isin(family[: i + 1], [*joined, i])] = joined[0]
    found: NDArray[np.int64] = np.unique(family, return_inverse=True)[1]
    return found


def _both(wrong: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (m, m): on how many images (m, n) both are wrong; sums of ones below 2^24 are exact."""
    marks = wrong.astype(np.float32)
    return marks @ marks.T


def _equal(rows: NDArray[np.signedinteger], row: NDArray[np.signedinteger]) -> NDArray[np.int64]:
    """int64 (m,): in how many places each of the rows (m, n) is ``row`` (n,)."""
    counts: NDArray[np.int64] = np.bitwise_count(np.packbits(rows == row, axis=1)).sum(axis=1, dtype=np.int64)
    return counts


def speakers(top1: NDArray[np.integer], right: NDArray[np.bool_]) -> Sequence[int]:
    """Of each family the entry that is right most often, the first of equals: who speaks for it, rising."""
    family, counts = families(top1, right), right.sum(axis=1)
    members = (np.flatnonzero(family == each) for each in range(family.max(initial=-1) + 1))
    return sorted(int(each[np.argmax(counts[each])]) for each in members)
