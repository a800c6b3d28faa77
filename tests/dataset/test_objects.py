"""Data that a program holds scores as the same data in a folder; what is unclear is refused."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import Resize, ToTensor

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.objects import encoded
from tests.dataset.images import WNIDS, class_tree, jpeg, picture, published, rows
from tests.dataset.images import encoded as file_of

datasets = pytest.importorskip("datasets")


@pytest.mark.parametrize("folders", [WNIDS, ("0", "2", "10", "100"), ("goldfish", "tench")])
def test_an_image_folder_is_its_folder(tmp_path: Path, folders: tuple[str, ...]) -> None:
    """torchvision sorts class folders as text and numbers them from 0; their names decide."""
    root = class_tree(tmp_path / "val", folders)
    found = load_dataset(ImageFolder(str(root)))
    assert (found.name, found.source) == ("val", "folder")
    assert [e.image for e in found] == [(root / id).read_bytes() for id in found.ids]
    meant = {"goldfish": 1, "tench": 0, **{wnid: i for i, wnid in enumerate(WNIDS)}}
    assert [labels for (labels,) in zip(found.labels, strict=True)] == [
        (meant[name] if name in meant else int(name),) for name in (id.split("/")[0] for id in found.ids)
    ]
    if folders[0] != "goldfish":
        assert found.fingerprint() == load_dataset(root).fingerprint()


def test_parts_and_sums_of_image_folders(tmp_path: Path) -> None:
    """``Subset``, of a subset, and ``ConcatDataset``: still the files, still by name."""
    one = ImageFolder(str(class_tree(tmp_path / "one", WNIDS[1:])))
    two = ImageFolder(str(class_tree(tmp_path / "two", ("7", "10"), per_class=1)))
    part = load_dataset(Subset(Subset(one, [3, 2, 0]), [0, 2]))
    assert (part.ids, part.labels) == ((f"{WNIDS[2]}/1.JPEG", f"{WNIDS[1]}/0.JPEG"), ((2,), (1,)))
    both = load_dataset(Subset(ConcatDataset([one, two]), [5, 4, 0]))
    assert (both.ids, both.labels) == (("7/0.JPEG", "10/0.JPEG", f"{WNIDS[1]}/0.JPEG"), ((7,), (10,), (1,)))
    assert (part.name, both.name) == ("one", "two+one")
    with pytest.raises(DatasetError, match=r"has the id 'n01443537/0.JPEG' twice"):
        load_dataset(Subset(one, [0, 0]))


def test_a_changed_file_is_another_identity(tmp_path: Path) -> None:
    """As for a folder."""
    root = class_tree(tmp_path)
    before = load_dataset(ImageFolder(str(root))).identity()
    assert load_dataset(ImageFolder(str(root))).identity() == before
    (root / WNIDS[0] / "0.JPEG").write_bytes(jpeg(77))
    assert load_dataset(ImageFolder(str(root))).identity() != before
    folder = ImageFolder(str(root))
    (root / WNIDS[0] / "0.JPEG").unlink()
    with pytest.raises(DatasetError, match=r"0\.JPEG cannot be read: No such file"):
        load_dataset(folder)


def test_a_transform_of_the_folders_own(tmp_path: Path) -> None:
    """What gives an image is applied; what gives a tensor, or other numbers, is refused with what to do."""
    root = str(class_tree(tmp_path))
    small = load_dataset(ImageFolder(root, transform=Resize((8, 8))))
    assert [decode(e.image).size for e in small] == [(8, 8)] * 6
    assert small.labels == ((0,), (0,), (1,), (1,), (2,), (2,))
    assert small.ids == ("0", "1", "2", "3", "4", "5")
    with pytest.raises(
        DatasetError, match=r"item 0 of the ImageFolder has a Tensor .*dataset\.transform = None"
    ):
        load_dataset(ImageFolder(root, transform=ToTensor()))
    with pytest.raises(UsageError, match="ImageFolder has a target_transform, so its class names"):
        load_dataset(ImageFolder(root, target_transform=lambda i: i + 1))


def test_a_loader_or_getitem_of_ones_own_is_used(tmp_path: Path) -> None:
    """The files are read only where nothing else stands before them."""
    root = str(class_tree(tmp_path))
    grey = ImageFolder(root, loader=lambda path: Image.open(path).convert("L"))
    assert decode(load_dataset(grey)[0].image).mode == "L"

    class Mirrored(ImageFolder):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            image, label = super().__getitem__(index)
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), label

    mirrored = load_dataset(Mirrored(root))
    plain = load_dataset(root)
    for left, right in zip(mirrored, plain, strict=True):
        assert left.labels == right.labels
        assert np.array_equal(np.asarray(decode(left.image))[:, ::-1], np.asarray(decode(right.image)))


def test_timms_image_data_set(tmp_path: Path) -> None:
    """It gives the next image for one that cannot be read: the files are read instead."""
    from timm.data import ImageDataset

    root = class_tree(tmp_path / "val", ("0", "2", "10"))
    found = load_dataset(ImageDataset(str(root)))
    assert found.fingerprint() == load_dataset(root).fingerprint()


class Wrapped(Dataset):
    """A data set around another, as people write them."""

    def __init__(self, dataset: Any) -> None:
        self.base = dataset

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, index: int) -> Any:
        return self.base[index]


def test_names_are_found_through_a_wrapper(tmp_path: Path) -> None:
    """Else the 10th class of ImageNet-V2's folders would be taken for class 2."""
    folder = ImageFolder(str(class_tree(tmp_path, ("0", "1", "10"), per_class=1)))
    assert load_dataset(Wrapped(folder)).labels == ((0,), (1,), (10,))
    assert load_dataset(Wrapped(Subset(folder, [2]))).labels == ((10,),)
    assert load_dataset(Wrapped(Wrapped(folder))).labels == ((0,), (1,), (10,))


