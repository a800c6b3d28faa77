"""What a model said in words: a few answers for its page, and all of them to take along."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagenet_hard.base.types import NO_CLASS
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.matcher import KINDS, Kind
from imagenet_hard.evaluation.generative.score import Reading
from imagenet_hard.imagenet.classes import names
from imagenet_hard.leaderboard.plain_text import visible
from imagenet_hard.leaderboard.words import Words

OF_EACH_KIND = 4
LONGEST = 300
"""Characters of an answer on the page."""


@dataclass(frozen=True)
class Said:
    """An answer on the page, every character of it visible, and what it was read as."""

    id: str
    answer: str
    read_as: str
    right: bool


@dataclass(frozen=True)
class AllSaid:
    """A model's answers. ``sample``: some of each kind, of images that a hash draws, the same for all models;
    ``packed``: JSON Lines of all, compressed, as a board may have many."""

    sample: tuple[Said, ...]
    packed: bytes

    @classmethod
    def of(cls, words: Words) -> AllSaid:
        """Answers as they are read, in the order of their ids."""
        raw, reading = words.raw, words.reading
        named = reading.predictions.top5[:, 0].tolist()
        right = reading.right.tolist()
        rows = [_row(raw, i, named[i], right[i]) for i in range(len(raw.ids))]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        return cls(_sample(raw, reading, named, right), zlib.compress(text.encode()))

    @property
    def jsonl(self) -> str:
        """A line an image: ``id``, ``answer``, ``finish_reason`` where it is known, ``class``, ``right``."""
        return zlib.decompress(self.packed).decode()


def _row(raw: RawAnswers, i: int, named: int, right: bool) -> dict[str, Any]:
    why = {"finish_reason": raw.finish[i]} if raw.finish and raw.finish[i] else {}
    of_class = None if named == NO_CLASS else named
    return {"id": raw.ids[i], "answer": raw.answers[i], **why, "class": of_class, "right": right}


def _sample(
    raw: RawAnswers, reading: Reading, named: Sequence[int], right: Sequence[bool]
) -> tuple[Said, ...]:
    drawn = sorted(range(len(raw.ids)), key=lambda i: hashlib.sha256(raw.ids[i].encode()).digest())
    found: dict[tuple[bool, Kind], list[int]] = defaultdict(list)
    for i in drawn:
        kind = found[right[i], reading.matches[i].kind]
        if len(kind) < OF_EACH_KIND:
            kind.append(i)
    order = sorted(found, key=lambda key: (not key[0], KINDS.index(key[1])))
    return tuple(
        Said(
            id=raw.ids[i],
            answer=_cut(raw.answers[i]),
            read_as=kind if named[i] == NO_CLASS else names()[named[i]],
            right=is_right,
        )
        for is_right, kind in order
        for i in found[is_right, kind]
    )


def _cut(answer: str) -> str:
    shown = visible(answer[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
