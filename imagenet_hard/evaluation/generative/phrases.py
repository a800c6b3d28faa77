"""The noun phrases of a sentence: what frames them is taken off, and the head of each says what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagenet_hard.evaluation.generative import vocabulary, words
from imagenet_hard.evaluation.generative.vocabulary import OTHER, Meaning
from imagenet_hard.evaluation.generative.word_lists import (
    APPOSITIONS,
    ARTICLES,
    COLORS,
    FRAMES,
    LEADING,
    MARKS,
    MEASURES,
    NEGATIONS,
    STOPS,
    TRANSPARENT,
    YOUNG,
)


@dataclass(frozen=True)
class Item:
    """One token, or the tokens that mean something together."""

    text: str
    meaning: Meaning | None = None


def items_of(tokens: Sequence[str]) -> list[Item]:
    """Tokens, with the longest runs of them that the vocabulary knows as one."""
    known, items, at = vocabulary.vocabulary(), list[Item](), 0
    while at < len(tokens):
        end = min(len(tokens), at + known.longest + 4)
        found = None
        if tokens[at] not in ARTICLES and tokens[at] not in MARKS and tokens[at] != "/":
            shortest = at + (tokens[at] in LEADING)  # "can" is no can, "can opener" is one
            for stop in range(end, shortest, -1):
                run = tokens[at:stop]
                if run[-1] not in ARTICLES and run[-1] != "/" and not MARKS.intersection(run):
                    found = known.find([word for word in run if word != "/"])
                    if found is not None:
                        items.append(Item(" ".join(run), found))
                        at = stop
                        break
        if found is None:
            word = words.singular(tokens[at])
            young = known.find([YOUNG[word]]) if word in YOUNG else None
            items.append(Item(tokens[at], young))
            at += 1
    return items


def parts_of(items: Sequence[Item]) -> tuple[list[list[Item]], list[str]]:
    """The phrases between commas, "and" and "or", and what stands before each: "", ",", "and", "or"."""
    parts, joints = list[list[Item]]([[]]), [""]
    for place, item in enumerate(items):
        following = items[place + 1].text if place + 1 < len(items) else ""
        if parts[-1] and parts[-1][-1].text in COLORS and following in COLORS:
            continue  # "orange and white clownfish"
        joint = {
            "/": "/",
            "or": "or",
            "nor": "or",
            "and": "and",
            ",": ",",
            "vs": "or",
            **dict.fromkeys(APPOSITIONS, ","),
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


def phrase_of(part: Sequence[Item]) -> tuple[list[Item], int]:
    """The noun phrase of a part without its frame, and how many items were cut off behind it."""
    phrase, place = list[Item](), _begin(part, 0) - 1
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
            if item.text in ARTICLES and not named:
                phrase, place = [], _begin(part, place) - 1
                continue
            if item.text in STOPS | ARTICLES or (named and _participle(item.text)):
                return phrase, len(part) - place
            if item.text.endswith("ing") and not _later_name(part[place + 1 :]):
                return phrase, len(part) - place
        phrase.append(item)
    return phrase, 0


def _participle(word: str) -> bool:
    """Whether a word that means nothing else ends as "sitting" and "painted" do; "red" does not count."""
    return word.endswith(("ing", "ed")) and word not in COLORS


def _begin(part: Sequence[Item], at: int) -> int:
    """Where the noun phrase begins in what stands at ``at`` and after it: behind its frame."""
    while at < len(part):
        item = part[at]
        following = part[at + 1].text if at + 1 < len(part) else ""
        framing = _frames(item) and _frame_end(part, at)
        if framing and not (item.meaning and item.meaning.classes):
            at = framing
        elif _measures(part, at):
            at += 2
        elif (item.text in LEADING or item.text in NEGATIONS) and item.meaning is None and following:
            at += 1
        else:
            break
    return at


def _measures(part: Sequence[Item], at: int) -> bool:
    """Whether a measure, "of" and a phrase that names a class begin at ``at``: "cup of espresso"."""
    if at + 2 >= len(part) or part[at + 1].text != "of" or words.singular(part[at].text) not in MEASURES:
        return False
    content = next((item for item in part[at + 2 : at + 8] if item.meaning or item.text in STOPS), None)
    return content is not None and content.meaning is not None and bool(content.meaning.classes)


def _frames(item: Item) -> bool:
    return item.text in FRAMES or words.singular(item.text) in FRAMES


def _frame_end(part: Sequence[Item], at: int) -> int:
    """Where a frame as "close up photo of" ends that begins at ``at``; 0 where it is none."""
    while at < len(part) and _frames(part[at]):
        at += 1
    return at + 1 if at + 1 < len(part) and part[at].text in ("of", "showing") else 0


def _later_name(items: Sequence[Item]) -> bool:
    """Whether a name follows before the phrase ends: "a swimming otter"."""
    for item in items:
        if item.meaning is not None:
            return True
        if item.text in STOPS | ARTICLES:
            return False
    return False


def meaning_of_phrase(phrase: Sequence[Item]) -> Meaning | None:
    """What a noun phrase names: its last words, or the class before a wider term for it."""
    kept = list(phrase)
    if not [item for item in kept if item.text not in LEADING]:
        return None
    while (
        len(kept) > 1
        and kept[-1].text in TRANSPARENT
        and any(item.meaning and item.meaning.classes for item in kept[:-1])
    ):
        kept.pop()
    while (
        len(kept) > 1
        and kept[-1].meaning is None
        and (kept[-1].text in TRANSPARENT or kept[-1].text.isdigit() or kept[-1].text in LEADING | NEGATIONS)
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
