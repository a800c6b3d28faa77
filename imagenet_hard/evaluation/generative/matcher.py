"""From an answer in words to the classes that it names: rules over words, no model, the same every time.

The words of an answer become spans that the vocabulary knows, the longest first; what frames the answer ("The
image shows a ...") is taken off; of what is left, the head of the first phrase counts ("a golden retriever
with a tennis ball" is a golden retriever). docs/generative.md says what each rule catches.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType
from typing import Literal, get_args

from imagenet_hard.evaluation.generative import vocabulary, words
from imagenet_hard.evaluation.generative.vocabulary import OTHER, Meaning
from imagenet_hard.imagenet import classes, wordnet

VERSION = 4
"""Raised with every change of a rule or a fact that may change what an answer names."""

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


_WNID = re.compile(r"(?<![0-9a-z])n\d{8}(?![0-9a-z])", re.IGNORECASE)
_NAMED = re.compile(r"[^\W\d_]")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MARKS = frozenset(",().")
_ARTICLES = _set("a an the this that these those")
_COPULAS = _set(
    """
    is are was be shows show depicts features contains displays presents captures illustrates resembles
    see called named guess say like identified classified labeled identify recognize observe choose
    """
)
_RELATIVES = _set("that which who whose where when while because since as so though although")
_STOPS = _RELATIVES | _set(
    """
    with without in on at by near next beside behind under over above below against inside outside from
    for to of into onto through between among around along across during before after toward towards
    beneath atop upon amid amidst via is are was has have had sits stands lies rests hangs runs eats
    looks appears can worn held seen made set shown placed caught sat if but however than outdoors
    indoors asleep alone here there
    """
)
_NEGATIONS = _set("not no never neither nor instead rather unlike nothing")
_LEADING = (
    _ARTICLES
    | _COPULAS
    | _STOPS
    | _set(
        """
    it they he she i we you can could may might must would should will seems seem appear look to likely
    probably possibly maybe perhaps definitely certainly clearly most very quite just simply only sure
    well yes okay ok hello hi think believe my your its their his her our some several many few various
    one two three four five six multiple single either both what there specifically namely actually
    being known also commonly eg ie or and even more precisely exactly best main primary central
    prominent
    """
    )
)
_APPOSITIONS = ("aka", "known", "called", "named", "namely", "specifically")
"""What follows is another name."""
_FRAMES = _set(
    """
    image picture photo photograph photography type kind species breed sort variety form pair group herd
    flock couple bunch number lot view shot closeup up close piece slice portrait drawing illustration
    painting sketch example instance set row pile stack part collection cluster model member
    silhouette outline depiction representation rendering render cartoon graphic clipart screenshot scan
    snapshot glimpse reflection profile front back rear side face interior exterior inside outside
    """
)
"""Before "of": what is meant comes after it."""
_MEASURES = _set(
    """
    swarm school pack troop litter pride gaggle colony bouquet cluster batch crowd team
    scoop head loaf roll tube sheet bale bar jar bowl cup glass plate dish bottle mug can box bag packet
    carton basket bucket tray pot mound heap handful dollop spoonful serving portion chunk strip stick cob
    field patch sprig stalk ear string
    """
)
"""Before "of" and a class: the class is meant, though the word may be one itself ("a cup of espresso")."""
_COLORS = _set(
    """
    black white gray brown red orange yellow green blue purple pink gold golden silver tan cream beige
    """
)
_ALTERNATIVE = re.compile(
    r"^[,/ ]*(or|alternatively|otherwise|possibly|maybe|perhaps)\b|\b(could|may|might) (also |possibly )?be\b"
)
"""In a later sentence, or an aside: it names another candidate."""
_TRANSPARENT = _set(
    """
    breed species variety type family animal plant object image photo picture puppy puppies pup kitten
    kittens cub cubs chick chicks calf foal hatchling baby adult male female specimen device machine
    vehicle class category genus sp spp closeup
    """
)
"""After a name: it is still that."""
_YOUNG = {
    "puppy": "dog",
    "pup": "dog",
    "doggy": "dog",
    "doggie": "dog",
    "kitten": "cat",
    "kitty": "cat",
    "birdie": "bird",
}

_HEDGES = re.compile(
    r"\b(i am |it is |i |we are )?(can )?not (\w+ )?(\w+ )?(sure|certain|positive|"
    r"confident)\b( (about|of) (this|that|it))?"
)
_WHO = re.compile(r"\bas an? ai( language)?( model| assistant)?\b")  # an "ai" is a sloth, too
_ASSENT = re.compile(r"^(of course|sure|certainly|absolutely|great question|yes|okay|ok)\b *[.,]")
_OF_THE_BREED = re.compile(r"\bof the (breed|species|variety|genus|type|kind)\b")
_SEEN = re.compile(r"\b(i|you|we) (am|are|can be) (looking at|seeing|viewing|shown)\b")
_TAKEN_AS = re.compile(r"\b(classif|identif|recogni|describ|categori|label|interpret)[a-z]* (\w+ ){0,4}?as\b")
_DO = (
    "help|assist|identify|determine|see|view|provide|answer|process|tell|describe|analyze|analyse|"
    "recogni[sz]e|make out|"
    "comply|access|know|comment|discern|confirm|classify|name|have|find|fulfill|engage|discuss|"
    "detect|interpret|be sure|"
    "be certain|say|do that"
)
_REFUSALS = re.compile(
    rf"\b(not|unable to|never) (\w+ )?({_DO})\b|\b(unable|not able) to\b|\bsorry\b|\bapologi[sz]e|"
    r"\b(do|does) not (seem|appear) to (be|have) (an? |any )?(image|picture|photo|object)|"
    r"\bno (main |single |specific )?(image|picture|photo|object|idea|answer|clue|discernible|visible|"
    r"recogni[sz]able|identifiable|clear)\b|"
    r"\bnot (possible|clear|clearly|allowed|visible|appropriate|applicable|comfortable|attached|"
    r"recogni[sz]able|identifiable)\b|"
    r"\b(can|could|will) not( \.)?$|\b(did|do|does) not (provide|attach|upload|receive|show up|load)\b|"
    r"\bplease (provide|upload|share|attach|try)\b|\b(content|usage) policy\b|\bguidelines\b|\bdecline\b|"
    r"\b(difficult|hard|impossible) to (say|\w+ out|\w+)\b|\btoo (blurry|dark|unclear|small|low|blurred)\b"
)
_NO_ANSWER = re.compile(
    r"((it|the (object|image|answer)|this) is )?(unknown|unidentifiable|unidentified|unclear|unsure|"
    r"uncertain|n / a|na|none|"
    r"idk|undetermined|indeterminate|unrecogni[sz]able|no|dunno|nothing|none of (the|these|"
    r"those) \w+|none of (these|them|those)|"
    r"no object|unknown object|error|refused|pass|no comment)"
)
_ON = _set(
    """
    it this that the there my i looks appears seems possibly maybe perhaps probably likely a an based
    from
    """
)
"""How a clause begins that answers after all: "I cannot be sure. It looks like ..."."""


@dataclass(frozen=True)
class _Item:
    """One token, or the tokens that mean something together."""

    text: str
    meaning: Meaning | None = None


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
    if _NO_ANSWER.fullmatch(plain.strip(" .,")):
        return Match("refusal", rule="refusal")
    plainest = [t for t in tokens if t not in _ARTICLES and t not in ".,/"] or [""]
    whole = known.find(plainest) or known.headless.get("".join(plainest))
    if whole and (whole.classes or whole.wider):
        return _said(whole)
    plain = _SEEN.sub("it is", _TAKEN_AS.sub("is", _WHO.sub("", plain)))
    plain = _OF_THE_BREED.sub(",", _ASSENT.sub("", plain))
    plain, hedges = _HEDGES.subn("", plain)
    clauses = [
        part.split() for part in re.split(r"\s\.(?=\s|$)|\b(?:but|however)\b", plain) if part.strip(" .,")
    ]
    refused = False
    found: Match | None = None
    for clause in clauses:
        if refusal := _REFUSALS.search(" ".join(clause)):
            refused = True
            before = " ".join(clause)[: refusal.start()].rpartition(" ,")[0].split()
            after = " ".join(clause)[refusal.end() :].partition(" ,")[2].split()
            said = _clause(before) if before and not _REFUSALS.search(" ".join(before)) else None
            if said is not None and said.kind != "unmatched":
                clause = before
            elif after and after[0] in _ON and not _REFUSALS.search(" ".join(after)):
                clause = after  # "hard to say, maybe a beaver"
            else:
                continue
        while clause and clause[0] in (",", "(", ")", "/"):
            clause = clause[1:]
        if (refused or hedges) and found is None and clause and not _goes_on(clause):
            continue
        said = _clause(clause)
        if said is None:
            continue
        bare = _bare(clause)
        if found is None or (found.kind == "unmatched" and (bare or _names(clause))):
            found = said
        elif found.kind == "general" and said.kind == "class":
            found = said if _meaning(found).above(_meaning(said)) else found
        elif (
            found.kind == said.kind == "class"
            and not set(found.classes) & set(said.classes)
            and (bare or _ALTERNATIVE.search(" ".join(clause)))
        ):
            return Match("ambiguous", rule="several names")
        if found.kind == "ambiguous":
            return found
    if (refused or hedges) and (found is None or found.kind == "unmatched"):
        return Match("refusal", rule="refusal")
    return found or Match("unmatched", rule="no name")


def _goes_on(clause: Sequence[str]) -> bool:
    return clause[0] in _ON or _items(clause)[0].meaning is not None


def _names(clause: Sequence[str]) -> bool:
    """Whether a later sentence is one that names: "It is ...", "This shows ..."."""
    return clause[0] in ("it", "this", "the", "there", "here") and any(
        word in _COPULAS for word in clause[:6]
    )


def _bare(clause: Sequence[str]) -> bool:
    """Whether a sentence is a name and nothing else, as a line of a list is."""
    items = [item for item in _items(clause) if item.text not in _ARTICLES | _MARKS]
    return len(items) == 1 and items[0].meaning is not None


def _of_wnids(wnids: set[str]) -> Match:
    index = classes.wnid_to_index()
    if not wnids <= index.keys():
        return Match("unmatched", rule="wnid")
    if len(wnids) > 1:
        return Match("ambiguous", rule="several wnids")
    return Match("class", tuple(index[wnid] for wnid in wnids), rule="wnid")


def _said(meaning: Meaning) -> Match:
    if meaning.classes:
        return Match("class", tuple(sorted(meaning.classes)), rule=meaning.by)
    if meaning.wider:
        return Match("general", wider=tuple(sorted(meaning.wider)), rule=meaning.by)
    return Match("unmatched", rule=meaning.by)


def _meaning(match: Match) -> Meaning:
    return Meaning(frozenset(match.classes), frozenset(match.wider), match.rule)


def _items(tokens: Sequence[str]) -> list[_Item]:
    """Tokens, with the longest runs of them that the vocabulary knows as one."""
    known, items, at = vocabulary.vocabulary(), list[_Item](), 0
    while at < len(tokens):
        end = min(len(tokens), at + known.longest + 4)
        found = None
        if tokens[at] not in _ARTICLES and tokens[at] not in _MARKS and tokens[at] != "/":
            shortest = at + (tokens[at] in _LEADING)  # "can" is no can, "can opener" is one
            for stop in range(end, shortest, -1):
                run = tokens[at:stop]
                if run[-1] not in _ARTICLES and run[-1] != "/" and not _MARKS.intersection(run):
                    found = known.find([word for word in run if word != "/"])
                    if found is not None:
                        items.append(_Item(" ".join(run), found))
                        at = stop
                        break
        if found is None:
            word = words.singular(tokens[at])
            young = known.find([_YOUNG[word]]) if word in _YOUNG else None
            items.append(_Item(tokens[at], young))
            at += 1
    return items


def _clause(clause: Sequence[str]) -> Match | None:
    """What one sentence names; None where there is nothing in it."""
    items, asides = _without_asides(_items(clause))
    items = _predicate(items)
    parts, joints = _parts(items)
    phrases = list[tuple[str, Meaning, bool]]()
    negated = False
    for part, joint in zip(parts, joints, strict=True):
        if phrases and phrases[-1][2] and joint == "," and _follows(part[0].text):
            break
        phrase, cut = _phrase(part)
        head = [item.text for item in part[: len(part) - cut]]
        negated = negated or bool(_NEGATIONS.intersection(head))
        meaning = _head(phrase)
        if meaning is not None:
            phrases.append((joint, meaning, any(item.meaning for item in phrase)))
        if cut and phrase:
            break  # what is joined on after "with ..." belongs to it
    negated = negated or any(_NEGATIONS.intersection(item.text for item in aside) for aside in asides)
    if negated:
        known = any(meaning.classes or meaning.wider for _, meaning, _ in phrases)
        return Match("ambiguous", rule="negation") if known else Match("unmatched", rule="no name")
    said = _combined(phrases)
    for aside in asides:
        other = _ALTERNATIVE.search(aside[0].text) and said is not None and said.kind == "class"
        if (meaning := _head(_phrase(_parts(aside)[0][0])[0])) is not None:
            if other and meaning.classes and not meaning.classes & set(said.classes if said else ()):
                return Match("ambiguous", rule="several names")
            said = _with_aside(said, meaning)
    return said


def _follows(word: str) -> bool:
    """Whether a part that begins so says more of what was named: ", which ...", ", sitting ..."."""
    return (word in _STOPS and word not in ("as", "there", "here")) or word.endswith("ing")


def _without_asides(items: Sequence[_Item]) -> tuple[list[_Item], list[list[_Item]]]:
    """What stands outside of brackets, and what in each pair of them."""
    outside, asides, depth = list[_Item](), list[list[_Item]](), 0
    for item in items:
        if item.text == "(":
            depth += 1
            asides.append([])
        elif item.text == ")":
            depth = max(0, depth - 1)
        else:
            (asides[-1] if depth else outside).append(item)
    return outside, [aside for aside in asides if aside]


def _predicate(items: list[_Item]) -> list[_Item]:
    """What stands after the last "is", "shows", ... that follows no class and is followed by a name."""
    start = 0
    for at, item in enumerate(items):
        if item.meaning and item.meaning.classes:
            break
        if at and item.text in ("which", "who", "where", "while", "when"):
            break
        if item.text in _COPULAS and item.meaning is None:
            after = [each for each in items[at + 1 :] if each.text not in _LEADING]
            if after and (after[0].meaning or not after[0].text.endswith("ing")):
                rest = items[at + 1 :]
                if rest and rest[0].text in ("in", "on", "at", "by", "near", "with") and start:
                    continue
                start = at + 1
                if at and items[at - 1].text in _NEGATIONS:
                    start = at - 1
    negation = [item for item in items[:start] if item.text in _NEGATIONS]
    return [*negation, *items[start:]]


def _parts(items: Sequence[_Item]) -> tuple[list[list[_Item]], list[str]]:
    """The phrases between commas, "and" and "or", and what stands before each: "", ",", "and", "or"."""
    parts, joints = list[list[_Item]]([[]]), [""]
    for place, item in enumerate(items):
        following = items[place + 1].text if place + 1 < len(items) else ""
        if parts[-1] and parts[-1][-1].text in _COLORS and following in _COLORS:
            continue  # "orange and white clownfish"
        joint = {
            "/": "/",
            "or": "or",
            "nor": "or",
            "and": "and",
            ",": ",",
            "vs": "or",
            **dict.fromkeys(_APPOSITIONS, ","),
        }.get(item.text)
        if joint is None or item.meaning is not None:
            parts[-1].append(item)
        elif parts[-1]:
            parts.append([])
            joints.append(joint)
        elif joint != ",":
            joints[-1] = joint
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
        joints.pop()
    return parts, joints


def _phrase(part: Sequence[_Item]) -> tuple[list[_Item], int]:
    """The noun phrase of a part without its frame, and how many items were cut off behind it."""
    phrase, place = list[_Item](), _begin(part, 0) - 1
    while (place := place + 1) < len(part):
        item = part[place]
        named = any(each.meaning for each in phrase)
        if phrase and _measures(part, place - 1):
            phrase, place = [], _begin(part, place + 1) - 1
            continue
        if item.meaning is None and phrase:
            framing = _frames(phrase[-1]) and item.text in ("of", "showing", "with")
            following = part[place + 1].text if place + 1 < len(part) else ""
            if following == "of" and _frames(item) and not named:
                phrase.append(item)  # "a child's drawing of"
                continue
            if framing and not (phrase[-1].meaning and phrase[-1].meaning.classes):
                phrase, place = [], _begin(part, place + 1) - 1
                continue
            if item.text in _ARTICLES and not named:
                phrase, place = [], _begin(part, place) - 1
                continue
            if item.text in _STOPS | _ARTICLES or (named and _participle(item.text)):
                return phrase, len(part) - place
            if item.text.endswith("ing") and not _later_name(part[place + 1 :]):
                return phrase, len(part) - place
        phrase.append(item)
    return phrase, 0


def _participle(word: str) -> bool:
    """Whether a word that means nothing else ends as "sitting" and "painted" do; "red" does not count."""
    return word.endswith(("ing", "ed")) and word not in _COLORS


def _begin(part: Sequence[_Item], at: int) -> int:
    """Where the noun phrase begins in what stands at ``at`` and after it: behind its frame."""
    while at < len(part):
        item = part[at]
        following = part[at + 1].text if at + 1 < len(part) else ""
        framing = _frames(item) and _frame_end(part, at)
        if framing and not (item.meaning and item.meaning.classes):
            at = framing
        elif _measures(part, at):
            at += 2
        elif (item.text in _LEADING or item.text in _NEGATIONS) and item.meaning is None and following:
            at += 1
        else:
            break
    return at


def _measures(part: Sequence[_Item], at: int) -> bool:
    """Whether a measure, "of" and a phrase that names a class begin at ``at``: "cup of espresso"."""
    if at + 2 >= len(part) or part[at + 1].text != "of" or words.singular(part[at].text) not in _MEASURES:
        return False
    content = next((item for item in part[at + 2 : at + 8] if item.meaning or item.text in _STOPS), None)
    return content is not None and content.meaning is not None and bool(content.meaning.classes)


def _frames(item: _Item) -> bool:
    return item.text in _FRAMES or words.singular(item.text) in _FRAMES


def _frame_end(part: Sequence[_Item], at: int) -> int:
    """Where a frame as "close up photo of" ends that begins at ``at``; 0 where it is none."""
    while at < len(part) and _frames(part[at]):
        at += 1
    return at + 1 if at + 1 < len(part) and part[at].text in ("of", "showing") else 0


def _later_name(items: Sequence[_Item]) -> bool:
    """Whether a name follows before the phrase ends: "a swimming otter"."""
    for item in items:
        if item.meaning is not None:
            return True
        if item.text in _STOPS | _ARTICLES:
            return False
    return False


def _head(phrase: Sequence[_Item]) -> Meaning | None:
    """What a noun phrase names: its last words, or the class before a wider term for it."""
    kept = list(phrase)
    if not [item for item in kept if item.text not in _LEADING]:
        return None
    while (
        len(kept) > 1
        and kept[-1].text in _TRANSPARENT
        and any(item.meaning and item.meaning.classes for item in kept[:-1])
    ):
        kept.pop()
    while (
        len(kept) > 1
        and kept[-1].meaning is None
        and (
            kept[-1].text in _TRANSPARENT or kept[-1].text.isdigit() or kept[-1].text in _LEADING | _NEGATIONS
        )
    ):
        kept.pop()
    last = kept[-1].meaning
    if last is None:
        return OTHER
    if last.wider and len(kept) > 1:
        before = next((item.meaning for item in reversed(kept[:-1]) if item.meaning), None)
        if before is not None and (before.classes or before.wider) and last.above(before):
            return before.narrowed(last)
    return last


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
    return _said(said)


def _with_aside(said: Match | None, aside: Meaning) -> Match:
    """What is named when brackets say more: a narrower name, or which of several is meant."""
    if said is None or said.kind == "unmatched":
        return _said(aside)
    if said.kind == "class" and aside.wider:
        return _said(_meaning(said).narrowed(aside))
    if said.kind == "general" and _meaning(said).above(aside):
        return _said(aside)
    return said


_MODULES: tuple[ModuleType, ...] = (words, vocabulary, wordnet)


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
