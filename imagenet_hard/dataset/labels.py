"""What a stored label means, wherever it is stored: one class or several, as numbers, wnids, names or bits.

A number is a class index in 0..999, unless the data set names its classes: then it is the place of a name.
A data set may number its classes as it likes: sorted as strings ("0", "1", "10"), in alphabetical order,
or a subset. So where classes have names, the names decide and the numbers are theirs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from operator import index as as_int
from typing import Any

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet import classes
from imagenet_hard.imagenet.classes import names, wnid_to_index
from imagenet_hard.imagenet.names import Found, by_elimination, meanings, one_case
from imagenet_hard.imagenet.variants import MASKS

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


Labels = tuple[int, ...]
_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,9})(\.0*)?\s*")


def labels_of(value: Any, where: str, classes: Sequence[int] | None = None) -> Labels:
    """One image's stored label or labels as a sorted tuple of class indices without repeats.

    ``value``: an integer (1.0 is one), a wnid, a class index or class name as text, several of these in a
    list, an array or a text ("65, 795"), or a multi-hot vector: one 0 or 1 for each class. ``classes``:
    what the stored numbers mean, where the data set has class names (see ``class_indices``);
    -1 for a number without one.

    Raises:
        DatasetError: there is no label (None, NaN, -1, an empty list, only zeros), a number repeats, or
            one is no class; the message begins with ``where``.
    """
    if hasattr(value, "tolist"):  # numpy and torch, arrays and scalars
        value = value.tolist()
    if isinstance(value, str):
        value = _parts(value)
    given = value if isinstance(value, list | tuple) else [value]
    values = listed(given, where, N_CLASSES if classes is None else len(classes))
    if not values or any(_is_missing(v) for v in values):
        raise DatasetError(
            f"{where} has no labels: got {_shown(value)}, expected one or more class indices in "
            f"0..{N_CLASSES - 1}. Test splits cannot be scored; choose a split with labels."
        )
    return tuple(sorted({_one(v, where, classes) for v in values}))


def listed(values: Sequence[Any], where: str, n: int = N_CLASSES) -> Sequence[Any]:
    """The labels that a list stands for: those in it, or the places of the ones in a multi-hot vector.

    ``n``: the number of classes, which is the length of such a vector.

    Raises:
        DatasetError: a number is there twice, as in a vector of another length; or of two classes, 0 and 1
            may be either.
    """
    if len(values) < 2:
        return values
    numbers = [number for value in values if isinstance(number := _number(value), int | float)]
    if len(numbers) == len(values) == n and set(numbers) <= {0, 1}:
        if n == 2 and set(numbers) == {0, 1}:
            raise DatasetError(
                f"{where} has the label list {_shown(values)}, which may name both of the two classes, or "
                "be a multi-hot vector that names one: give class names or wnids"
            )
        return [place for place, bit in enumerate(numbers) if bit]
    if len(set(map(repr, numbers))) < len(numbers):
        raise DatasetError(
            f"{where} has the label list {_shown(values)}: class numbers do not repeat. Expected each class "
            f"once, or a multi-hot vector of one 0 or 1 for each of {n} classes"
        )
    return values


def is_number(value: Any) -> bool:
    """Whether one stored label is a number, or written in digits."""
    return isinstance(_number(value), int | float)


def in_range(value: Any, where: str) -> int:
    """A class index from a number; 3.0 is one, as pandas writes a column with gaps.

    Raises:
        DatasetError: it is no integer in 0..999.
    """
    try:
        number = int(value) if isinstance(value, float) and value.is_integer() else as_int(value)
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
    if match := _NUMBER.fullmatch(text):
        return in_range(int(match[1]), where)
    raise DatasetError(
        f"{where} has the label {text!r}: expected a class index in 0..{N_CLASSES - 1} or one of the "
        f"{N_CLASSES} wnids such as n01440764"
    )


def _one(value: Any, where: str, classes: Sequence[int] | None) -> int:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        found = meanings(value)
        if len(found) > 1:
            raise DatasetError(
                f"{where} has the label {value!r}, which may be {' or '.join(map(str, sorted(found)))}: "
                "give the class index or the wnid"
            )
        return next(iter(found)) if found else parse_label(value, where)
    number = in_range(_number(value), where)
    if classes is None:
        return number
    if number >= len(classes) or classes[number] < 0:
        raise DatasetError(f"{where} has the label {number}, and the data set names no such class")
    return classes[number]


def split_labels(text: str) -> list[str]:
    """The words of a cell: "5 6", "[5, 6]" or "('n01440764', 'n01443537')"."""
    parts = re.split(r"[\s;,|]+", text.strip().strip("[](){}"))
    return [part.strip("\"'") for part in parts if part]


def _parts(text: str) -> str | list[str]:
    """Several class indices or wnids in one text, as tables have them; any other text as it is."""
    parts = split_labels(text)
    several = len(parts) > 1 and all(_NUMBER.fullmatch(p) or p.lower() in wnid_to_index() for p in parts)
    return parts if several else text.strip("[]() ")


def _number(value: Any) -> Any:
    """An integer for digits, whatever else as it is."""
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        return int(match[1])
    return value


def _is_missing(value: Any) -> bool:
    value = _number(value)
    is_nan = isinstance(value, float) and value != value
    return value is None or value == "" or is_nan or (isinstance(value, int | float) and value == -1)


def _shown(value: Any) -> str:
    """A label for a message; a long list by its beginning."""
    if isinstance(value, list | tuple) and len(value) > 8:
        return f"[{', '.join(map(repr, value[:8]))}, ...] of {len(value):,} values"
    return repr(value)


log = logging.getLogger(__name__)

_DIGITS = re.compile(r"[0-9]{1,9}")
SHOWN = 5
"""Names that a message lists."""


def class_indices(names: Sequence[str], where: str) -> tuple[int, ...]:
    """The class in 0..999 of each of a data set's class names: place ``k`` is what its number ``k`` means.

    A name with two meanings ("crane") is understood where the other names leave one of them, or where all
    names stand in the order of ImageNet's classes (or of a variant's, as ImageNet-A's); there, one name in a
    hundred may be unknown. Names that are numbers without a gap, as of digits, are warned of.

    Raises:
        DatasetError: names that are not understood, have two meanings, or mean the same class; the first
            of them are listed.
    """
    folded = one_case(names)
    meant = [meanings(name, folded=folded) for name in names]
    if (order := _in_known_order(meant)) is not None:
        return order
    meant = by_elimination(meant)
    _refuse(where, names, [name for name, found in zip(names, meant, strict=True) if not found])
    if several := [name for name, found in zip(names, meant, strict=True) if len(found) > 1]:
        told = "; ".join(f"{name!r} ({_said(meanings(name, folded=True))})" for name in several[:SHOWN])
        raise DatasetError(
            f"{where} has class names with several meanings: {told}. Name the classes by wnid or class index."
        )
    indices = tuple(next(iter(found)) for found in meant)
    if all(_DIGITS.fullmatch(name.strip()) for name in names) and (said := own_numbering(indices)):
        log.warning("%s has the class names %s", where, said)
    first: dict[int, str] = {}
    for name, index in zip(names, indices, strict=True):
        if (other := first.setdefault(index, name)) != name or names.count(name) > 1:
            raise DatasetError(
                f"{where} has two classes of one meaning: {other!r} and {name!r} are both class {index} "
                f"({classes.wnids()[index]}). Name the classes by wnid or class index."
            )
    return indices


def _in_known_order(meant: Sequence[Found]) -> tuple[int, ...] | None:
    """The classes in order, where nothing that is understood stands at another's place."""
    for order in (tuple(range(N_CLASSES)), *(tuple(sorted(subset())) for subset in MASKS.values())):
        if len(order) == len(meant):
            unknown = sum(not found for found in meant)
            fits = all(index in found for index, found in zip(order, meant, strict=True) if found)
            if fits and unknown <= len(order) // 100:
                return order
    return None


def _refuse(where: str, names: Sequence[str], unknown: Sequence[str]) -> None:
    if not unknown:
        return
    listed = shorten_list([repr(each) for each in unknown], SHOWN)
    hint = ""
    if str(N_CLASSES) in unknown and "0" not in names:
        hint = (
            f" Names that go from 1 to {N_CLASSES} are no class indices, and may be the numbers of the "
            "development kit, which has an order of its own."
        )
    raise DatasetError(
        f"{where} has {len(unknown):,} of {len(names):,} class names that are not understood: {listed}. "
        f"Expected class indices in 0..{N_CLASSES - 1}, wnids such as n01440764, or the class names of "
        f"open_clip, torchvision or WordNet.{hint}"
    )


def _said(found: Found) -> str:
    return ", ".join(f"{index} {classes.wnids()[index]}" for index in sorted(found))
