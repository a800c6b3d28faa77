"""An entry's answers in words: what a model said about each image, in bounds, and what that names.

``answers.jsonl`` has a line an image, ``{"id": "cat.jpg", "answer": "a tabby cat"}``, with ``finish_reason``
where an endpoint said why it ended. What an answer names is not in it: the matcher of the day says that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.base.text import shorten
from imagenet_hard.evaluation.generative.answers import RawAnswers, read_jsonl
from imagenet_hard.evaluation.generative.matcher import Match
from imagenet_hard.evaluation.generative.score import Reading, matched
from imagenet_hard.evaluation.sandbox import bytes_sandboxed

WORDS_FILE = "answers.jsonl"
MAX_WORDS_BYTES = 16 * 2**20
"""1.5 kB for each of ImageNet-Hard's images. The matcher takes 3 to 8 s a MiB of prose."""

SECONDS = 300
"""For reading and matching a stranger's file."""

MAX_ANSWER = 2**14
"""Characters of an answer: room for thoughts of 4,000 tokens, and the matcher is done with it in a second."""


@dataclass(frozen=True)
class Words:
    """Answers to ``n`` images, sorted by id, and what they name beside the images' labels."""

    raw: RawAnswers
    reading: Reading

    @classmethod
    def of(cls, raw: RawAnswers, matches: tuple[Match, ...], labels: Mapping[str, Sequence[int]]) -> Words:
        """``labels``: of each image by its id; an image that is unknown has none."""
        return cls(raw, Reading.of(raw.ids, matches, [labels.get(id, ()) for id in raw.ids]))

    def among(self, rows: Sequence[int], labels: Sequence[Sequence[int]]) -> Words:
        """Some of the answers, read by other ``labels``, one set a row."""
        raw = RawAnswers(
            tuple(self.raw.ids[i] for i in rows),
            tuple(self.raw.answers[i] for i in rows),
            tuple(self.raw.finish[i] for i in rows) if self.raw.finish else (),
        )
        return Words(raw, Reading.of(raw.ids, tuple(self.reading.matches[i] for i in rows), labels))


def words_bytes(raw: RawAnswers) -> bytes:
    """The file, which has one form.

    Raises:
        ResultError: an answer, or all of them, are longer than an entry's may be.
    """
    lines = []
    for i, (id, answer) in enumerate(zip(raw.ids, raw.answers, strict=True)):
        if len(answer) > MAX_ANSWER:
            raise ResultError(
                f"the answer to {shorten(id)} has {len(answer):,} characters: an entry's have at most "
                f"{MAX_ANSWER:,}"
            )
        row = {"id": id, "answer": answer}
        if raw.finish and raw.finish[i]:
            row["finish_reason"] = raw.finish[i]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    data = "".join(lines).encode()
    if len(data) > MAX_WORDS_BYTES:
        raise ResultError(
            f"the answers have {len(data):,} bytes: an entry's have at most {MAX_WORDS_BYTES:,}"
        )
    return data


def read_words(path: Path, labels: Mapping[str, Sequence[int]], *, isolated: bool) -> Words:
    """The answers in a file, and what they name. ``isolated``: in a process with limits, for strangers'.

    Raises:
        ResultError: naming the file and the line, or that it is not in the one form that it has.
    """
    if not isolated:
        raw = _read(path)
        return Words.of(raw, matched(raw), labels)
    columns, rows = json.loads(bytes_sandboxed(path, f"{__name__}:read_in_child", SECONDS))
    raw = RawAnswers(*(tuple(column) for column in columns))
    matches = (Match(kind, tuple(named), tuple(wider), rule) for kind, named, wider, rule in rows)
    return Words.of(raw, tuple(matches), labels)


def read_in_child(path: str) -> list[bytes]:
    """The answers and what each names as JSON, for ``read_words``.

    Raises:
        ResultError: as there.
    """
    raw = _read(Path(path))
    rows = [[m.kind, m.classes, m.wider, m.rule] for m in matched(raw)]
    return [json.dumps([[raw.ids, raw.answers, raw.finish], rows]).encode()]


def _read(path: Path) -> RawAnswers:
    data = read_bounded(path, MAX_WORDS_BYTES)
    raw = read_jsonl(path)
    # Nothing rides along: no other key, no key twice, no line that is passed over.
    if words_bytes(raw) != data.replace(b"\r\n", b"\n"):
        raise ResultError(
            f"{path} is not as `imagenet-hard submit` writes it: expected lines with id, answer and, "
            "where it is known, finish_reason, sorted by id, and nothing else"
        )
    return raw
