"""What the names of the classes mean: class indices, wnids, and the names that the libraries use.

Understood are indices, wnids (also with a name beside them), and the names of open_clip, torchvision and
timm (these are WordNet's: "tench, Tinca tinca" or one of them), however they are written.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet import classes

Found = frozenset[int]
"""The classes that a name may mean: none where it is not understood, several where it has several."""

_WNID = re.compile(r"(?<![0-9A-Za-z])n\d{8}(?![0-9A-Za-z])", re.IGNORECASE)
_APOSTROPHE = re.compile(r"['’`]")
_OTHER = re.compile(r"[^0-9A-Za-z]+")


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


def called(name: str) -> Found:
    """The classes that are called so by a name or any synonym; capitals tell nothing.

    Wider than ``meanings``, where a class's own name comes before another's synonym.

    >>> sorted(called("polecat")), sorted(meanings("polecat"))
    ([358, 361], [358])
    """
    return _vocabulary().called.get(_key(name).lower(), frozenset())


def one_case(names: Sequence[str]) -> bool:
    """Whether capitals tell nothing in ``names``: there are none, or nothing else."""
    return all(name == name.lower() for name in names) or all(name == name.upper() for name in names)


def by_elimination(meant: Sequence[Found]) -> list[Found]:
    """Classes differ: what one name alone can mean, no other does."""
    while True:
        taken = frozenset().union(*(found for found in meant if len(found) == 1))
        left = [found - taken if len(found) > 1 else found for found in meant]
        if left == list(meant):
            return left
        meant = left


@dataclass(frozen=True)
class _Vocabulary:
    """Key of a name -> the classes: with capitals as written, without, and with all synonyms alike."""

    exact: Mapping[str, Found]
    folded: Mapping[str, Found]
    called: Mapping[str, Found]


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
        called=_table([*synonyms, *own], lower=True),
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
