"""Label values: a label is a class index in 0..999 or a wnid; an image may have several."""

from __future__ import annotations

import re
from collections.abc import Collection
from operator import index as as_int
from typing import Any

from imagenet_hard.classes import names, wnid_to_index
from imagenet_hard.errors import DatasetError
from imagenet_hard.types import N_CLASSES

ONE_TOO_HIGH = (
    "If they count from 1 in the order of the wnids, subtract 1. If they are ids of ImageNet's development "
    "kit, they have another order (ILSVRC2012_val_00000001 has id 490 and index 65): use wnids instead"
)
"""What numbers may be that are no class indices."""

FEW = 10
"""Fewer labels than these may be 1, 2, 3, ... by chance."""


def checked(value: Any, where: str) -> tuple[int, ...]:
    """One row's label or labels as a sorted tuple of class indices without repeats.

    Raises:
        DatasetError: there is none (None, -1, an empty list), or one is no integer in 0..999.
    """
    values = value if isinstance(value, list | tuple) else [value]
    if not values or any(v is None or v == -1 for v in values):
        raise DatasetError(
            f"{where} is without labels: got {value!r}, expected one or more class indices in "
            f"0..{N_CLASSES - 1}. Test splits cannot be scored; choose a split with labels."
        )
    return tuple(sorted({in_range(v, where) for v in values}))


def in_range(value: Any, where: str) -> int:
    """An integer in 0..999.

    Raises:
        DatasetError: it is none.
    """
    try:
        number = as_int(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number < N_CLASSES:
        hint = f". {ONE_TOO_HIGH}" if number == N_CLASSES else ""
        raise DatasetError(
            f"{where} has the label {value!r}: expected an integer class index in 0..{N_CLASSES - 1}{hint}"
        )
    return number


def parse_label(text: str, where: str) -> int:
    """A class index from "65", "65.0" (as pandas writes it) or "n01751748".

    Raises:
        DatasetError: it is none of them.
    """
    text = text.strip()
    if (index := wnid_to_index().get(text.lower())) is not None:
        return index
    if match := re.fullmatch(r"([+-]?\d{1,9})(\.0*)?", text):
        return in_range(int(match[1]), where)
    raise DatasetError(
        f"{where} has the label {text!r}: expected a class index in 0..{N_CLASSES - 1} or one of the "
        f"{N_CLASSES} wnids such as n01440764"
    )


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
