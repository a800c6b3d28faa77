"""Which classes a data set's own class names mean.

A data set may number its classes as it likes: sorted as strings ("0", "1", "10"), in alphabetical order,
or a subset. So where classes have names, the names decide and the numbers are theirs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.dataset.numbering import own_numbering
from imagenet_hard.imagenet import classes
from imagenet_hard.imagenet.names import Found, meanings, one_case

log = logging.getLogger(__name__)

_DIGITS = re.compile(r"[0-9]{1,9}")
SHOWN = 5
"""Names that a message lists."""


def class_indices(names: Sequence[str], where: str) -> tuple[int, ...]:
    """The class in 0..999 of each of a data set's class names: place ``k`` is what its number ``k`` means.

    A name with two meanings ("crane") is understood where the other names leave one of them, or where all
    names stand in the order of ImageNet's classes (or of those of ImageNet-A or -R); there, one name in a
    hundred may be unknown. Names that are numbers without a gap, as of digits, are warned of.

    Raises:
        DatasetError: names that are not understood, have two meanings, or mean the same class; the first
            of them are listed.
    """
    meant = [meanings(name, folded=one_case(names)) for name in names]
    if (order := _in_known_order(meant)) is not None:
        return order
    meant = _by_elimination(meant)
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
    for order in (tuple(range(N_CLASSES)), *(tuple(sorted(subset())) for subset in classes.MASKS.values())):
        if len(order) == len(meant):
            unknown = sum(not found for found in meant)
            fits = all(index in found for index, found in zip(order, meant, strict=True) if found)
            if fits and unknown <= len(order) // 100:
                return order
    return None


def _by_elimination(meant: list[Found]) -> list[Found]:
    """Classes differ: what one name alone can mean, no other does."""
    while True:
        taken = frozenset().union(*(found for found in meant if len(found) == 1))
        left = [found - taken if len(found) > 1 else found for found in meant]
        if left == meant:
            return meant
        meant = left


def _refuse(where: str, names: Sequence[str], unknown: Sequence[str]) -> None:
    if not unknown:
        return
    listed = ", ".join(map(repr, unknown[:SHOWN])) + (", ..." if len(unknown) > SHOWN else "")
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
