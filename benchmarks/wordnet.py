"""Makes ``wordnet*`` below ``imagenet_hard/imagenet/data`` from the files of WordNet 3.0.

    python benchmarks/wordnet.py [FOLDER]

FOLDER holds ``data.noun`` and ``index.*``, by default where Debian's ``wordnet-base`` puts them. Kept are
the synsets of the 1000 classes, what is above and what is below them, and what is below a synset above that
the class's name means ("love seat" below "couch", as studio couches are called here); of all other
nouns, but for the names of people, those of several words that end like one of these ("prairie dog" is no
dog) or begin like a class ("zebra crossing"); and of all words those that a slip of one letter parts from a
word of a class. Prints the sha256 of each file, which ``classes.py`` expects.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from imagenet_hard.base.tables import exact_csv
from imagenet_hard.evaluation.generative.words import name_tokens
from imagenet_hard.imagenet import classes
from imagenet_hard.imagenet.wordnet import LONG, misspellings

FOLDER = Path("/usr/share/wordnet")
TARGET = Path(__file__).resolve().parents[1] / "imagenet_hard/imagenet/data"


PERSON = "18"
"""WordNet's number of noun.person (lexnames(5WN))."""


class Synset(NamedTuple):
    """``someone``: the name of one person."""

    someone: bool
    lemmas: list[str]
    above: list[str]
    below: list[str]


def entries(path: Path) -> Iterator[list[str]]:
    """The fields of each line but those of the licence, which begin with a blank."""
    for line in path.read_text("latin-1").splitlines():
        if not line.startswith(" "):
            yield line.partition(" | ")[0].split()


def read_synsets(path: Path) -> dict[str, Synset]:
    """As wndb(5WN) says: offset, file, type, words (hexadecimal), (lemma, id)..., pointers, (sign, to)..."""
    found = {}
    for fields in entries(path):
        end = 4 + 2 * int(fields[3], 16)
        pointers = [fields[i : i + 4] for i in range(end + 1, end + 1 + 4 * int(fields[end]), 4)]
        found[fields[0]] = Synset(
            fields[1] == PERSON and any(sign == "@i" for sign, *_ in pointers),
            fields[4:end:2],
            *([to for sign, to, *_ in pointers if sign == wanted] for wanted in "@~"),
        )
    return found


def read_ranks(path: Path) -> dict[tuple[str, str], int]:
    """(lemma in small letters, offset) -> which of the lemma's senses it is, from 1: the most frequent."""
    return {
        (fields[0], offset): rank
        for fields in entries(path)
        for rank, offset in enumerate(fields[-int(fields[2]) :], start=1)
    }


def closure(synsets: Mapping[str, Synset], start: set[str], way: str) -> set[str]:
    found, todo = set(start), list(start)
    while todo:
        for each in getattr(synsets[todo.pop()], way):
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


ENDINGS = {"noun": (), "verb": ("ed", "ing", "er", "ers"), "adj": ("er", "est"), "adv": ("er", "est")}
"""What a word may end in, by its kind, besides "s" and "ly". Who does what a verb says is a word too, where
WordNet has none; but it is a radiator that radiates."""

DOUBLING = re.compile("([^aeiou]|qu)[aeiou][^aeiouwxy]")


def forms(word: str, kind: str) -> set[str]:
    """A word and what the endings of its kind make of it."""
    soft = re.sub("(?<=[^aeiou])y$", "i", word)
    stems = {soft.removesuffix("e")}
    if DOUBLING.fullmatch(word[-3:]):
        stems.add(word + word[-1])
        if len(re.findall("[aeiouy]+", word)) == 1:
            stems.remove(word)  # "spot" makes "spotted", "visit" "visited", "travel" either
    found = {word} | {each + end for each in stems for end in ENDINGS[kind]}
    if kind in ("noun", "verb"):
        found.add(soft + ("es" if re.search("([sxzoi]|[cs]h)$", soft) else "s"))
    if kind == "verb":
        if re.search("([oey]e|y)$", word):
            found.add(word + "ing")
        found = {each for each in found if not each.endswith(("ater", "aters"))}
    if kind == "adj":
        found.add(soft + "ly")
    return found


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    synsets, ranks = read_synsets(folder / "data.noun"), read_ranks(folder / "index.noun")
    own = {wnid[1:] for wnid in classes.wnids()}
    above = closure(synsets, own, "above")
    meant = {
        offset
        for wnid, name in zip(classes.wnids(), classes.names(), strict=True)
        for offset in closure(synsets, {wnid[1:]}, "above") - own
        if ranks.get((name.partition(" (")[0].lower().replace(" ", "_"), offset)) == 1
    }
    kept = above | closure(synsets, own, "below") | closure(synsets, meant, "below")
    rows = [("synset", "above", "lemmas")]
    for offset in sorted(kept):
        synset = synsets[offset]
        lemmas = [f"{lemma}#{ranks[lemma.lower(), offset]}".removesuffix("#1") for lemma in synset.lemmas]
        above = sorted("n" + each for each in synset.above if each in kept)
        rows.append(("n" + offset, " ".join(above), " ".join(lemmas)))
    write("wordnet.csv", exact_csv(rows).replace("\r\n", "\n"))
    known = {lemma.lower() for offset in kept for lemma in synsets[offset].lemmas}
    named = {lemma.lower() for offset in own for lemma in synsets[offset].lemmas}
    others = {
        lemma.lower()
        for synset in synsets.values()
        if not synset.someone
        for lemma in synset.lemmas
        if any(
            lemma.lower()[i + 1 :] in known or lemma.lower()[:i] in named
            for i, c in enumerate(lemma)
            if c in "_-"
        )
    }
    write("wordnet_others.txt", "".join(f"{lemma}\n" for lemma in sorted(others - known)))
    names = {*classes.names(), *classes.distinct_names(), *named}
    words = {part for name in names for part in name_tokens(name.replace("_", " ")) if part.isalpha()}
    slips = {slip for word in words if len(word) >= LONG for slip in misspellings(word)}
    real = set()
    for kind in ("noun", "verb", "adj", "adv"):
        for fields in entries(folder / f"index.{kind}"):
            real |= {form for part in re.findall("[a-z]+", fields[0]) for form in forms(part, kind)}
        if kind != "adv":
            real |= {fields[0] for fields in entries(folder / f"{kind}.exc")}
    write("wordnet_alike.txt", "".join(f"{word}\n" for word in sorted((real & slips) - words)))


def write(name: str, text: str) -> None:
    (TARGET / name).write_text(text, "utf-8", newline="\n")
    print(f"{name}: {text.count(chr(10))} lines, sha256 {hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
