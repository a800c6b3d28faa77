"""Class names of a file, in the order of the classes, from any of the forms that ImageNet's lists have.

Names alone (one a line, or a list), names behind numbers or wnids (``0: tench``, ``n01440764 tench``),
Keras's and torch's JSON. wnids and numbers order the names; where there are none, names that are known
must stand at their own classes. Under another order every score would be wrong, and nothing would fail.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers.name_lists import NameEntry, read_names
from imagenet_hard.imagenet.classes import devkit_order, names, wnid_to_index, wnids
from imagenet_hard.imagenet.names import called

log = logging.getLogger(__name__)

MISPLACED = 10
"""Known names at other classes from which on a list is taken to be in another order."""


def class_names(content: str, path: Path) -> tuple[str, ...]:
    """The 1000 names in class order.

    Raises:
        UsageError: for another number of names, for wnids or numbers without names or that are not those of
            the classes, and for known names in another order.
    """
    entries = read_names(content, path)
    ordered = _ordered(entries, path)
    texts = tuple(entry.text.replace("_", " ") for entry in ordered)
    _check_places(ordered, texts, path)
    _say(ordered, texts, path)
    return texts


def _ordered(entries: Sequence[NameEntry], path: Path) -> list[NameEntry]:
    """One entry for each class, in class order: by wnid, else by number, else as they stand."""
    if entries[0].wnid is not None:
        return _by_wnid(entries, path)
    if len(entries) != N_CLASSES:
        first = entries[0].text
        hint = f": {first!r} is no class of ImageNet-1k, leave it out" if "background" in first else ""
        raise UsageError(
            f"{path}: got {len(entries)} class names, expected {N_CLASSES}, one for each class in class "
            f"order{hint}"
        )
    numbers = [entry.number for entry in entries]
    if None in numbers:
        return list(entries)
    order = sorted(entries, key=lambda entry: entry.number or 0)
    start = order[0].number or 0
    if start > 1 or any((b.number or 0) - (a.number or 0) != 1 for a, b in pairwise(order)):
        raise UsageError(
            f"{path}: the numbers of the class names are {start} to {order[-1].number}, {len(set(numbers))} "
            f"different ones: expected 0 to {N_CLASSES - 1} or 1 to {N_CLASSES}, each once"
        )
    return order


def _by_wnid(entries: Sequence[NameEntry], path: Path) -> list[NameEntry]:
    index = wnid_to_index()
    ours = [entry for entry in entries if entry.wnid in index]
    found = {entry.wnid: entry for entry in ours}
    if missing := [wnid for wnid in wnids() if wnid not in found]:
        raise UsageError(
            f"{path}: {len(missing)} of the {N_CLASSES} classes have no name, the first {missing[0]} "
            f"({names()[index[missing[0]]]})"
        )
    if len(ours) != N_CLASSES:
        twice = next(wnid for wnid, n in Counter(entry.wnid for entry in ours).items() if n > 1)
        raise UsageError(f"{path}: {twice} has two names: expected one for each class")
    if len(entries) > len(ours):
        log.info("%s: %d names of other classes are left out", path.name, len(entries) - len(ours))
    return [found[wnid] for wnid in wnids()]


def _check_places(entries: Sequence[NameEntry], texts: Sequence[str], path: Path) -> None:
    """Refuse known names that stand at other classes than their own; a few may be a choice, and are told.

    Raises:
        UsageError: for many, and for classes that have exchanged their names.
    """
    owners = [_owners(text) for text in texts]
    if sum(map(bool, owners)) < N_CLASSES // 10:
        log.warning(
            "%s: hardly a class name is one of CLIP's or WordNet's; they go into prompts as they are (%r)",
            path.name, f"a photo of a {texts[0]}.",
        )  # fmt: skip
    wrong = {i: min(owner) for i, owner in enumerate(owners) if owner and i not in owner}
    if not wrong:
        return
    told = ", ".join(f"{texts[i]!r} is class {own}" for i, own in list(wrong.items())[:3])
    first = entries[next(iter(wrong))]
    if len(wrong) < MISPLACED and set(wrong) != set(wrong.values()):
        log.warning("%s: names of one class stand at another (%s): %s", path.name, first.place, told)
        return
    advice = (
        "expected the order of the wnids, which is that of the classes: put them in it, or write its wnid "
        "before each name (n01440764 tench), and any order will do"
        if first.wnid is None
        else f"the wnids and the names contradict each other ({first.wnid})"
    )
    raise UsageError(
        f"{first.place}: {len(wrong)} of the {N_CLASSES} names stand at another class than their own, "
        f"{_order(texts, wrong)} ({told}): {advice}"
    )


def _order(texts: Sequence[str], wrong: Mapping[int, int]) -> str:
    """Which order a list is in, as far as that can be told."""
    if [*texts] in (sorted(texts), sorted(texts, key=str.casefold)):
        return "sorted by name"
    if len(wrong) == 2:
        return "two classes exchanged"
    moves: Mapping[str, Callable[[int, int], bool]] = {
        "in the order of the development kit": lambda i, own: devkit_order()[i] == own,
        "in reverse": lambda i, own: i + own == N_CLASSES - 1,
        "one class late": lambda i, own: i - own == 1,
        "one class early": lambda i, own: own - i == 1,
    }
    for name, holds in moves.items():
        if sum(holds(i, own) for i, own in wrong.items()) > 0.9 * len(wrong):
            return name
    return "in an order that is not known here"


def _owners(name: str) -> frozenset[int]:
    """The classes that are called so, by the whole or by the first of several words."""
    return called(name) or called(re.split(r"[,;/|(]", name)[0])


def _say(entries: Sequence[NameEntry], texts: Sequence[str], path: Path) -> None:
    """What a list does to the prompts that its author may not have meant."""
    if any("_" in entry.text for entry in entries):
        log.warning("%s: underscores in the class names are read as blanks", path.name)
    if sum("," in text for text in texts) > N_CLASSES // 4:
        log.warning(
            "%s: most class names are several words with commas, and go into the prompts as they are (%r)",
            path.name, f"a photo of a {next(t for t in texts if ',' in t)}.",
        )  # fmt: skip
    first: dict[str, int] = {}
    twins = [(first[text], i) for i, text in enumerate(texts) if first.setdefault(text, i) != i]
    if twins:
        log.warning(
            "%s: %d classes share the name of an earlier one and can never come first (%d that of %d: %r)",
            path.name, len(twins), twins[0][1], twins[0][0], texts[twins[0][0]],
        )  # fmt: skip
