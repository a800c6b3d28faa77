"""Folders of images, laid out as the ImageNet variants are."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.imagenet.classes import wnid_to_index, wnids
from tests.dataset.images import WNIDS, class_tree, jpeg


def link(folder: Path, files: Iterable[tuple[str, Path]]) -> Path:
    """A folder of links: (relative name, target)."""
    for name, target in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    return folder


def test_wnid_folders(tmp_path: Path) -> None:
    """Labels from the folders' names, ids are relative posix paths, bytes are untouched."""
    root = class_tree(tmp_path / "set", [*WNIDS, "n13133613"])
    benchmark = load_dataset(root)
    assert benchmark.ids[:3] == ("n01440764/0.JPEG", "n01440764/1.JPEG", "n01443537/0.JPEG")
    assert benchmark.labels == ((0,), (0,), (1,), (1,), (2,), (2,), (998,), (998,))
    assert benchmark.origins == ("",) * 8
    assert (benchmark.name, benchmark.source, benchmark.revision, benchmark.split) == (
        "set",
        "folder",
        None,
        None,
    )
    assert benchmark.counts == {}
    assert [example.image for example in benchmark][:2] == [jpeg(0), jpeg(1)]


def test_numbered_folders_sort_as_integers(tmp_path: Path) -> None:
    """ImageNet-V2 has folders 0 to 999: as strings 10 would come before 2."""
    root = class_tree(tmp_path, ["0", "10", "2", "999"], per_class=1)
    benchmark = load_dataset(root)
    assert benchmark.labels == ((0,), (2,), (10,), (999,))
    assert benchmark.ids == ("0/0.JPEG", "2/0.JPEG", "10/0.JPEG", "999/0.JPEG")


def test_real_sketches(shared: Path) -> None:
    """36 crops in wnid folders."""
    benchmark = load_dataset(shared / "data" / "sketch-crops")
    assert len(benchmark) == 36
    for id, labels in zip(benchmark.ids, benchmark.labels, strict=True):
        assert wnids()[labels[0]] == id.split("/")[0]


def test_v2_laid_out_with_links(shared: Path, tmp_path: Path) -> None:
    """Real images under numbered folders, by links, give the labels of their wnids."""
    samples = sorted((shared / "data" / "imagenet-samples").iterdir())[::50]
    index = wnid_to_index()
    root = link(tmp_path / "v2", ((f"{index[f.name[:9]]}/{f.name}", f) for f in samples))
    by_number, by_name = (
        load_dataset(root),
        load_dataset(link(tmp_path / "flat", ((f.name, f) for f in samples))),
    )
    assert by_number.labels == by_name.labels
    assert [e.image for e in by_number] == [e.image for e in by_name]


def test_files_named_by_wnid(shared: Path) -> None:
    """The 700 samples need no label file."""
    benchmark = load_dataset(shared / "data" / "imagenet-samples")
    assert len(benchmark) == 700
    assert benchmark.counts == {}
    assert benchmark.ids[0] == "n01440764_tench.JPEG"
    assert benchmark.labels[0] == (0,)


