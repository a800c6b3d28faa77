"""Class names of a data set: understood in any order, or refused by name; never taken by place alone."""

from __future__ import annotations

import random

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.class_names import class_indices
from imagenet_hard.imagenet.classes import MASKS, names, wnids


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
        DatasetError, match=r"12 of 1,000 .*: 'new 0', 'new 1', 'new 2', 'new 3', 'new 4', \.\.\."
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
