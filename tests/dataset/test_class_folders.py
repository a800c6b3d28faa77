"""Class folders: where they may stand, and how they may be named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.imagenet.classes import wnids
from tests.dataset.images import jpeg

W = wnids()
VAL = "ILSVRC2012_val_00000001.JPEG"


def tree(root: Path, *ids: str) -> Path:
    """A folder with an image under each of ``ids``."""
    for id in ids:
        path = root / id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    return root


@pytest.mark.parametrize(
    ("ids", "named", "give"),
    [
        ((f"train/{W[0]}/{W[0]}_1.JPEG", f"val/{W[0]}/{VAL}"), ("train/", "val/"), "val"),
        ((f"train/{W[0]}/{W[0]}_1.JPEG", f"val/{W[0]}/{W[0]}_2.JPEG"), ("train/", "val/"), "val"),
        (
            ("train/0/a.JPEG", "train/1/b.JPEG", "validation/0/c.JPEG"),
            ("train/", "validation/"),
            "validation",
        ),
        ((f"train/{W[0]}/a.JPEG", f"val/{VAL}"), ("train/", "val/"), "val with a label file"),
        (
            (f"Data/CLS-LOC/train/{W[0]}/a.JPEG", f"Data/CLS-LOC/val/{VAL}", "Data/CLS-LOC/test/t.JPEG"),
            ("Data/CLS-LOC/train/", "Data/CLS-LOC/val/", "Data/CLS-LOC/test/"),
            "Data/CLS-LOC/val with a label file",
        ),
        (
            (f"train/{W[0]}/images/a.JPEG", "val/images/val_0.JPEG", "test/images/test_0.JPEG"),
            ("train/", "val/images/", "test/images/"),
            "val/images with a label file",
        ),
        ((f"{W[0]}/a.JPEG", f"val/{W[0]}/b.JPEG"), ("the folder itself", "val/"), "val"),
        ((f"fog/1/{W[0]}/a.JPEG", f"fog/2/{W[0]}/a.JPEG", f"blur/1/{W[0]}/a.JPEG"), ("fog/1/", "fog/2/"), ""),
        ((f"train/{W[0]}_1.JPEG", f"val/{W[0]}_2.JPEG"), ("train/", "val/"), ""),
        ((f"train/{W[0]}_1.JPEG", f"val/{VAL}"), ("train/", "val/"), ""),
    ],
)
def test_several_sets_are_never_mixed(
    tmp_path: Path, ids: tuple[str, ...], named: tuple[str, ...], give: str
) -> None:
    """Training and validation images, or corruptions, are named, and what to give instead."""
    with pytest.raises(DatasetError, match="holds several sets of images: ") as caught:
        load_dataset(tree(tmp_path, *ids))
    message = str(caught.value)
    assert all(f"in {name}" in message or f"{name} (" in message for name in named)
    assert not give or f"e.g. {tmp_path}/{give}" in message


def test_labels_for_one_split_choose_it(tmp_path: Path) -> None:
    """A label file says by its names which images are meant; the others are counted."""
    root = tree(tmp_path, f"train/{W[0]}/a.JPEG", f"val/{VAL}")
    (root / "val.txt").write_text(f"{VAL} 65\n")
    benchmark = load_dataset(root)
    assert (benchmark.ids, benchmark.labels) == ((f"val/{VAL}",), ((65,),))
    assert benchmark.counts == {"images_without_label": 1}


@pytest.mark.parametrize(
    "ids",
    [
        (f"{W[0]}/a.JPEG", f"{W[0]}/copies/a.JPEG"),
        (f"{W[0]}/train/a.JPEG", f"{W[0]}/val/b.JPEG"),
        (f"{W[0]}/images/a.JPEG", f"{W[1]}/b.JPEG"),
    ],
)
def test_images_at_different_depths_are_refused(tmp_path: Path, ids: tuple[str, ...]) -> None:
    """Copies or another split inside of class folders."""
    with pytest.raises(
        DatasetError, match="images at different places in its class folders: 1 such as"
    ) as caught:
        load_dataset(tree(tmp_path, *ids))
    assert all(id in str(caught.value) for id in ids)


def test_images_may_lie_in_one_folder_of_each_class(tmp_path: Path) -> None:
    """As in Tiny ImageNet; its lists of boxes are no images, which is counted."""
    root = tree(tmp_path, f"{W[0]}/images/a.JPEG", f"{W[7]}/images/a.JPEG")
    (root / W[0] / f"{W[0]}_boxes.txt").write_text("a.JPEG 1 2 3 4")
    benchmark = load_dataset(root)
    assert benchmark.labels == ((0,), (7,))
    assert benchmark.counts == {"not_images.txt": 1}


def test_folders_that_begin_with_a_wnid(tmp_path: Path) -> None:
    """n01440764-tench and its like, in any letters."""
    root = tree(
        tmp_path,
        f"{W[0]}-tench/a.JPEG",
        f"{W[1]}_goldfish/b.JPEG",
        f"{W[2].upper()}/c.JPEG",
        "n014407641/d.JPEG",
    )
    benchmark = load_dataset(root)
    assert sorted(benchmark.labels) == [(0,), (1,), (2,)]
    assert benchmark.counts == {"images_without_label": 1}


@pytest.mark.parametrize("numbers", [(5, 8, 1000), (0, 5, 1000), (5, 12, 15, 1000)])
def test_a_folder_1000_is_refused(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    """Both meanings are said: counted from 1, and the development kit's ids."""
    with pytest.raises(
        DatasetError,
        match="class folder 1000, .* in the order of the wnids, subtract 1.* id 490 and index 65",
    ):
        load_dataset(tree(tmp_path, *(f"{n}/a.JPEG" for n in numbers)))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("3/a.JPEG", "4000/b.JPEG"), "has the class folder 4000, but class indices go from 0 to 999"),
        (("3/a.JPEG", f"{W[0]}/b.JPEG"), rf"class folders named by wnid \({W[0]}\) and by number \(3\)"),
        (
            (f"1/{W[0]}_a.JPEG", f"2/{W[1]}_b.JPEG"),
            f"2 of 2 images are named by another class, such as 1/{W[0]}_a",
        ),
    ],
)
def test_numbers_that_are_no_indices(tmp_path: Path, ids: tuple[str, ...], message: str) -> None:
    """Beyond 999, beside wnids, or against the wnids in the files' own names."""
    with pytest.raises(DatasetError, match=message):
        load_dataset(tree(tmp_path, *ids))