def test_validation_images_with_val_txt(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """867 images find their labels; the labels of the other images are counted."""
    data = shared / "data"
    with caplog.at_level(logging.WARNING):
        benchmark = load_dataset(data / "imagenet-val" / "images", labels=data / "labels" / "val.txt")
    assert len(benchmark) == 867
    assert benchmark.counts == {"labels_without_image": 50_000 - 867}
    assert "holds 867 labelled images; 49,133 labels have no image" in caplog.text
    truth = dict(line.split() for line in (data / "labels" / "val.txt").read_text().splitlines())
    assert all(
        labels == (int(truth[id]),) for id, labels in zip(benchmark.ids, benchmark.labels, strict=True)
    )


def test_real_labels_exclude_and_say_so(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """ImageNet-ReaL: images with an empty list are excluded and counted, never wrong."""
    data = shared / "data"
    with caplog.at_level(logging.WARNING):
        benchmark = load_dataset(data / "imagenet-val" / "images", labels=data / "labels" / "real.json")
    real = json.loads((data / "labels" / "real.json").read_text())
    images = [file.name for file in (data / "imagenet-val" / "images").iterdir()]
    empty = [name for name in images if not real[int(name[15:23]) - 1]]
    assert empty
    assert benchmark.counts["excluded"] == len(empty)
    assert len(benchmark) == 867 - len(empty)
    assert f"{len(empty)} images are excluded by an empty label list" in caplog.text
    assert all(
        set(labels) == set(real[int(id[15:23]) - 1])
        for id, labels in zip(benchmark.ids, benchmark.labels, strict=True)
    )


def test_one_label_file_serves_every_layout(shared: Path, tmp_path: Path) -> None:
    """Validation images sorted into wnid folders, with ReaL's labels: names count, not folders."""
    data = shared / "data"
    files = sorted((data / "imagenet-val-originals").iterdir())
    truth = dict(line.split() for line in (data / "labels" / "val.txt").read_text().splitlines())
    root = link(tmp_path / "val", ((f"{wnids()[int(truth[f.name])]}/{f.name}", f) for f in files))
    sorted_in, flat = load_dataset(root), load_dataset(root, labels=data / "labels" / "val.txt")
    assert dict(zip(sorted_in.ids, sorted_in.labels, strict=True)) == dict(
        zip(flat.ids, flat.labels, strict=True)
    )
    assert len(load_dataset(root, labels=data / "labels" / "real.json")) <= 20


def test_the_names_of_imagenet_a(shared: Path, tmp_path: Path) -> None:
    """7,500 released paths, with blanks, apostrophes and three spellings of the ending."""
    listing = (shared / "data" / "labels" / "imagenet_a_listing.txt").read_text().splitlines()
    for folder in {line.split("/")[0] for line in listing}:
        (tmp_path / folder).mkdir()
    for line in listing:
        (tmp_path / line).touch()
    benchmark = load_dataset(tmp_path)
    assert sorted(benchmark.ids) == sorted(listing)
    assert benchmark.counts == {}


@pytest.mark.parametrize("name", ["labels.txt", "labels.csv", "labels.json", "val.txt"])
def test_a_label_file_in_the_folder_is_found(tmp_path: Path, name: str) -> None:
    """By its name, next to the images; images below sub-folders are matched by their path."""
    link(tmp_path, [])
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jpg").write_bytes(jpeg(0))
    (tmp_path / "sub" / "b.PNG").write_bytes(jpeg(1))
    texts = {
        ".txt": "a.jpg 5\nsub/b.PNG n01440764\n",
        ".csv": "file,label\na.jpg,5\nsub/b.PNG,n01440764\n",
        ".json": '{"a": [5], "b": ["n01440764"]}',
    }
    (tmp_path / name).write_text(texts[Path(name).suffix])
    benchmark = load_dataset(tmp_path)
    assert dict(zip(benchmark.ids, benchmark.labels, strict=True)) == {"a.jpg": (5,), "sub/b.PNG": (0,)}


def test_images_without_a_label_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Stray images beside class folders, classes beyond the 1000, and names missing in the label file."""
    root = class_tree(tmp_path / "tree", [*WNIDS, "n99999999"])
    (root / "stray.jpg").write_bytes(jpeg())
    benchmark = load_dataset(root)
    assert len(benchmark) == 6
    assert benchmark.counts == {"images_without_label": 3}
    assert "tree holds 6 labelled images; 3 images have no label" in caplog.text
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (flat / name).write_bytes(jpeg())
    (flat / "labels.txt").write_text("a.jpg 1\nc.jpg 2\nd.jpg 2\n")
    assert load_dataset(flat).counts == {"images_without_label": 1, "labels_without_image": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, r"no image in .*: it is empty; accepted are \(a\) a built data set"),
        (lambda root: (root / "a.zip").touch(), r"no image in .*: it holds 1 \.zip; accepted are"),
        (lambda root: (root / "a.jpg").touch(), r"has no labels: it holds 1 \.jpg, but none is labelled"),
        (lambda root: class_tree(root / "val"), r"there are class folders in val/: give that folder"),
        (
            lambda root: class_tree(root / "1"),
            r"there are class folders in 1/: give that folder, .*1$",
        ),
        (
            lambda root: class_tree(root, ["cat", "dog"]),
            r"has no labels: it holds 4 \.jpeg in cat/, dog/",
        ),
        (lambda root: class_tree(root, ["n99999999"]), "has no labels"),
    ],
)
def test_other_folders_say_what_was_seen(tmp_path: Path, make: object, message: str) -> None:
    """The message says what the folder holds and what is accepted."""
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_ambiguous_labels_are_refused(tmp_path: Path) -> None:
    """Two label files, or one name for two images."""
    root = class_tree(tmp_path / "a", ["x", "y"], per_class=1)
    (root / "labels.txt").write_text("0.JPEG 3\n")
    with pytest.raises(DatasetError, match=r"names '0.JPEG', which fits 'x/0.JPEG' and 'y/0.JPEG'"):
        load_dataset(root)
    (root / "labels.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"has the label files labels.json and labels.txt: choose one"):
        load_dataset(root)


def test_labels_that_match_no_image(tmp_path: Path) -> None:
    """The label file is named."""
    root = class_tree(tmp_path, ["x"])
    (root / "labels.txt").write_text("other.jpg 3\n")
    with pytest.raises(DatasetError, match=r"has no labels: .* the names in labels.txt match none of them"):
        load_dataset(root)


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    """A broken link is an error of the folder, not a silent gap."""
    root = link(class_tree(tmp_path), [(f"{WNIDS[0]}/gone.jpg", tmp_path / "nowhere.jpg")])
    with pytest.raises(DatasetError, match=r"cannot be read: No such file or directory .*gone\.jpg"):
        load_dataset(root)


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    """A folder that links to its parent is walked once."""
    root = link(class_tree(tmp_path), [("again", tmp_path)])
    assert len(load_dataset(root)) == 6


def test_a_file_that_vanishes_is_an_image_error(tmp_path: Path) -> None:
    """The id is named, and the other images can still be read."""
    benchmark = load_dataset(class_tree(tmp_path))
    (tmp_path / WNIDS[0] / "1.JPEG").unlink()
    with pytest.raises(ImageError, match=r"image 'n01440764/1.JPEG' of .* cannot be read: No such file"):
        benchmark[1]
    assert benchmark[2].image == jpeg(100)


def test_an_undecodable_name_becomes_a_plain_id(tmp_path: Path) -> None:
    """Ids go into JSON and Parquet, so they hold no half characters; the file is still read."""
    root = class_tree(tmp_path, WNIDS[:1], per_class=1)
    try:
        (root / WNIDS[0] / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg(9))
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    benchmark = load_dataset(root)
    assert benchmark.ids[1] == "n01440764/caf\\udce9.jpg"
    assert benchmark[1].image == jpeg(9)


def test_a_split_of_an_image_folder_is_refused(tmp_path: Path) -> None:
    """Folders of images have no splits."""
    with pytest.raises(UsageError, match=r"split='val' does not go with .* \(a folder of images\)"):
        load_dataset(class_tree(tmp_path), split="val")
