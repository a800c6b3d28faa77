"""The verdict of the matcher: what kind of answer it is, and the classes that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from imagenet_hard.evaluation.generative.vocabulary import Meaning

Kind = Literal["class", "general", "ambiguous", "refusal", "empty", "unmatched"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Match:
    """What an answer names. ``classes``: sorted; several where they share the name; none but for "class".

    ``wider``: the synsets of a term above classes, sorted; none but for "general". ``rule``: what decided.
    """

    kind: Kind
    classes: tuple[int, ...] = ()
    wider: tuple[str, ...] = ()
    rule: str = ""

    @staticmethod
    def of(meaning: Meaning) -> Match:
        """Of an answer that means this."""
        if meaning.classes:
            return Match("class", tuple(sorted(meaning.classes)), rule=meaning.by)
        if meaning.wider:
            return Match("general", wider=tuple(sorted(meaning.wider)), rule=meaning.by)
        return Match("unmatched", rule=meaning.by)

    @property
    def meaning(self) -> Meaning:
        """The same as what words mean."""
        return Meaning(frozenset(self.classes), frozenset(self.wider), self.rule)
