"""An entry's answers in words: kept as they came, in bounds, in one form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import NO_CLASS
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.score import matched
from imagenet_hard.leaderboard import words
from imagenet_hard.leaderboard.answers import Answers, read_answers, write_answers
from imagenet_hard.leaderboard.words import MAX_ANSWER, WORDS_FILE, Words, read_words, words_bytes

RAW = RawAnswers(
    ("a", "b", "c", "d"),
    ("missile", "<b>a dog</b>\n\u202ehidden", "", "a tench"),
    ("stop", "length", "content_filter", ""),
)
LABELS = {"a": (744,), "b": (207,), "c": (0,), "d": (0,)}


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("isolated", [False, True])
def test_answers_come_back_as_they_were(tmp_path: Path, isolated: bool) -> None:
    """To the character, whatever is in them; of classes that share a name the label is meant."""
    answers = Answers.in_words(Words.of(RAW, matched(RAW), LABELS))
    assert answers.top5[:, 0].tolist() == [744, NO_CLASS, NO_CLASS, 0]
    assert (answers.file, answers.places, answers.predictions) == (WORDS_FILE, 1, None)
    write_answers(tmp_path, answers)
    again = read_answers(tmp_path, probabilities=False, isolated=isolated, places=1, labels=LABELS)
    assert again.words is not None
    assert (again.words.raw, again.sha256) == (RAW, answers.sha256)
    assert again.words.reading.matches == answers.words.reading.matches
    assert again.top5.tolist() == answers.top5.tolist()


def test_without_a_reason_why_they_ended(tmp_path: Path) -> None:
    raw = RawAnswers(("a",), ("lion",))
    (tmp_path / WORDS_FILE).write_bytes(words_bytes(raw))
    assert read_words(tmp_path / WORDS_FILE, {}, isolated=False).raw == raw


ROW = '{"id": "a", "answer": "lion"}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no answers"),
        ("[]\n", r"answers.jsonl:1: got \[\]"),
        (ROW + ROW, r"answers.jsonl:2: the id 'a' stands in line 1 already"),
        ('{"id": "a"}\n', "no 'answer' among the keys"),
        ('{"id": "a", "answer": 5}\n', "answer is 5; expected text"),
        ('{"id": "a", "answer": "\\ud800"}\n', "is not Unicode text"),
        ("[" * 100_000, "not JSON"),
        ('{"id": "b", "answer": "x"}\n' + ROW, "is not as `imagenet-hard submit` writes it"),
        ('{"id": "a", "answer": "lion", "more": [1]}\n', "is not as"),
        ('{"id": "a", "answer": "x", "answer": "lion"}\n', "the key 'answer' stands twice in one object"),
        ('{"id": "a", "answer": "lion", "class": 291}\n', "is not as"),
        (ROW.replace(" ", ""), "is not as"),
        (ROW + "\n\n", "is not as"),
        ('{"id": "a", "answer": null}\n', "is not as"),
        (
            json.dumps({"id": "a", "answer": "x" * (MAX_ANSWER + 1)}) + "\n",
            "the answer to 'a' has 16,385 characters: an entry's have at most 16,384",
        ),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, message: str) -> None:
    """Nothing rides along, and nothing is said twice."""
    (tmp_path / WORDS_FILE).write_text(text)
    with pytest.raises(ResultError, match=message):
        read_words(tmp_path / WORDS_FILE, {}, isolated=False)


def test_windows_line_ends_are_the_same_file(tmp_path: Path) -> None:
    """As git may check it out."""
    (tmp_path / WORDS_FILE).write_bytes(ROW.replace("\n", "\r\n").encode())
    assert read_words(tmp_path / WORDS_FILE, {}, isolated=False).raw.answers == ("lion",)


@pytest.mark.usefixtures("own_process")
def test_a_strangers_file_is_read_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: the same words for what is wrong, a size and a time that end it."""
    path = tmp_path / WORDS_FILE
    path.write_text(ROW + ROW)
    with pytest.raises(ResultError, match=f"^{path}:2: the id 'a' stands in line 1"):
        read_words(path, {}, isolated=True)
    with path.open("wb") as file:
        file.truncate(words.MAX_WORDS_BYTES + 1)
    with pytest.raises(ResultError, match="more than"):
        read_words(path, {}, isolated=True)
    path.write_text(ROW)
    monkeypatch.setattr(words, "SECONDS", 0.01)
    with pytest.raises(ResultError, match=r"more than 0\.01 s to read: it is not a sound file of answers"):
        read_words(path, {}, isolated=True)


def test_more_than_an_entry_holds_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MAX_WORDS_BYTES", 40)
    with pytest.raises(ResultError, match="the answers have 60 bytes: an entry's have at most 40"):
        words_bytes(RawAnswers(("a", "b"), ("lion", "lion")))
