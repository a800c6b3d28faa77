"""Superclasses: each class below one, as WordNet has it."""

from __future__ import annotations

from collections import Counter

from imagenet_hard.imagenet.classes import names
from imagenet_hard.imagenet.superclasses import OTHER, SUPERCLASSES, superclass_of


def test_every_class_has_one():
    """By the order of the wnids: dogs, with wild ones apart, birds, and so on."""
    found = superclass_of()
    assert len(found) == 1000
    assert set(found) == {*SUPERCLASSES, OTHER}
    assert found[151:269] == ("dog",) * 118
    assert set(found[269:294]) == {"other mammal"}
    assert set(found[:7]) == {"fish"}
    assert set(found[7:25]) == {"bird"}
    assert set(found[25:33]) == {"amphibian"}
    assert set(found[33:69]) == {"reptile"}
    assert max(Counter(found).values()) < 200
    known = dict(zip(names(), found, strict=True))
    for name, superclass in (
        ("banana", "vegetable or fruit"),
        ("pizza", "food"),
        ("volcano", "geological formation"),
        ("airliner", "vehicle"),
        ("jeans", "clothing"),
        ("violin", "musical instrument"),
        ("hammer", "device or tool"),
        ("scuba diver", OTHER),
    ):
        assert known[name] == superclass
