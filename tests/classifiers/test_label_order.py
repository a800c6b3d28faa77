"""Which output is which class, told by the labels."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from timm.data import ImageNetInfo

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.label_order import LabelOrder, label_order
from imagenet_hard.imagenet.classes import distinct_names, names, wnids

TIMM = ImageNetInfo()
WORDNET = [str(TIMM.index_to_description(i)) for i in range(1000)]
FIRST_WORDS = [each.split(",")[0] for each in WORDNET]
UPPER = [each.upper() for each in distinct_names()]
SHUFFLED = random.Random(0).sample(range(1000), 1000)
INVERSE = tuple(SHUFFLED.index(i) for i in range(1000))


@pytest.mark.parametrize("labels", [wnids(), names(), WORDNET, FIRST_WORDS, list(map(str, range(1000)))])
def test_labels_in_the_order_of_the_classes(labels: list[str]) -> None:
    """Nothing is moved; "crane" stands twice among the first words, at each of its two classes."""
    order = label_order(labels, "x")
    assert order == LabelOrder(tuple(range(1000)))
    assert order.places is None
    for place, background in ((0, 0), (1000, 1000)):
        more = list(labels)
        more.insert(place, "background")
        order = label_order(more, "x")
        assert order.background == background
        assert order.places is None
        assert order.outputs == tuple(range(1 - place // 1000, 1001 - place // 1000))


@pytest.mark.parametrize("labels", [wnids(), distinct_names(), UPPER, [f"{w}_x" for w in wnids()]])
def test_labels_in_another_order(labels: list[str]) -> None:
    """Sorted by name, or anyhow: each class finds its output, behind a background class too."""
    shuffled = [labels[i] for i in SHUFFLED]
    order = label_order(shuffled, "x")
    assert order.outputs == order.places == INVERSE
    order = label_order(["Background", *shuffled], "x")
    assert order.outputs == tuple(place + 1 for place in INVERSE)
    assert order.places == (0, *order.outputs)
    order = label_order([*shuffled, "background"], "x")
    assert (order.outputs, order.places) == (INVERSE, (*INVERSE, 1000))


def test_one_in_a_hundred_may_be_unknown_in_known_order() -> None:
    """Where all that is understood stands at its own place."""
    labels = [f"something {i}" if i % 100 == 7 else name for i, name in enumerate(names())]
    assert label_order(labels, "x").places is None
    with pytest.raises(ClassifierError, match="x: 10 of the 1,000 labels .* not understood: 'something 7'"):
        label_order([labels[1], labels[0], *labels[2:]], "x")


def _changed(change: Callable[[list[str]], object], labels: list[str]) -> list[str]:
    labels = list(labels)
    change(labels)
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([f"LABEL_{i}" for i in range(1000)], "'LABEL_0', .*say nothing of the order of its outputs, which"),
        ([f"c{i}" for i in range(1001)], "expected the first or the last .* 'background', found .* nowhere"),
        (_changed(lambda all: all.insert(5, "background"), list(wnids())), "that at 5; its first label"),
        (["background", *wnids()[:999], "background"], "found that at 0, 1000"),
        (list(map(str, range(1, 1001))), "1 of the 1,000 labels .*'1000'"),
        ([FIRST_WORDS[i] for i in SHUFFLED], r"label 'maillot', which may be 638 n03710637, 639"),
        (["n01440764", *wnids()[2:], "n01440764"], "two labels of one class: 'n01440764' and .* are both 0"),
        ([str(i) for i in range(21841)], "21,841 outputs, classes of ImageNet-21k .* fine-tuned on Image"),
        (["cat", "dog"], "x has 2 outputs: expected the 1000 classes"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(labels: list[str], message: str) -> None:
    """With what was found, and where names can be given."""
    with pytest.raises(ClassifierError, match=message):
        label_order(labels, "x")
