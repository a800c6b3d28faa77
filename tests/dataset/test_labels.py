"""Label values, the good and the bad."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.dataset.labels import checked, own_numbering, parse_label
from imagenet_hard.errors import DatasetError


@pytest.mark.parametrize(
    ("value", "labels"),
    [(0, (0,)), (999, (999,)), ([3, 1, 3], (1, 3)), ((7,), (7,)), (np.int64(5), (5,)), ([np.int16(5)], (5,))],
)
def test_labels_become_sorted_tuples(value: object, labels: tuple[int, ...]) -> None:
    """One or many, plain or numpy integers, repeats dropped."""
    found = checked(value, "row 0")
    assert found == labels
    assert all(type(label) is int for label in found)


@pytest.mark.parametrize("value", [None, -1, [], [-1], [None], [3, -1]])
def test_no_label_says_so(value: object) -> None:
    """Test sets carry -1, None or an empty list."""
    with pytest.raises(
        DatasetError, match=r"row 4 of x is without labels: got .*Test splits cannot be scored"
    ):
        checked(value, "row 4 of x")


@pytest.mark.parametrize("value", [1000, -2, 3.0, "3", True, [1, 1000], [[1]], {"a": 1}])
def test_a_label_out_of_range_names_the_row(value: object) -> None:
    """Only integers in 0..999 are classes."""
    with pytest.raises(
        DatasetError, match=r"row 4 of x has the label .* expected an integer class index in 0\.\.999"
    ):
        checked(value, "row 4 of x")


def test_one_too_high_hints_at_counting_from_one() -> None:
    """Caffe's lists go from 1 to 1000."""
    with pytest.raises(
        DatasetError, match="count from 1 in the order of the wnids, subtract 1.*id 490 and index 65"
    ):
        checked(1000, "row 0")


@pytest.mark.parametrize(
    ("text", "index"), [("65", 65), (" 65.0 ", 65), ("0.", 0), ("n01751748", 65), ("N01751748", 65)]
)
def test_a_label_as_text(text: str, index: int) -> None:
    """A number, as pandas writes it too, or a wnid in any letters."""
    assert parse_label(text, "row 0") == index


@pytest.mark.parametrize("text", ["65.5", "tench", "n99999999", "", "nan", "1e2"])
def test_other_texts_are_no_label(text: str) -> None:
    """Nothing is rounded or guessed."""
    with pytest.raises(DatasetError, match=r"row 4 has the label .*one of the 1000 wnids such as n01440764"):
        parse_label(text, "row 4")


@given(st.sets(st.integers(0, 30)))
def test_numbers_that_may_be_a_subsets_own(numbers: set[int]) -> None:
    """From 0 or 1 to k without a gap, from ten on."""
    k = len(numbers)
    expected = k >= 10 and sorted(numbers) in ([*range(k)], [*range(1, k + 1)])
    assert (own_numbering(numbers) is not None) == expected


def test_all_classes_are_no_subset() -> None:
    """0 to 999 are the class indices; 1 to 999 may count from 1."""
    assert own_numbering(range(1000)) is None
    assert "1 is goldfish and 999 is toilet paper. If they count from 1" in str(own_numbering(range(1, 1000)))
    assert "0 is tench and 9 is ostrich. If they number the classes of a subset" in str(
        own_numbering(range(10))
    )
