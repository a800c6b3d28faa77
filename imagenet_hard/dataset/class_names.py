"""Which classes a data set's own class names mean.

A data set may number its classes as it likes: sorted as strings ("0", "1", "10"), in alphabetical order,
or a subset. So where classes have names, the names decide and the numbers are theirs. Understood are class
indices, wnids (also with a name beside them), and the names of open_clip, torchvision and timm (these are
WordNet's: "tench, Tinca tinca" or one of them).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imagenet_hard import classes
from imagenet_hard.errors import DatasetError
from imagenet_hard.types import N_CLASSES

Found = frozenset[int]
"""The classes that a name may mean: none where it is not understood, several where it has several."""

_WNID = re.compile(r"(?<![0-9A-Za-z])n\d{8}(?![0-9A-Za-z])", re.IGNORECASE)
_APOSTROPHE = re.compile(r"['’`]")
_OTHER = re.compile(r"[^0-9A-Za-z]+")
SHOWN = 5
"""Names that a message lists."""


def class_indices(names: Sequence[str], where: str) -> tuple[int, ...]:
    """The class in 0..999 of each of a data set's class names: place ``k`` is what its number ``k`` means.

    A name with two meanings ("crane") is understood where the other names leave one of them, or where all
    names stand in the order of ImageNet's classes (or of those of ImageNet-A or -R); there, one name in a
    hundred may be unknown.

    Raises:
        DatasetError: names that are not understood, have two meanings, or mean the same class; the first
            of them are listed.
    """
    meant = [meanings(name, folded=_one_case(names)) for name in names]
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
    first: dict[int, str] = {}
    for name, index in zip(names, indices, strict=True):
        if (other := first.setdefault(index, name)) != name or names.count(name) > 1:
            raise DatasetError(
                f"{where} has two classes of one meaning: {other!r} and {name!r} are both class {index} "
                f"({classes.wnids()[index]}). Name the classes by wnid or class index."
            )
    return indices


def meanings(name: str, *, folded: bool = True) -> Found:
    """The classes that ``name`` may mean.

    ``folded``: capitals tell nothing, as in a list without any; else "Cardigan" is the dog and "cardigan"
    the jacket.

    >>> sorted(meanings("n01440764_tench")), sorted(meanings("tench, Tinca tinca")), sorted(meanings("0"))
    ([0], [0], [0])
    >>> sorted(meanings("crane")), sorted(meanings("cat"))
    ([134, 517], [])
    """
    text = name.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return frozenset({int(text)}) if int(text) < N_CLASSES else frozenset()
    if wnids := {wnid.lower() for wnid in _WNID.findall(text)}:
        index = classes.wnid_to_index()
        return frozenset(index[wnid] for wnid in wnids) if wnids <= index.keys() else frozenset()
    key = _key(text)
    words = _vocabulary()
    if not folded and key in words.exact:
        return words.exact[key]
    return words.folded.get(key.lower(), frozenset())


@dataclass(frozen=True)
class _Vocabulary:
    """Key of a name -> the classes, with capitals as written and without."""

    exact: Mapping[str, Found]
    folded: Mapping[str, Found]


@cache
def _vocabulary() -> _Vocabulary:
    """The names in use, each class's own before its synonyms ("polecat" is no skunk)."""
    from timm.data import ImageNetInfo
    from torchvision.models import AlexNet_Weights

    info = ImageNetInfo()
    assert tuple(info.label_names()) == classes.wnids(), "timm has ImageNet's classes in another order"
    wordnet = [str(info.index_to_description(i)) for i in range(N_CLASSES)]
    synonyms = [(i, lemma) for i, lemmas in enumerate(wordnet) for lemma in lemmas.split(",")]
    own = [
        *enumerate(classes.names()),
        *enumerate(AlexNet_Weights.IMAGENET1K_V1.meta["categories"]),
        *enumerate(wordnet),
        *((i, lemmas.split(",")[0]) for i, lemmas in enumerate(wordnet)),
    ]
    return _Vocabulary(
        exact={**_table(synonyms), **_table(own)},
        folded={**_table(synonyms, lower=True), **_table(own, lower=True)},
    )


def _table(pairs: Iterable[tuple[int, str]], *, lower: bool = False) -> dict[str, Found]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for index, name in pairs:
        key = _key(name)
        found[key.lower() if lower else key].add(index)
    return {key: frozenset(indices) for key, indices in found.items()}


def _key(name: str) -> str:
    """Letters and digits: underscores, hyphens, commas and apostrophes are written in many ways."""
    return _OTHER.sub(" ", _APOSTROPHE.sub("", unicodedata.normalize("NFKC", name))).strip()


def _one_case(names: Sequence[str]) -> bool:
    return all(name == name.lower() for name in names) or all(name == name.upper() for name in names)


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
