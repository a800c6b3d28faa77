"""What one sentence of an answer names: what its phrases name together, and what brackets add."""

from __future__ import annotations

import re
from collections.abc import Sequence

from imagenet_hard.evaluation.generative.phrases import Item, items_of, meaning_of_phrase, parts_of, phrase_of
from imagenet_hard.evaluation.generative.verdict import Match
from imagenet_hard.evaluation.generative.vocabulary import Meaning
from imagenet_hard.evaluation.generative.word_lists import COPULAS, LEADING, NEGATIONS, STOPS

ALTERNATIVE = re.compile(
    r"^[,/ ]*(or|alternatively|otherwise|possibly|maybe|perhaps)\b|\b(could|may|might) (also |possibly )?be\b"
)
"""In a later sentence, or an aside: it names another candidate."""


def match_clause(clause: Sequence[str]) -> Match | None:
    """What one sentence names; None where there is nothing in it."""
    items, asides = _without_asides(items_of(clause))
    items = _predicate(items)
    parts, joints = parts_of(items)
    phrases = list[tuple[str, Meaning, bool]]()
    negated = False
    for part, joint in zip(parts, joints, strict=True):
        if phrases and phrases[-1][2] and joint == "," and _follows(part[0].text):
            break
        phrase, cut = phrase_of(part)
        head = [item.text for item in part[: len(part) - cut]]
        negated = negated or bool(NEGATIONS.intersection(head))
        meaning = meaning_of_phrase(phrase)
        if meaning is not None:
            phrases.append((joint, meaning, any(item.meaning for item in phrase)))
        if cut and phrase:
            break  # what is joined on after "with ..." belongs to it
    negated = negated or any(NEGATIONS.intersection(item.text for item in aside) for aside in asides)
    if negated:
        known = any(meaning.classes or meaning.wider for _, meaning, _ in phrases)
        return Match("ambiguous", rule="negation") if known else Match("unmatched", rule="no name")
    said = _combined(phrases)
    for aside in asides:
        other = ALTERNATIVE.search(aside[0].text) and said is not None and said.kind == "class"
        if (meaning := meaning_of_phrase(phrase_of(parts_of(aside)[0][0])[0])) is not None:
            if other and meaning.classes and not meaning.classes & set(said.classes if said else ()):
                return Match("ambiguous", rule="several names")
            said = _with_aside(said, meaning)
    return said


def _follows(word: str) -> bool:
    """Whether a part that begins so says more of what was named: ", which ...", ", sitting ..."."""
    return (word in STOPS and word not in ("as", "there", "here")) or word.endswith("ing")


def _without_asides(items: Sequence[Item]) -> tuple[list[Item], list[list[Item]]]:
    """What stands outside of brackets, and what in each pair of them."""
    outside, asides, depth = list[Item](), list[list[Item]](), 0
    for item in items:
        if item.text == "(":
            depth += 1
            asides.append([])
        elif item.text == ")":
            depth = max(0, depth - 1)
        else:
            (asides[-1] if depth else outside).append(item)
    return outside, [aside for aside in asides if aside]


def _predicate(items: list[Item]) -> list[Item]:
    """What stands after the last "is", "shows", ... that follows no class and is followed by a name."""
    start = 0
    for at, item in enumerate(items):
        if item.meaning and item.meaning.classes:
            break
        if at and item.text in ("which", "who", "where", "while", "when"):
            break
        if item.text in COPULAS and item.meaning is None:
            after = [each for each in items[at + 1 :] if each.text not in LEADING]
            if after and (after[0].meaning or not after[0].text.endswith("ing")):
                rest = items[at + 1 :]
                if rest and rest[0].text in ("in", "on", "at", "by", "near", "with") and start:
                    continue
                start = at + 1
                if at and items[at - 1].text in NEGATIONS:
                    start = at - 1
    negation = [item for item in items[:start] if item.text in NEGATIONS]
    return [*negation, *items[start:]]


def _combined(phrases: Sequence[tuple[str, Meaning, bool]]) -> Match | None:
    """What phrases name together, each with what joins it on."""
    if not phrases:
        return None
    _, said, _ = phrases[0]
    first_named = phrases[0][2]
    for joint, meaning, _ in phrases[1:]:
        if said.classes and meaning.classes:
            if common := said.classes & meaning.classes:
                said = Meaning(common, by=said.by)
            else:
                return Match("ambiguous", rule="several names")
        elif said.classes and meaning.wider:
            if meaning.above(said):
                said = said.narrowed(meaning)
            elif joint != ",":
                return Match("ambiguous", rule="several names")
        elif said.wider and (meaning.classes or meaning.wider):
            if said.above(meaning) and joint in (",", "/"):
                said = meaning
            elif meaning.classes if joint == "," else said != meaning:
                return Match("ambiguous", rule="several names")
        elif joint in ("or", "/") and (
            said.classes or said.wider or ((meaning.classes or meaning.wider) and len(phrases) == 2)
        ):
            return Match("ambiguous", rule="several names")
        elif not (said.classes or said.wider) and (meaning.classes or meaning.wider) and not first_named:
            said = meaning
    return Match.of(said)


def _with_aside(said: Match | None, aside: Meaning) -> Match:
    """What is named when brackets say more: a narrower name, or which of several is meant."""
    if said is None or said.kind == "unmatched":
        return Match.of(aside)
    if said.kind == "class" and aside.wider:
        return Match.of(said.meaning.narrowed(aside))
    if said.kind == "general" and said.meaning.above(aside):
        return Match.of(aside)
    return said
