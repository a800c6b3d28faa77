"""Entries as records: what they hold, and what no file can make them hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.entry import ENTRY_FILE, MAX_ENTRY_BYTES, entry_json, read_entry
from tests.leaderboard.boards import change, entry_value, standard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return standard(tmp_path).first


def strings(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all strings in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, str):
        yield at
    for key, each in items:
        yield from strings(each, (*at, key))


def test_round_trip(folder: Path) -> None:
    """What is written is read, byte for byte the same when written again; each key has its line."""
    entry = read_entry(folder)
    text = (folder / ENTRY_FILE).read_text()
    assert entry_json(entry) == text
    assert json.loads(text) == entry.model_dump(mode="json")
    assert "owner" not in json.loads(text)
    assert entry.protocol is not None
    assert entry.protocol.precision == "fp32"
    # Another layout of the same JSON is the same entry.
    (folder / ENTRY_FILE).write_text(json.dumps(json.loads(text), indent=3))
    assert read_entry(folder).digest == entry.digest


@pytest.mark.parametrize("bad", ["<script>alert(1)</script>", "javascript:alert(1)", "\x1b[31m", "a\nb"])
def test_no_text_field_takes_a_script(folder: Path, bad: str) -> None:
    """Every string of the JSON in turn, also those deep in the result."""
    change(folder, "links", to=[{"label": "Paper", "url": "https://a.org"}])
    whole = entry_value(folder)
    places = list(strings(whole))
    assert ("links", 0, "label") in places
    assert ("result", "environment", "python") in places
    assert len(places) > 30
    for place in places:
        change(folder, *place, to=bad)
        with pytest.raises(ResultError, match="entry.json"):
            read_entry(folder)
        (folder / ENTRY_FILE).write_text(json.dumps(whole))


def test_no_key_takes_a_script(folder: Path) -> None:
    """Free mappings, such as a transform, have keys that strangers choose."""
    for holder in (("model",), ("result", "model")):
        change(folder, *holder, "transform", to={"<img src=x onerror=alert(1)>": 1})
    with pytest.raises(ResultError, match="character '<'"):
        read_entry(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("claim", "n_correct"), "12"),
        (("claim", "n_correct"), 12.0),
        (("claim", "n_correct"), True),
        (("claim", "n_correct"), -1),
        (("claim", "n_correct"), 10**30),
        (("used_in_curation",), "no"),
        (("used_in_curation",), 1),
        (("name",), 7),
        (("name",), None),
        (("name",), ["x"]),
        (("name",), ""),
        (("name",), "x" * 301),
        (("date",), 20260101),
        (("date",), "yesterday"),
        (("links",), {"label": "a", "url": "https://a.org"}),
        (("links",), [{"label": "a", "url": "https://a.org"}] * 21),
        (("links",), [{"label": "a", "url": "http://a.org"}]),
        (("schema_version",), 2),
        (("id",), "../../etc"),
        (("id",), "Some-Lab__other"),
        (("predictions_sha256",), "F" * 64),
        (("tier",), "reproduced"),
        (("checks",), []),
    ],
)
def test_type_confusion_is_refused(folder: Path, place: tuple[str, ...], value: Any) -> None:
    """A number is a number, a list is a list; nobody gives himself a tier."""
    change(folder, *place, to=value)
    with pytest.raises(ResultError, match="entry.json"):
        read_entry(folder)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("claim", "n_correct"), 0, "claim.n_correct is not what result says"),
        (("claim", "n_total"), 61, "the claim counts 61 images: benchmark.n is 60"),
        (("claim",), {"n_correct": 5, "n_top5": 4, "n_total": 60}, "n_correct <= n_top5 <= n_total"),
        (("benchmark", "fingerprint"), "0" * 64, "benchmark is not what result says"),
        (("model", "name"), "another", "model is not what result says"),
        (("org",), "Other", "org and name make 'Other__ViT-B-32'"),
        (("result", "metrics", "top1", "n_correct"), 59, "metrics"),
    ],
)
def test_contradictions_are_refused(folder: Path, place: tuple[str, ...], value: Any, message: str) -> None:
    """What is said twice is said alike."""
    change(folder, *place, to=value)
    with pytest.raises(ResultError, match=message):
        read_entry(folder)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(folder: Path, token: str) -> None:
    """What Python's JSON writes for NaN and infinity is no number here."""
    text = (folder / ENTRY_FILE).read_text().replace('"seconds": 2.0', f'"seconds": {token}')
    assert token in text
    (folder / ENTRY_FILE).write_text(text)
    with pytest.raises(ResultError):
        read_entry(folder)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"- yaml: list",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": ' * 50_000,
        b'{"id": "a__b", "id": "c__d"}',
        b'{"n": ' + b"9" * 100_000 + b"}",
    ],
)
def test_json_bombs_are_refused(folder: Path, data: bytes) -> None:
    """Nesting, repeated keys, endless numbers and what is no JSON end in one error."""
    (folder / ENTRY_FILE).write_bytes(data)
    with pytest.raises(ResultError, match="entry.json"):
        read_entry(folder)


