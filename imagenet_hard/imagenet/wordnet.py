"""What WordNet 3.0 knows of the classes: their words, what they are kinds of, and what is a kind of them.

The facts are in ``data/wordnet.csv`` (the synsets of the classes, those above and those below them, and those
below what a class's name means), ``data/wordnet_others.txt`` (other things of several words that end like one
of these, or begin like a class: "prairie dog", "zebra crossing") and ``data/wordnet_alike.txt`` (words that
look like a misspelt word of a class and are none); ``data/wordnet_license.txt`` is WordNet's licence.
``benchmarks/wordnet.py`` makes the files.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase
from types import MappingProxyType

from imagenet_hard.imagenet import classes

FILES = ("wordnet.csv", "wordnet_others.txt", "wordnet_alike.txt")

LONG = 6
"""Letters of a word, from which on it is known with a slip in it: of a shorter one too little is left."""


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning. ``above``: the synsets that it is a kind of; none for the root, "entity".

    ``lemmas``: word -> which of the word's senses this is, 1 the most frequent.
    """

    above: tuple[str, ...]
    lemmas: Mapping[str, int]


@cache
def synsets() -> Mapping[str, Synset]:
    """Id, such as n02084071, -> synset; the id of a class is its wnid."""
    found = {}
    for row in csv.DictReader(classes.checked_lines("wordnet.csv")):
        lemmas = (lemma.partition("#") for lemma in row["lemmas"].split())
        found[row["synset"]] = Synset(
            tuple(row["above"].split()), {word.replace("_", " "): int(rank or 1) for word, _, rank in lemmas}
        )
    return MappingProxyType(found)


@cache
def others() -> tuple[str, ...]:
    """Words for other things that begin or end like a word for a class, or end like a wider term."""
    return tuple(line.replace("_", " ") for line in classes.checked_lines("wordnet_others.txt"))


@cache
def alike() -> frozenset[str]:
    """Words that are a slip away from a word of a class and are words themselves."""
    return frozenset(classes.checked_lines("wordnet_alike.txt"))


def misspellings(word: str) -> frozenset[str]:
    """What ``word`` becomes by one slip behind its first letter: one too many, too few, another, two changed.

    >>> sorted({"retreiver", "retriver", "retriever"} & misspellings("retriever"))
    ['retreiver', 'retriver']
    """
    cuts = [(word[:i], word[i:]) for i in range(1, len(word) + 1)]
    return frozenset(
        {a + b[1:] for a, b in cuts if b}
        | {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
        | {a + letter + b[1:] for a, b in cuts if b for letter in ascii_lowercase}
        | {a + letter + b for a, b in cuts for letter in ascii_lowercase}
    ) - {word}


@cache
def ancestors(synset: str) -> frozenset[str]:
    """All synsets that ``synset`` is a kind of, without itself.

    >>> "n02084071" in ancestors("n02099601")  # a golden retriever is a dog
    True
    """
    above = synsets()[synset].above
    return frozenset(above).union(*map(ancestors, above))


@cache
def depth(synset: str) -> int:
    """Steps to the root on the shortest way; the root's is 0."""
    above = synsets()[synset].above
    return 1 + min(map(depth, above)) if above else 0


@cache
def class_of() -> Mapping[str, frozenset[int]]:
    """Synset -> the classes that it is a kind of, for every class and all that is below one."""
    index = classes.wnid_to_index()
    found = {}
    for synset in synsets():
        line = (ancestors(synset) | {synset}) & index.keys()
        if line:
            found[synset] = frozenset(index[wnid] for wnid in line)
    return MappingProxyType(found)
