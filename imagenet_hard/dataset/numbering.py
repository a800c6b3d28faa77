"""Numbers that look like class indices and may be something else."""

from __future__ import annotations

from collections.abc import Collection

from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet.classes import names

ONE_TOO_HIGH = (
    "If they count from 1 in the order of the wnids, subtract 1. If they are ids of ImageNet's development "
    "kit, they have another order (ILSVRC2012_val_00000001 has id 490 and index 65): use wnids instead"
)
"""What numbers may be that are no class indices."""

FEW = 10
"""Fewer labels than these may be 1, 2, 3, ... by chance."""


def own_numbering(numbers: Collection[int]) -> str | None:
    """What to say of class numbers that may be a subset's own, or count from 1; None where they hardly are.

    Such numbers go from 0 or 1 to ``k`` without a gap, where ``k`` is too large for chance and no 999.
    """
    first, last = min(numbers, default=0), max(numbers, default=0)
    if len(numbers) < FEW or first > 1 or last - first + 1 != len(set(numbers)):
        return None
    if (first, last) == (0, N_CLASSES - 1):
        return None
    return (
        f"{first} to {last} and no others: they are taken for class indices, so that {first} is "
        f"{names()[first]} and {last} is {names()[last]}. "
        + (ONE_TOO_HIGH if first else "If they number the classes of a subset, use wnids instead")
    )
