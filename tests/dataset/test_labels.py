"""What a stored label means: every form that people store, and no guess at any other."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.labels import class_indices, labels_of, own_numbering, parse_label
from imagenet_hard.imagenet.classes import names, wnids
from imagenet_hard.imagenet.variants import MASKS


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
        DatasetError, match=r"(?s)row 4 of x has no labels: got .*Test splits cannot be scored"
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


def torchvision_names() -> list[str]:
    """The 1000 that torchvision's weights carry, all different."""
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def wordnet_names() -> list[str]:
    """ "tench, Tinca tinca", as the Hub's ImageNet names its classes; "crane" is there twice."""
    from timm.data import ImageNetInfo

    return list(ImageNetInfo().label_descriptions())


def test_digits_without_a_gap_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """They may be MNIST's; a thousand of them, or wnids, are no one else's."""
    class_indices([str(i) for i in range(1000)], "x")
    class_indices(wnids()[:10], "x")
    class_indices(["5", "7"], "x")
    assert not caplog.text
    assert class_indices(["10", *map(str, range(1, 10))], "x") == (10, *range(1, 10))
    assert "x has the class names 1 to 10 and no others: they are taken for class indices" in caplog.text


SORTED_AS_TEXT = sorted(map(str, range(1000)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: [str(i) for i in range(1000)],
        lambda: [f"{i:04d}" for i in range(1000)],
        lambda: list(wnids()),
        lambda: [f"{wnid}_{name}" for wnid, name in zip(wnids(), names(), strict=True)],
        lambda: [f"{name} {wnid}" for wnid, name in zip(wnids(), names(), strict=True)],
        torchvision_names,
        lambda: [name.replace(" ", "_").replace("'", "’") for name in torchvision_names()],
    ],
    ids=["numbers", "padded", "wnids", "wnid_name", "name wnid", "torchvision", "underscores"],
)
def test_any_order_of_known_names(make) -> None:
    """The number of a class is the place of its name, whatever the order."""
    known = make()
    order = list(range(1000))
    random.Random(3).shuffle(order)
    for chosen in (range(1000), order, sorted(order, key=known.__getitem__), order[:37]):
        assert class_indices([known[i] for i in chosen], "x") == tuple(chosen)


def test_numbers_sort_as_text_in_a_packed_folder() -> None:
    """What ``datasets`` makes of ImageNet-V2's folders: number 2 is class 10."""
    assert SORTED_AS_TEXT[:4] == ["0", "1", "10", "100"]
    assert class_indices(SORTED_AS_TEXT, "x") == tuple(int(name) for name in SORTED_AS_TEXT)


@pytest.mark.parametrize("make", [lambda: list(names()), wordnet_names], ids=["open_clip", "wordnet"])
def test_names_with_twins_are_taken_in_imagenets_order_only(make) -> None:
    """Two missiles, two cranes: their place tells them apart only where every other name is at its own."""
    known = make()
    assert class_indices(known, "x") == tuple(range(1000))
    with pytest.raises(DatasetError, match=r"several meanings: '(missile|crane)' \((657|134) n0"):
        class_indices([*known[500:], *known[:500]], "x")


def test_a_name_that_one_list_alone_has() -> None:
    """One in a hundred may be unknown where all others are in order, and nowhere else."""
    known = wordnet_names()
    known[517] = "crane2"
    assert class_indices(known, "x") == tuple(range(1000))
    with pytest.raises(DatasetError, match=r"x has 1 of 1,000 class names that are not understood: 'crane2'"):
        class_indices(sorted(known), "x")
    known[:11] = [f"new {i}" for i in range(11)]
    with pytest.raises(
        DatasetError, match=r"12 of 1,000 .*: 'new 0', 'new 1', 'new 2', 'new 3', 'new 4' and 7 more"
    ):
        class_indices(known, "x")


@pytest.mark.parametrize("variant", ["imagenet-a", "imagenet-r"])
def test_the_200_classes_of_the_variants(variant: str) -> None:
    """CLIP_benchmark numbers them from 0 to 199, in the order of their wnids."""
    chosen = sorted(MASKS[variant]())
    assert class_indices([names()[i] for i in chosen], variant) == tuple(chosen)


def test_ten_classes_by_name() -> None:
    """Imagenette's, whose right numbers are published with it."""
    ten = "tench, English springer, cassette player, chain saw, church, French horn, garbage truck, gas pump"
    found = class_indices([*ten.split(", "), "golf ball", "parachute"], "imagenette")
    assert found == (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["crane bird", "crane"], (134, 517)),
        (["crane", "crane bird"], (517, 134)),
        (["Cardigan", "cardigan", "Pembroke"], (264, 474, 263)),
        (["polecat", "skunk"], (358, 361)),
    ],
)
def test_a_second_meaning_is_left_out_by_the_other_names(given: list[str], meant: tuple[int, ...]) -> None:
    """Classes differ, and a class's own name comes before another's synonym."""
    assert class_indices(given, "x") == meant


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["cat", "dog"],
            r"x has 2 of 2 class names that are not understood: 'cat', 'dog'\. Expected class ind",
        ),
        (["n01440764", "n99999999"], r"1 of 2 class names that are not understood: 'n99999999'"),
        ([str(i) for i in range(1, 1001)], r"not understood: '1000'\. .*development kit"),
        (["background", *map(str, range(1000))], r"1 of 1,001 .*: 'background'"),
        (["crane", "tench"], r"several meanings: 'crane' \(134 n02012849, 517 n03126707\)"),
        (["cardigan", "tench"], r"several meanings: 'cardigan' \(264 n02113186, 474 n02963159\)"),
        (["n01440764 or n01443537"], r"several meanings: 'n01440764 or n01443537'"),
        (["tench", "goldfish", "Tinca tinca"], r"'tench' and 'Tinca tinca' are both class 0 \(n01440764\)"),
        (["7", "07"], r"'7' and '07' are both class 7"),
        (["tench", "tench"], r"'tench' and 'tench' are both class 0"),
        (["", "tench"], r"1 of 2 class names that are not understood: ''"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(given: list[str], message: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(DatasetError, match=message):
        class_indices(given, "x")
