"""Answers in JSON Lines and Parquet: read as they are, refused with file and line where they are wrong."""

from __future__ import annotations

import json

import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation.generative import answers
from imagenet_hard.evaluation.generative.answers import (
    RawAnswers,
    check_same_ids,
    read_jsonl,
    read_raw,
    write_raw,
)


def test_lines_are_read_sorted_by_id(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [{"id": "b", "answer": None, "tokens": 3}, {"id": 7, "answer": "a\u2028b\n"}]
    path.write_text("\ufeff" + "\r\n\r\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    assert read_jsonl(path) == RawAnswers(("7", "b"), ("a\u2028b\n", ""))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "a.jsonl:2: not JSON"),
        ("[" * 100_000, "a.jsonl:2: not JSON"),
        (
            '{"id": "x", "answer": "tench", "answer": "jeep"}',
            "a.jsonl:2: not JSON .the key 'answer' stands twice in one object.",
        ),
        ("[]", r"a.jsonl:2: got \[\]; expected"),
        ('{"id": "x"}', "a.jsonl:2: no 'answer' among the keys"),
        ('{"answer": "x"}', "a.jsonl:2: no 'id' among the keys"),
        ('{"id": "x", "answer": 3}', "a.jsonl:2: answer is 3; expected text"),
        ('{"id": true, "answer": "y"}', "a.jsonl:2: id is True; expected text"),
        ('{"id": "first", "answer": "y"}', "a.jsonl:2: the id 'first' stands in line 1 already"),
        (r'{"id": "\ud800", "answer": "y"}', "a.jsonl:2: id is not Unicode text"),
        (json.dumps({"id": "x" * 1025, "answer": "y"}), "a.jsonl:2: id has 1,025 characters; at most 1,024"),
        (json.dumps({"id": "x", "answer": "y" * (2**20 + 1)}), "a.jsonl:2: answer has 1,048,577 characters"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "first", "answer": "tench"}\n' + line + "\n", "utf-8")
    with pytest.raises(ResultError, match=message):
        read_jsonl(path)


def test_files_that_hold_no_answers(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    with pytest.raises(ResultError, match="not there"):
        read_jsonl(path)
    path.write_bytes(b"\n \n")
    with pytest.raises(ResultError, match="has no answers: expected lines"):
        read_jsonl(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ResultError, match="is not UTF-8 text"):
        read_jsonl(path)
    monkeypatch.setattr(answers, "MAX_FILE_BYTES", 1)
    with pytest.raises(ResultError, match="has more than 1 bytes"):
        read_jsonl(path)


def test_ids_have_to_be_the_benchmarks():
    raw = RawAnswers(("a", "b"), ("", ""))
    check_same_ids(raw, ["b", "a"], "x", "f")
    with pytest.raises(
        ResultError, match=r"f: .* x \(3 images\): 2 missing \('c', 'd'\) and 1 unknown \('b'\)"
    ):
        check_same_ids(raw, ["a", "c", "d"], "x", "f")


def test_what_is_written_is_read(tmp_path):
    raw = RawAnswers(("a", "ü"), ("", "two\nlines \x00"))
    write_raw(tmp_path / "x.parquet", raw)
    assert read_raw(tmp_path / "x.parquet") == raw
    assert raw.sha256 != RawAnswers(("a", "ü"), ("", "two\nlines")).sha256


def test_other_parquet_files_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ResultError, match="not a readable Parquet file"):
        read_raw(path)
    for columns, message in (
        ({"id": ["a"]}, "expected .*'id', 'answer'"),
        ({"id": ["a", None], "answer": ["", ""]}, "a value is not text"),
        ({"id": ["b", "a"], "answer": ["", ""]}, "expected unique ids, sorted"),
        ({"id": ["a", "a"], "answer": ["", ""]}, "expected unique ids, sorted"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(ResultError, match=message):
            read_raw(path)
