"""The names of the classes: one vocabulary for data sets, masks and lists of names."""

from __future__ import annotations

import pytest

from imagenet_hard.imagenet.classes import names, wnids
from imagenet_hard.imagenet.names import called, meanings, one_case


def known_lists() -> list[list[str]]:
    """Those of open_clip, torchvision and WordNet, in class order."""
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    return [
        list(names()),
        list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"]),
        list(ImageNetInfo().label_descriptions()),
    ]


def test_every_own_name_means_its_class() -> None:
    """Of the three lists, only these keys are shared by two classes."""
    twins = {"crane", "cardigan", "maillot", "missile", "sunglasses"}
    for known in known_lists():
        for index, name in enumerate(known):
            found = meanings(name)
            assert index in found
            assert found <= called(name)
            assert len(found) == 1 or name.lower() in twins


@pytest.mark.parametrize("index", [0, 358, 999])
def test_a_class_by_number_wnid_and_name(index: int) -> None:
    """Also with text beside the wnid, and in other letters."""
    for text in (str(index), wnids()[index], f"{wnids()[index]}\t{names()[index]}", names()[index].upper()):
        assert meanings(text) == {index}


def test_capitals_tell_the_dog_from_the_jacket() -> None:
    """Only where the list has capitals at all."""
    assert (meanings("Cardigan", folded=False), meanings("cardigan", folded=False)) == ({264}, {474})
    assert meanings("cardigan") == {264, 474}
    assert one_case(["tench", "cardigan"])
    assert not one_case(["Tench", "cardigan"])


def test_a_synonym_is_wider_than_a_meaning() -> None:
    """WordNet calls the skunk a polecat too, but a class that is called polecat is the polecat."""
    assert (meanings("polecat"), called("polecat")) == ({358}, {358, 361})
    assert (
        called("no class") == meanings("no class") == meanings("1000") == meanings("n99999999") == frozenset()
    )
