"""What a stored label means: every form that people store, and no guess at any other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.labels import labels_of, parse_label


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (0, (0,)),
        (999, (999,)),
        ([3, 1], (1, 3)),
        ((7,), (7,)),
        (3.0, (3,)),
        ([3.0, 1.0], (1, 3)),
        (np.int64(5), (5,)),
        ([np.int16(5)], (5,)),
        (np.array([5, 2]), (2, 5)),
        (torch.tensor(5), (5,)),
        ("65", (65,)),
        (" 007 ", (7,)),
        ("n01751748", (65,)),
        (["n01751748", "n01440764"], (0, 65)),
        (["n01751748", 65], (65,)),
        ("65, 795", (65, 795)),
        ("[65 795]", (65, 795)),
        ("n01751748;n01440764", (0, 65)),
        ("tench", (0,)),
        ("tench, Tinca tinca", (0,)),
        (["great_white_shark", "goldfish"], (1, 2)),
    ],
)
def test_labels_become_sorted_tuples(value: object, labels: tuple[int, ...]) -> None:
    """One or many, numbers, wnids or names."""
    found = labels_of(value, "row 0")
    assert found == labels
    assert all(type(label) is int for label in found)


@given(st.sets(st.integers(0, 999), min_size=1, max_size=20), st.sampled_from([int, bool, float, np.int8]))
def test_a_multi_hot_vector_is_its_places(classes: set[int], kind: type) -> None:
    """The inverse of writing one bit per class, whatever the bit's type."""
    hot = np.zeros(1000, dtype=kind)
    hot[list(classes)] = 1
    assert labels_of(hot, "x") == labels_of(hot.tolist(), "x") == tuple(sorted(classes))


def test_a_multi_hot_vector_over_the_classes_of_a_data_set() -> None:
    """Its length is the number of its classes, and place ``k`` is its own class ``k``."""
    classes = (998, 0, 2)
    assert labels_of([0, 1, 1], "x", classes) == (0, 2)
    assert labels_of([2, 0], "x", classes) == (2, 998)
    assert labels_of(1, "x", classes) == (0,)


@pytest.mark.parametrize("value", [[0, 1], [1, 0], [True, False], [0.0, 1.0]])
def test_two_bits_of_two_classes_may_mean_either(value: list[float]) -> None:
    """Both classes, or a vector that names one: a guess would be wrong half of the time."""
    with pytest.raises(DatasetError, match="row 4 has the label list .*may name both of the two classes, or"):
        labels_of(value, "row 4", (3, 7))
    assert labels_of([0, 1], "row 4", (3, 7, 9)) == (3, 7)
    assert labels_of([0, 1], "row 4") == (0, 1)


@given(st.lists(st.integers(0, 999), min_size=2, max_size=40))
def test_numbers_that_repeat_are_never_classes(values: list[int]) -> None:
    """A vector of bits of any other length is full of them."""
    values = [*values, values[0]]
    with pytest.raises(DatasetError, match="row 4 of x has the label list .*: class numbers do not repeat"):
        labels_of(values, "row 4 of x")


def test_soft_labels_are_refused() -> None:
    """Probabilities are no labels."""
    with pytest.raises(DatasetError, match="has the label 0.5"):
        labels_of([0.5, 0.25, 1.0], "x")
    with pytest.raises(
        DatasetError, match=r"\[0.001, 0.001, .*\] of 1,000 values: class numbers do not repeat"
    ):
        labels_of([0.001] * 1000, "x")


@pytest.mark.parametrize(
    "value", [None, -1, -1.0, [], [-1], [None], [3, -1], "", "-1", float("nan"), [float("nan")], [0] * 1000]
)
def test_no_label_says_so(value: object) -> None:
    """Test sets carry -1, None or an empty list, and pandas NaN."""
    with pytest.raises(
        DatasetError, match=r"(?s)row 4 of x is without labels: got .*Test splits cannot be scored"
    ):
        labels_of(value, "row 4 of x")


@pytest.mark.parametrize(
    "value",
    [
        1000,
        -2,
        3.5,
        "1000",
        "-3",
        True,
        [1, 1000],
        [[1]],
        {"a": 1},
        "9" * 5000,
        "cat",
        "n99999999",
        float("inf"),
    ],
)
def test_what_is_no_class_names_the_row(value: object) -> None:
    """Only the 1000 classes are classes."""
    with pytest.raises(
        DatasetError, match=r"row 4 of x has the label .* expected an? .*class index in 0\.\.999"
    ):
        labels_of(value, "row 4 of x")


def test_a_name_of_two_classes_is_no_label() -> None:
    """A bird or a machine: the number tells."""
    with pytest.raises(
        DatasetError, match="x has the label 'crane', which may be 134 or 517: give the class"
    ):
        labels_of("crane", "x")


def test_a_number_beyond_the_data_sets_own_classes() -> None:
    """Three names have no fourth."""
    with pytest.raises(DatasetError, match="x has the label 3, and the data set names no such class"):
        labels_of(3, "x", (1, 2, 0))


def test_one_too_high_hints_at_counting_from_one() -> None:
    """Caffe's lists go from 1 to 1000."""
    with pytest.raises(
        DatasetError, match="count from 1 in the order of the wnids, subtract 1.*id 490 and index 65"
    ):
        labels_of(1000, "row 0")


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