def test_numbers_that_may_be_a_subsets_own_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing says what they number."""
    load_dataset([(picture(i), i + 5) for i in range(12)])
    assert not caplog.text
    load_dataset([(picture(i), i) for i in range(12)])
    assert "the list has the labels 0 to 11 and no others: they are taken for class indices" in caplog.text


def test_folders_of_digits_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """MNIST's folders are named 0 to 9, as those of ImageNet's first ten classes may be."""
    load_dataset(ImageFolder(str(class_tree(tmp_path / "few", ("3", "4", "17"), per_class=1))))
    assert not caplog.text
    load_dataset(ImageFolder(str(class_tree(tmp_path / "ten", tuple(map(str, range(10))), per_class=1))))
    assert "ten has the class names 0 to 9 and no others: they are taken for class indices" in caplog.text


class Named(list):
    """A list of items with the attributes that data sets of torchvision have."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        super().__init__(items)
        self.__dict__.update(attributes)


def test_imagenet_of_torchvision_is_read_by_wnid() -> None:
    """Its ``classes`` are tuples of names, its ``class_to_idx`` has each of them."""
    imagenet = Named(
        [(picture(), 0), (picture(1), 1)],
        wnid_to_idx={"n01443537": 0, "n01440764": 1},
        classes=[("goldfish", "Carassius auratus"), ("tench", "Tinca tinca")],
        class_to_idx={"goldfish": 0, "Carassius auratus": 0, "tench": 1, "Tinca tinca": 1},
    )
    assert load_dataset(imagenet).labels == ((1,), (0,))


def test_numbers_of_a_class_table() -> None:
    """They need not go from 0; a number without a name is none."""
    table = {"n01440764": 0, "English springer": 217}
    some = Named([(picture(), 217), (picture(1), 0)], class_to_idx=table)
    assert load_dataset(some).labels == ((217,), (0,))
    with pytest.raises(
        DatasetError, match="item 1 of the Named has the label 3, and the data set names no such"
    ):
        load_dataset(Named([(picture(), 217), (picture(1), 3)], class_to_idx=table))
    cifar = Named([(picture(), 0)], classes=["airplane", "automobile", "bird"])
    with pytest.raises(DatasetError, match="Named has . of 3 class names that are not understood: 'a"):
        load_dataset(cifar)


def test_sequences_of_images_and_labels(tmp_path: Path) -> None:
    """Images and labels in every form that is taken."""
    (tmp_path / "a.jpg").write_bytes(jpeg(3))
    items = [
        (picture(0), 5),
        (np.asarray(picture(1)), np.int64(6)),
        (jpeg(2), [7, 900]),
        [tmp_path / "a.jpg", "n01440764"],
        (picture(4), torch.tensor(8)),
        (picture(5), np.eye(1000)[42]),
    ]
    found = load_dataset(items)
    assert found.labels == ((5,), (6,), (7, 900), (0,), (8,), (42,))
    assert found.ids == tuple("012345")
    assert (found.name, found.source) == ("list", "object")
    assert [e.image for e in found][2:4] == [jpeg(2), jpeg(3)]
    for i in (0, 1, 4, 5):
        assert np.array_equal(np.asarray(decode(found[i].image)), np.asarray(picture(i)))
    assert load_dataset(tuple(items)).fingerprint() == found.fingerprint()
    assert load_dataset(items[:5]).identity() != load_dataset([*items[:4], (picture(9), 8)]).identity()


