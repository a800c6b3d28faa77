"""Images by the names that tables give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.image_names import match_names

ABOVE = "data/imagenet/val"


def matched(ids: list[str], names: list[str]) -> dict[str, str]:
    """The names of images with these ids."""
    return match_names(ids, names, "l.txt", ABOVE)


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("n01440764/a.JPEG", "n01440764/a.JPEG"),
        ("n01440764/a.JPEG", "a.JPEG"),
        ("n01440764/a.JPEG", "a"),
        ("n01440764/a.JPEG", "val/n01440764/a.JPEG"),
        ("n01440764/a.JPEG", "data/imagenet/val/n01440764/a.JPEG"),
        ("a.JPEG", "other/place/n01440764/a.JPEG"),
        ("a.JPEG", "val.zip@/a.JPEG"),
        ("a.JPEG", "A.jpeg"),
        ("a.png", "a.JPEG"),
        ("a.jfif", "a"),
        ("0.1_cat _ cat_0.8.jpg", "0.1_cat _ cat_0.8"),
    ],
)
def test_a_name_fits(id: str, name: str) -> None:
    """By the end of the path, in any letters, with or without endings."""
    assert matched([id], [name]) == {id: name}


@pytest.mark.parametrize(
    ("id", "name"),
    [("val/a.JPEG", "train/a.JPEG"), ("a.JPEG", "ba.JPEG"), ("xa.JPEG", "a.JPEG"), ("a.v2.JPEG", "a")],
)
def test_a_name_does_not_fit(id: str, name: str) -> None:
    """Another folder or a part of a name is another image."""
    assert matched([id], [name]) == {}


def test_the_closest_name_counts() -> None:
    """A longer path before a shorter, the exact name before other letters and endings."""
    assert matched(["a.jpg"], ["train/a.jpg", "val/a.jpg"]) == {"a.jpg": "val/a.jpg"}
    assert matched(["x/a.jpg", "y/a.jpg"], ["a.jpg", "y/a.jpg"]) == {"x/a.jpg": "a.jpg", "y/a.jpg": "y/a.jpg"}
    assert matched(["a.jpg", "A.jpg"], ["A.jpg", "a.jpg"]) == {"a.jpg": "a.jpg", "A.jpg": "A.jpg"}
    assert matched(["a.jpg", "a.png"], ["a.png", "a.JPEG"]) == {"a.png": "a.png", "a.jpg": "a.JPEG"}


def test_two_meanings_are_refused() -> None:
    """A name of two images, and an image of two names."""
    with pytest.raises(DatasetError, match=r"l\.txt names 'a\.jpg', which fits 'x/a\.jpg' and 'y/a\.jpg'"):
        matched(["x/a.jpg", "y/a.jpg"], ["a.jpg"])
    with pytest.raises(
        DatasetError, match=r"l\.txt has 2 names that fit the image 'a\.jpg': 'p/a\.jpg', 'q/a\.jpg'"
    ):
        matched(["a.jpg"], ["p/a.jpg", "q/a.jpg"])


@given(
    st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3)), min_size=1),
    st.data(),
)
def test_whole_paths_always_find_their_images(paths: set[tuple[str, str, int]], data: st.DataObject) -> None:
    """Whatever the order, and whatever other names there are."""
    ids = [f"{top}/{inner}/{n}.jpg" for top, inner, n in paths]
    named = data.draw(st.lists(st.sampled_from(ids), unique=True))
    others = [f"{id}.x" for id in ids]
    assert matched(ids, data.draw(st.permutations([*named, *others]))) == {id: id for id in named}


def test_without_a_folder_above() -> None:
    """Folders that contradict each other are two images; one row is not two images'."""
    names = ["n01443537/1.JPEG", "other/2.JPEG"]
    ids = ["n01440764/1.JPEG", "n01443537/1.JPEG", "n01443537/2.JPEG"]
    assert match_names(ids, names, "f.csv") == {"n01443537/1.JPEG": "n01443537/1.JPEG"}
    assert match_names(["1.JPEG"], ["x/1.jpg"], "f.csv") == {"1.JPEG": "x/1.jpg"}
    with pytest.raises(DatasetError, match=r"f\.csv names '1', which fits 'a/1\.png' and 'b/1\.png'"):
        match_names(["a/1.png", "b/1.png"], ["1"], "f.csv")