def test_large_files_are_not_read(folder: Path) -> None:
    """The size is looked at first."""
    with (folder / ENTRY_FILE).open("wb") as file:
        file.truncate(MAX_ENTRY_BYTES + 1)
    with pytest.raises(ResultError, match=f"at most {MAX_ENTRY_BYTES}"):
        read_entry(folder)


def test_the_folder_is_the_id(folder: Path) -> None:
    """An entry in another's folder is refused."""
    other = folder.rename(folder.with_name("Some-Lab__Another"))
    with pytest.raises(ResultError, match="expected the folder's name 'Some-Lab__Another'"):
        read_entry(other)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"percent": 101, "source": {"label": "a", "url": "https://a.org"}}, "less than or equal to 100"),
        ({"percent": "NaN", "source": {"label": "a", "url": "https://a.org"}}, "imagenet"),
        ({"percent": 76.1, "source": {"label": "a", "url": "javascript:alert(1)"}}, "https"),
        ({"percent": 76.1}, "source"),
    ],
)
def test_a_reported_accuracy_is_a_share_with_its_source(folder: Path, value: Any, message: str) -> None:
    """In percent, and from an https address."""
    change(folder, "imagenet", to=value)
    with pytest.raises(ResultError, match=message):
        read_entry(folder)


def test_an_entry_without_it_is_read(folder: Path) -> None:
    """As entries from before had it."""
    whole = entry_value(folder)
    del whole["imagenet"]
    (folder / ENTRY_FILE).write_text(json.dumps(whole))
    entry = read_entry(folder)
    assert entry.imagenet is None
    # The same digest as before the field was, so that the board's report on it still counts.
    lines = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in whole.items())
    old = "{\n" + ",\n".join(lines) + "\n}\n"
    assert entry.digest == hashlib.sha256(old.encode()).hexdigest()


def test_what_a_protocol_says_later_leaves_an_earlier_digest_alone(folder: Path) -> None:
    """A field that says nothing is not written; one that says something is."""
    protocol = entry_value(folder)["result"]["protocol"]
    assert not protocol.keys() & {"outputs", "drop_class", "classes", "warnings"}
    assert "witness" not in entry_value(folder)["result"]
    before = read_entry(folder).digest
    change(folder, "result", "protocol", "warnings", to=["cannot repeat: the transform draws random numbers"])
    entry = read_entry(folder)
    assert entry.protocol is not None
    assert entry.protocol.warnings
    assert entry.digest != before


def test_the_board_takes_no_answers_of_a_mask(folder: Path) -> None:
    """Fewer classes are easier: such a score stands beside no other."""
    mask = {"name": "imagenet-a", "indices": [6, 11, 13, 15, 17]}
    change(folder, "result", "protocol", "classes", to=mask)
    with pytest.raises(
        ResultError, match=r"among 5 classes only \(imagenet-a\): the board ranks answers among"
    ):
        read_entry(folder)