def test_nothing_is_kept_and_many_threads_may_read() -> None:
    """Each reading asks the data set again, one item at a time."""
    asked: list[int] = []
    inside = [0, 0]  # now, and at most

    class Lazy(Dataset):
        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: int) -> tuple[Any, int]:
            inside[0] += 1
            inside[1] = max(inside)
            asked.append(index)
            item = picture(index), index
            inside[0] -= 1
            return item

    found = load_dataset(Lazy())
    assert asked == list(range(30))
    with ThreadPoolExecutor(8) as pool:
        examples = list(pool.map(lambda task: task(), found.tasks()))
    assert [e.labels for e in examples] == [(i,) for i in range(30)]
    assert len(asked) == 60
    assert inside[1] == 1


def test_a_random_data_set_is_refused() -> None:
    """Its score would be another each time."""

    class Random(list):
        def __getitem__(self, index: Any) -> tuple[Any, int]:
            return picture(random.randrange(10**6)), 1

    found = load_dataset(Random([0, 0]))
    with pytest.raises(DatasetError, match="item 1 of the Random gives another image at each reading"):
        found[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "a NoneType cannot be scored: expected a data set's name, a folder"),
        (3, "a int cannot be scored"),
        ({"a.jpg": 1}, "a dict cannot be scored: expected"),
        (iter([]), "a list_iterator cannot be scored"),
        (
            DataLoader([(1, 2)]),
            r"a DataLoader gives batches of tensors: give its data set \(loader\.dataset\)",
        ),
        (published().to_iterable_dataset(), "a IterableDataset cannot be scored"),
    ],
)
def test_what_is_not_taken_says_what_is(data: object, message: str) -> None:
    """Never an AttributeError from somewhere inside."""
    with pytest.raises(UsageError, match=f"{message}.*a torchvision ImageFolder|{message}"):
        load_dataset(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the list is empty: expected at least one"),
        ([(picture(), 1), picture()], r"item 1 of the list is a Image, no \(image, label\)"),
        ([(picture(), 1, 2)], "item 0 of the list is a tuple, no"),
        ([(picture(), 1), (picture(), 1000)], "item 1 of the list has the label 1000"),
        ([(picture(), -1)], "item 0 of the list has no labels"),
        ([("no/such.jpg", 1)], r"item 0 of the list cannot be read: FileNotFoundError"),
        (TensorDataset(torch.zeros(2, 3, 4, 4), torch.zeros(2)), "item 0 of the TensorDataset has a Tensor"),
    ],
)
def test_items_that_are_none_are_named(data: object, message: str) -> None:
    """Before anything is scored."""
    with pytest.raises(DatasetError, match=message):
        load_dataset(data)


def test_a_dataset_of_the_hugging_face_library() -> None:
    """As its rows on disk: raw bytes, labels by name, whatever format is set."""
    found = load_dataset(published().with_format("torch"))
    assert [e.image for e in found] == [jpeg(i) for i in range(6)]
    assert found.labels == ((0,), (1, 11), (2,), (3, 13), (4,), (5, 15))
    assert found.source == "object"
    assert load_dataset(published()).identity() == load_dataset(published()).identity()
    assert load_dataset(published().select([4, 1])).labels == ((4,), (1, 11))
    changed = rows()
    changed["image"][0]["bytes"] = jpeg(99)
    assert load_dataset(published(changed)).identity() != found.identity()
    names = datasets.ClassLabel(names=sorted(map(str, range(1000))))
    assert load_dataset(published({"image": rows(1)["image"], "label": [2]}, label=names)).labels == ((10,),)


def test_images_that_datasets_itself_has_encoded() -> None:
    """PIL images in ``from_dict``."""
    data = datasets.Dataset.from_dict({"image": [picture(i) for i in range(3)], "label": [3, 4, 5]})
    found = load_dataset(data)
    assert found.labels == ((3,), (4,), (5,))
    assert np.array_equal(np.asarray(decode(found[1].image)), np.asarray(picture(1)))