def test_a_label_file_against_the_names(tmp_path: Path) -> None:
    """Labels from 1 are found out where the files are named by wnid; one that was relabelled is not."""
    names = [f"{W[i]}_x.JPEG" for i in range(5)]
    root = tree(tmp_path, *names)
    (root / "one.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(names, start=1)))
    with pytest.raises(
        DatasetError, match=r"labels in one\.txt contradict the files' own names: 5 of 5 images"
    ):
        load_dataset(root, labels="one.txt")
    (root / "right.txt").write_text("".join(f"{name} {max(i, 1)}\n" for i, name in enumerate(names)))
    assert load_dataset(root, labels="right.txt").labels == ((1,), (1,), (2,), (3,), (4,))


def test_folders_without_a_gap_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They may be the classes 0 or 1 to k, or a subset's own numbers."""
    with caplog.at_level(logging.WARNING):
        load_dataset(tree(tmp_path / "gap", *(f"{n}/a.JPEG" for n in range(0, 40, 3))))
        assert not caplog.records
        load_dataset(tree(tmp_path / "one", *(f"{n}/a.JPEG" for n in range(1, 13))))
        load_dataset(tree(tmp_path / "zero", *(f"{n}/a.JPEG" for n in range(12))))
    assert "one has the folders 1 to 12 and no others" in caplog.text
    assert "zero has the folders 0 to 11 and no others" in caplog.text


@pytest.mark.parametrize("folders", [("1", "2"), (W[0], W[5])])
def test_one_validation_image_in_two_class_folders(tmp_path: Path, folders: tuple[str, str]) -> None:
    """The folders are severities of a corruption, or the image was put into two classes."""
    with pytest.raises(
        DatasetError, match=r"one validation image in two class folders, .*val_00000001\.JPEG and "
    ):
        load_dataset(tree(tmp_path, *(f"{folder}/{VAL}" for folder in folders)))


def test_a_label_file_beside_class_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not read, which is said."""
    root = tree(tmp_path, f"{W[3]}/a.JPEG")
    (root / "labels.csv").write_text("file,label\na.JPEG,5\n")
    assert load_dataset(root).labels == ((3,),)
    assert "labels.csv is not read: the class folders say the labels" in caplog.text
