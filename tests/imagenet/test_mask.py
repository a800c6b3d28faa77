"""Masks of the classes: by name, from a file, of a list."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet import variants
from imagenet_hard.imagenet.mask import MAX_BYTES, ClassMask, class_mask


@pytest.mark.parametrize(("name", "n"), [("imagenet-a", 200), ("imagenet-r", 200), ("objectnet", 125)])
def test_known_masks(name, n):
    """Those of the variants, under their name."""
    found = class_mask(name)
    assert (found.name, found.label, len(found.indices)) == (name, name, n)
    assert (found.kept() == variants.mask(name)).all()


def test_a_file_says_classes_in_any_of_three_ways(tmp_path):
    """Indices, wnids with or without text, names; comments and empty lines are passed over."""
    file = tmp_path / "mine.txt"
    file.write_text("# five\n0\nn01443537\tgoldfish, Carassius auratus\n\nGreat White Shark\n3\nn01498041\n")
    found = class_mask(file)
    assert found == ClassMask(name="mine.txt", indices=(0, 1, 2, 3, 6))
    (tmp_path / "mine.json").write_text(json.dumps([0, "n01443537", "great white shark", 3, 6]))
    again = class_mask(str(tmp_path / "mine.json"))
    assert (again.indices, again.label) == (found.indices, found.label)
    assert class_mask([6, 3, 2, 1, 0]).indices == found.indices


def test_the_released_list_is_the_known_mask(shared):
    """A file of ImageNet-A's 200 wnids is that mask, by whatever name."""
    found = class_mask(shared / "data" / "labels" / "imagenet_a_synsets.txt")
    assert (found.label, found.indices) == ("imagenet-a", class_mask("imagenet-a").indices)


def test_names_are_those_that_a_data_set_may_have():
    """torchvision's and WordNet's as well; capitals tell the dog from the jacket where a list has them."""
    mixed = ["tench, Tinca tinca", "Cardigan", "jellyfish", "electric_ray", "n01498041 stingray"]
    assert class_mask(mixed).indices == (0, 5, 6, 107, 264)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\n1\n2\n3\n", r"lists 4 of the 1000 classes: expected 5 \(for a top-5\) to 999"),
        ("\n".join(map(str, range(1000))), "lists 1000 of the 1000 classes"),
        (
            "1\n2\n3\n4\n1000\n",
            r"entry 5: 1000; expected an index of 0 to 999 \(1 less where it counts from 1\)",
        ),
        ("0\n1\n2\n3\nn01440764\n", "entry 5: 'n01440764' is class 0, as '0' is"),
        ("0\n1\n2\n3\nmissile\n", "'missile' is the name of 2 classes: give the wnid"),
        ("0\n1\n2\n3\ngoldfihs\n", "'goldfihs' is no class"),
        ("n99999999\n", "'n99999999' is no class"),
        ("0\n1\n2\n3\ncrane\n", "'crane' is the name of 2 classes: give the wnid"),
        ("[1, 2,", "begins like a JSON list but is not one"),
        ("0\n" * MAX_BYTES, "more than 1048576 bytes"),
    ],
)
def test_what_no_mask_is(tmp_path, text, message):
    """Each with its place, what stands there and what was expected."""
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(UsageError, match=message):
        class_mask(tmp_path / "bad.txt")


def test_neither_a_name_nor_a_file(tmp_path):
    """The message has the names; bytes that are no text are told as such."""
    with pytest.raises(
        UsageError, match="'imagenet-b': expected imagenet-a, imagenet-r, objectnet, or a file"
    ):
        class_mask("imagenet-b")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot read the classes"):
        class_mask(tmp_path / "binary")


def test_a_record_of_a_mask_is_checked():
    """Rising indices of the 1000, as a result from anywhere has to have them."""
    for indices in ((3, 2, 5, 6, 7), (1, 1, 2, 3, 4), (1, 2, 3, 4, 1000), (1, 2)):
        with pytest.raises(ValidationError):
            ClassMask(name="x", indices=indices)
    assert np.flatnonzero(ClassMask(name="x", indices=(1, 2, 3, 4, 9)).kept()).tolist() == [1, 2, 3, 4, 9]