def test_splits_of_a_dataset_dict() -> None:
    """As everywhere."""
    several = datasets.DatasetDict(train=published(rows(2)), validation=published(rows(3)))
    assert len(load_dataset(several)) == 3
    assert len(load_dataset(several, split="train")) == 2
    with pytest.raises(
        UsageError, match="the DatasetDict has no split 'x': expected one of train, validation"
    ):
        load_dataset(several, split="x")
    with pytest.raises(UsageError, match="split='x' does not go with a list"):
        load_dataset([(picture(), 1)], split="x")


def test_a_dataset_that_cannot_be_scored() -> None:
    """A transform of its own, or a column of numbers for images."""
    with pytest.raises(UsageError, match=r"the Dataset has a transform of its own \(set_transform\)"):
        load_dataset(published().with_transform(lambda batch: batch))
    with pytest.raises(DatasetError, match=r"has the column 'image' of Value\('int64'\): expected images"):
        load_dataset(datasets.Dataset.from_dict({"image": [1], "label": [1]}))
    with pytest.raises(UsageError, match="revision='v1' does not go with a Dataset"):
        load_dataset(published(), revision="v1")


@settings(deadline=None)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_no_pixel_changes(mode: str, width: int, height: int, seed: int) -> None:
    """In any mode, as it is and as RGB."""
    image = picture(seed, (width, height)).convert(mode)
    again = decode(encoded(image, "x"))
    assert again.mode in (mode, "L" if mode == "1" else mode)
    assert np.array_equal(np.asarray(again.convert("RGB")), np.asarray(image.convert("RGB")))
    if mode != "P":
        assert np.array_equal(np.asarray(again.convert(mode)), np.asarray(image))


def test_sixteen_bit_grey_is_what_its_file_is() -> None:
    """The policy of ``decode`` reduces it, not the encoding."""
    grey = Image.fromarray(
        (np.arange(70_000 // 100 * 100, dtype=np.uint32) % 65_536).astype(np.uint16).reshape(-1, 100)
    )
    assert np.array_equal(np.asarray(decode(encoded(grey, "x"))), np.asarray(grey) >> 8)


def test_rgb_is_the_same_file_under_every_library() -> None:
    """A header and the pixels: nothing is compressed, so no version of zlib moves the fingerprint."""
    image = picture(3, (5, 4))
    assert encoded(image, "x") == b"P6\n5 4\n255\n" + image.tobytes()
    assert encoded(image.convert("L"), "x") == b"P5\n5 4\n255\n" + image.convert("L").tobytes()


def test_arrays_bytes_and_paths(tmp_path: Path) -> None:
    """Arrays are pixels, bytes and paths are files as they are."""
    pixels = np.asarray(picture(1))
    assert encoded(pixels, "x") == encoded(picture(1), "x")
    assert encoded(pixels[..., 0], "x") == encoded(Image.fromarray(pixels[..., 0]), "x")
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    for same in (
        jpeg(1),
        bytearray(jpeg(1)),
        memoryview(jpeg(1)),
        tmp_path / "a.jpg",
        str(tmp_path / "a.jpg"),
    ):
        assert encoded(same, "x") == jpeg(1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            torch.zeros(3, 4, 4),
            r"item 0 has a Tensor of torch.float32 \(3, 4, 4\) for an image: .*transform = None",
        ),
        (np.zeros((4, 4, 3)), r"has a ndarray of float64 \(4, 4, 3\) for an image: expected"),
        (np.zeros((3, 4, 4), np.uint8), r"uint8 \(3, 4, 4\)"),
        (np.zeros(4, np.uint8), r"uint8 \(4,\)"),
        (None, "has a NoneType for an image"),
        (picture().convert("F"), "item 0 is of PIL mode F: expected one of L, RGB"),
    ],
)
def test_what_is_no_image(image: object, message: str) -> None:
    """Floats have no defined range, and channels come last."""
    with pytest.raises(DatasetError, match=message):
        encoded(image, "item 0")


def test_orientation_of_an_image_in_memory() -> None:
    """With ``exif`` it would have to be turned, and its file is not at hand."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(BytesIO(file_of(picture(), "JPEG", exif=exif)))
    assert decode(encoded(image, "x")).size == image.size
    with pytest.raises(UsageError, match="exif: x is a PIL image in memory: turn it"):
        encoded(image, "x", exif=True)
    assert encoded(picture(), "x", exif=True) == encoded(picture(), "x")
