"""Answers with and without probabilities, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.answers import MAX_CSV_BYTES, TOP5_FILE, Answers, read_answers, write_answers
from tests.evaluation.scored import make_scored

HEADER = "id,top5\n"
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@pytest.mark.usefixtures("own_process")
def test_whole_predictions_round_trip(tmp_path: Path) -> None:
    """Parquet gives the predictions back, and the hash is that of evaluation."""
    answers = Answers.of(make_scored()[0].predictions)
    write_answers(tmp_path, answers)
    for isolated in (False, True):
        again = read_answers(tmp_path, probabilities=True, isolated=isolated)
        assert again.ids == answers.ids
        assert again.sha256 == answers.sha256
        assert again.predictions is not None


@given(st.dictionaries(ids, st.permutations(range(995, 1000)), min_size=1, max_size=6))
def test_classes_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, list[int]]) -> None:
    """Any id of text survives the CSV; rows are sorted by id."""
    folder = tmp_path_factory.mktemp("csv")
    answers = Answers.without_probabilities(list(rows), np.array(list(rows.values())))
    assert list(answers.ids) == sorted(rows)
    write_answers(folder, answers)
    again = read_answers(folder, probabilities=False, isolated=False)
    assert again.ids == answers.ids
    assert np.array_equal(again.top5, answers.top5)
    assert again.predictions is None
    assert again.sha256 == answers.sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected id,top5"),
        ("id,label\na,1\n", "expected id,top5"),
        (HEADER, "no rows"),
        (HEADER + "a,1 2 3 4\n", ":2: got ['a', '1 2 3 4'], expected an id and five classes"),
        (HEADER + "a,1 2 3 4 5 6\n", ":2: got"),
        (HEADER + "a,1 2 3 4 5,6\n", ":2: got"),
        (HEADER + "a,1 2 3 4 1000\n", ":2: got"),
        (HEADER + "a,1 2 3 4 -1\n", ":2: got"),
        (HEADER + "a,1 2 3 4 5e0\n", ":2: got"),
        (HEADER + "a,1 2 3 4 ٥\n", ":2: got"),
        (HEADER + "a,1 2 3 4 nan\n", ":2: got"),
        (HEADER + "a,1 2 3 4 4\n", "five different classes"),
        (HEADER + "b,1 2 3 4 5\na,1 2 3 4 5\n", "'a' comes after 'b'"),
        (HEADER + "a,1 2 3 4 5\na,1 2 3 4 5\n", "'a' appears twice"),
        (HEADER + ",1 2 3 4 5\n", "expected 1 to 1024 characters"),
        (HEADER + "x" * 1025 + ",1 2 3 4 5\n", "expected 1 to 1024 characters"),
        (HEADER + '"a,1 2 3 4 5\n', "not CSV"),
        (HEADER + "a" * 200_000 + ",1 2 3 4 5\n", "not CSV"),
    ],
)
def test_malformed_csv(tmp_path: Path, text: str, message: str) -> None:
    """Each names the file and the line or row."""
    (tmp_path / TOP5_FILE).write_text(text)
    with pytest.raises(ResultError) as error:
        read_answers(tmp_path, probabilities=False, isolated=False)
    assert message in str(error.value)
    assert TOP5_FILE in str(error.value)


def test_a_blank_line_is_no_row(tmp_path: Path) -> None:
    """As editors leave them."""
    (tmp_path / TOP5_FILE).write_text(HEADER + "\na,1 2 3 4 5\n\n")
    assert read_answers(tmp_path, probabilities=False, isolated=False).ids == ("a",)


@pytest.mark.usefixtures("own_process")
def test_classes_are_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The same values, and the same words for what is wrong."""
    answers = Answers.without_probabilities(["a", "b"], np.array([[5, 4, 3, 2, 1], [1, 2, 3, 4, 5]]))
    write_answers(tmp_path, answers)
    again = read_answers(tmp_path, probabilities=False, isolated=True)
    assert (again.ids, again.sha256, again.predictions) == (answers.ids, answers.sha256, None)
    (tmp_path / TOP5_FILE).write_text(HEADER + "a,1 2 3 4\n")
    with pytest.raises(ResultError) as error:
        read_answers(tmp_path, probabilities=False, isolated=True)
    assert str(error.value).startswith(f"{tmp_path / TOP5_FILE}:2: got")


def test_csv_that_is_no_text_or_too_large(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and more bytes than any benchmark needs."""
    (tmp_path / TOP5_FILE).write_bytes(HEADER.encode() + b"\xff,1 2 3 4 5\n")
    with pytest.raises(ResultError, match="UTF-8"):
        read_answers(tmp_path, probabilities=False, isolated=False)
    with (tmp_path / TOP5_FILE).open("wb") as file:
        file.truncate(MAX_CSV_BYTES + 1)
    with pytest.raises(ResultError, match="more than"):
        read_answers(tmp_path, probabilities=False, isolated=False)


@pytest.mark.parametrize(
    "top5", [[[0, 1, 2, 3, 65536]], [[0, 1, 2, 3, -1]], [[0, 1, 2, 3, 3]], [[0, 1, 2, 3]], []]
)
def test_classes_are_checked_before_they_are_narrowed(top5: list[list[int]]) -> None:
    """65,536 does not become class 0."""
    with pytest.raises(ResultError):
        Answers.without_probabilities(["a"], np.array(top5))
