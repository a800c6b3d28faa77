"""From an answer in words to the classes that it names: rules over words, no model, the same every time.

The words of an answer become spans that the vocabulary knows, the longest first; what frames the answer ("The
image shows a ...") is taken off; of what is left, the head of the first phrase counts ("a golden retriever
with a tennis ball" is a golden retriever). docs/generative.md says what each rule catches.

Here are the rules for a whole answer; ``clauses`` has those for a sentence, ``phrases`` for a noun phrase,
``refusals`` how answers say that they are none. ``verdict`` is what comes of it.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Sequence
from functools import cache, lru_cache

from imagenet_hard.evaluation.generative import (
    clauses,
    phrases,
    refusals,
    verdict,
    vocabulary,
    word_lists,
    words,
)
from imagenet_hard.evaluation.generative.clauses import ALTERNATIVE, match_clause
from imagenet_hard.evaluation.generative.phrases import items_of
from imagenet_hard.evaluation.generative.refusals import ANSWERING, HEDGES, NO_ANSWER, REFUSALS
from imagenet_hard.evaluation.generative.verdict import KINDS, Kind, Match
from imagenet_hard.evaluation.generative.word_lists import ARTICLES, COPULAS, MARKS
from imagenet_hard.imagenet import classes, wordnet

__all__ = ["KINDS", "VERSION", "Kind", "Match", "match", "matcher_sha256"]

VERSION = 4
"""Raised with every change of a rule or a fact that may change what an answer names."""

_WNID = re.compile(r"(?<![0-9a-z])n\d{8}(?![0-9a-z])", re.IGNORECASE)
_NAMED = re.compile(r"[^\W\d_]")
_WHO = re.compile(r"\bas an? ai( language)?( model| assistant)?\b")  # an "ai" is a sloth, too
_ASSENT = re.compile(r"^(of course|sure|certainly|absolutely|great question|yes|okay|ok)\b *[.,]")
_OF_THE_BREED = re.compile(r"\bof the (breed|species|variety|genus|type|kind)\b")
_SEEN = re.compile(r"\b(i|you|we) (am|are|can be) (looking at|seeing|viewing|shown)\b")
_TAKEN_AS = re.compile(r"\b(classif|identif|recogni|describ|categori|label|interpret)[a-z]* (\w+ ){0,4}?as\b")


@lru_cache(maxsize=100_000)
def match(answer: str) -> Match:
    """What an answer names.

    >>> match("The image shows a **Golden Retriever** with a tennis ball.").classes
    (207,)
    >>> match("a dog").kind, match("a tench or a goldfish").kind, match("I can't help with that.").kind
    ('general', 'ambiguous', 'refusal')
    """
    text = words.unwrap(answer)
    if not re.search(r"\w", text):
        return Match("empty", rule="empty")
    if wnids := {each.lower() for each in _WNID.findall(text)}:
        return _of_wnids(wnids)
    if not _NAMED.search(text):
        return Match("unmatched", rule="no words")
    known = vocabulary.vocabulary()
    tokens = [known.spelt(token) for token in words.tokens(text)]
    plain = " ".join(tokens)
    if NO_ANSWER.fullmatch(plain.strip(" .,")):
        return Match("refusal", rule="refusal")
    plainest = [t for t in tokens if t not in ARTICLES and t not in ".,/"] or [""]
    whole = known.find(plainest) or known.headless.get("".join(plainest))
    if whole and (whole.classes or whole.wider):
        return Match.of(whole)
    plain = _SEEN.sub("it is", _TAKEN_AS.sub("is", _WHO.sub("", plain)))
    plain = _OF_THE_BREED.sub(",", _ASSENT.sub("", plain))
    return _match_sentences(*HEDGES.subn("", plain))


def _match_sentences(plain: str, hedges: int) -> Match:
    """What the plain words of sentences name together; ``hedges``: how often they said "not sure"."""
    refused = False
    found: Match | None = None
    for sentence in re.split(r"\s\.(?=\s|$)|\b(?:but|however)\b", plain):
        clause = sentence.split() if sentence.strip(" .,") else []
        if refusal := REFUSALS.search(" ".join(clause)):
            refused = True
            clause = _answering_part(" ".join(clause), refusal)
        if not clause:
            continue
        while clause and clause[0] in (",", "(", ")", "/"):
            clause = clause[1:]
        if (refused or hedges) and found is None and clause and not _goes_on(clause):
            continue
        said = match_clause(clause)
        if said is None:
            continue
        bare = _bare(clause)
        if found is None or (found.kind == "unmatched" and (bare or _names(clause))):
            found = said
        elif found.kind == "general" and said.kind == "class":
            found = said if found.meaning.above(said.meaning) else found
        elif (
            found.kind == said.kind == "class"
            and not set(found.classes) & set(said.classes)
            and (bare or ALTERNATIVE.search(" ".join(clause)))
        ):
            return Match("ambiguous", rule="several names")
        if found.kind == "ambiguous":
            return found
    if (refused or hedges) and (found is None or found.kind == "unmatched"):
        return Match("refusal", rule="refusal")
    return found or Match("unmatched", rule="no name")


def _answering_part(clause: str, refusal: re.Match[str]) -> list[str]:
    """The words before or after a refusal that answer all the same; none where nothing does."""
    before = clause[: refusal.start()].rpartition(" ,")[0].split()
    after = clause[refusal.end() :].partition(" ,")[2].split()
    said = match_clause(before) if before and not REFUSALS.search(" ".join(before)) else None
    if said is not None and said.kind != "unmatched":
        return before
    if after and after[0] in ANSWERING and not REFUSALS.search(" ".join(after)):
        return after  # "hard to say, maybe a beaver"
    return []


def _goes_on(clause: Sequence[str]) -> bool:
    return clause[0] in ANSWERING or items_of(clause)[0].meaning is not None


def _names(clause: Sequence[str]) -> bool:
    """Whether a later sentence is one that names: "It is ...", "This shows ..."."""
    return clause[0] in ("it", "this", "the", "there", "here") and any(word in COPULAS for word in clause[:6])


def _bare(clause: Sequence[str]) -> bool:
    """Whether a sentence is a name and nothing else, as a line of a list is."""
    items = [item for item in items_of(clause) if item.text not in ARTICLES | MARKS]
    return len(items) == 1 and items[0].meaning is not None


def _of_wnids(wnids: set[str]) -> Match:
    index = classes.wnid_to_index()
    if not wnids <= index.keys():
        return Match("unmatched", rule="wnid")
    if len(wnids) > 1:
        return Match("ambiguous", rule="several wnids")
    return Match("class", tuple(index[wnid] for wnid in wnids), rule="wnid")


_MODULES = (words, word_lists, vocabulary, wordnet, verdict, phrases, clauses, refusals)


@cache
def matcher_sha256() -> str:
    """Hash of the rules' source and of the facts that they read: the same verdicts need the same hash."""
    digest = hashlib.sha256(f"matcher {VERSION}\n".encode())
    own = inspect.getmodule(matcher_sha256)
    assert own is not None
    for module in (*_MODULES, own):
        digest.update(inspect.getsource(module).replace("\r\n", "\n").encode())
    for file in ("imagenet1k.csv", "distinct_names.csv", *wordnet.FILES):
        digest.update("\n".join(classes.checked_lines(file)).encode())
    return digest.hexdigest()
