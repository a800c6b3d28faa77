"""Makes ``imagenet_hard/imagenet/data/wordnet.csv`` and ``wordnet_others.txt`` from WordNet 3.0's noun files.

    python benchmarks/wordnet.py [FOLDER]

FOLDER holds ``data.noun`` and ``index.noun``, by default where Debian's ``wordnet-base`` puts them. Kept are
the synsets of the 1000 classes, what is above and what is below them; and of all other nouns, but for the
names of people, those of several words that end like one of these ("prairie dog" is no dog) or begin like a
class ("zebra crossing"). Prints the sha256 of each file, which ``classes.py`` expects.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from imagenet_hard.base.tables import exact_csv
from imagenet_hard.imagenet import classes

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


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    synsets, ranks = read_synsets(folder / "data.noun"), read_ranks(folder / "index.noun")
    own = {wnid[1:] for wnid in classes.wnids()}
    kept = closure(synsets, own, "above") | closure(synsets, own, "below")
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


def write(name: str, text: str) -> None:
    (TARGET / name).write_text(text, "utf-8", newline="\n")
    print(f"{name}: {text.count(chr(10))} lines, sha256 {hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
