"""Webdataset shards: read in place, whole or not at all, their numbers by their names."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.imagenet.classes import names, wnids
from tests.dataset.images import class_tree, encoded, jpeg, picture


def shard(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A tar of these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def samples(first: int, n: int, label: Any = str, ending: str = "cls") -> list[tuple[str, bytes]]:
    """``n`` samples as CLIP_benchmark writes them: s0000003.jpg, s0000003.cls."""
    return [
        member
        for i in range(first, first + n)
        for member in ((f"s{i:07d}.jpg", jpeg(i)), (f"s{i:07d}.{ending}", str(label(i)).encode()))
    ]


def benchmark(root: Path, classnames: list[str] | None = None, shards: int = 3, per_shard: int = 2) -> Path:
    """The layout of CLIP_benchmark; label ``i`` for image ``i``."""
    for number in range(shards):
        shard(root / "test" / f"{number}.tar", samples(number * per_shard, per_shard))
    (root / "test" / "nshards.txt").write_text(str(shards))
    if classnames is not None:
        (root / "classnames.txt").write_text("\n".join(classnames) + "\n")
    (root / "zeroshot_classification_templates.txt").write_text("a photo of {c}\n")
    return root


def test_the_layout_of_clip_benchmark(tmp_path: Path) -> None:
    """Keys, images and labels as ``datasets`` itself reads the same tars."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    found = load_dataset(benchmark(tmp_path / "wds", list(names()), shards=12))
    files = [str(tmp_path / "wds" / "test" / f"{i}.tar") for i in range(12)]
    rows = datasets.load_dataset("webdataset", data_files={"test": files}, cache_dir=str(tmp_path / "cache"))
    rows = rows["test"].cast_column("jpg", datasets.Image(decode=False))
    assert [(e.id, e.image, e.labels) for e in found] == [
        (row["__key__"], row["jpg"]["bytes"], (int(row["cls"]),)) for row in rows
    ]
    assert (found.name, found.source, found.split, len(found)) == ("wds", "folder", "test", 24)
    assert load_dataset(tmp_path / "wds" / "test").fingerprint() == found.fingerprint()
    assert list(pickle.loads(pickle.dumps(found))) == list(found)


def test_numbers_without_names_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They may be a subset's own; wnids are what they are."""
    shard(tmp_path / "wnids" / "0.tar", samples(0, 12, lambda i: wnids()[i]))
    assert load_dataset(tmp_path / "wnids").labels == tuple((i,) for i in range(12))
    load_dataset(benchmark(tmp_path / "named", [wnids()[i + 5] for i in range(12)], shards=6))
    assert not caplog.text
    load_dataset(benchmark(tmp_path / "bare", shards=6))
    assert "bare (test) has no classnames.txt, and the labels 0 to 11 and no others" in caplog.text


def test_class_names_say_what_the_numbers_mean(tmp_path: Path) -> None:
    """ImageNet-A's 200 classes are numbered from 0; here six of them."""
    root = benchmark(tmp_path, ["goldfish", "tench", "banana", "n01484850", "zebra", "church"])
    assert load_dataset(root).labels == ((1,), (0,), (954,), (2,), (340,), (497,))
    (root / "classnames.txt").write_text("goldfish\ntench\n")
    with pytest.raises(
        DatasetError, match=r"'s0000002' in test/1\.tar has the label 2, and the data set names no"
    ):
        load_dataset(root)
    (root / "classnames.txt").write_text("cat\ndog\n")
    with pytest.raises(
        DatasetError, match=r"classnames\.txt has 2 of 2 class names .* not understood: 'cat', 'dog'"
    ):
        load_dataset(root)


@pytest.mark.parametrize(
    ("label", "ending"),
    [
        (lambda i: wnids()[i], "cls"),
        (lambda i: f"{i}\n", "CLS"),
        (lambda i: json.dumps({"label": i, "width": 3}), "json"),
        (lambda i: json.dumps({"label": None, "wnid": wnids()[i]}), "json"),
        (lambda i: json.dumps({"labels": [i]}), "json"),
        (lambda i: json.dumps({"cls": names()[i]}), "json"),
    ],
)
def test_labels_in_every_form(tmp_path: Path, label: Any, ending: str) -> None:
    """Numbers and wnids in .cls, anything in .json."""
    shard(tmp_path / "0.tar", samples(0, 3, label, ending))
    assert load_dataset(tmp_path).labels == ((0,), (1,), (2,))


def test_any_kind_of_image_and_folders_in_a_tar(tmp_path: Path) -> None:
    """The key is the path up to the first dot; other members, and hidden ones, are not read."""
    members = [
        ("a/x.PNG", encoded(picture())),
        ("a/x.cls", b"3"),
        ("a/x.txt", b"a caption"),
        ("b/x.seg.png", b"no image of it"),
        ("b/x.webp", encoded(picture(), "WEBP")),
        ("b/x.cls", b"4"),
        ("a/._x.cls", b"\0"),
        (".DS_Store", b"\0"),
    ]
    shard(tmp_path / "all.tar", members)
    found = load_dataset(tmp_path)
    assert (found.ids, found.labels, found.split) == (("a/x", "b/x"), ((3,), (4,)), None)


def test_keys_that_every_shard_has(tmp_path: Path) -> None:
    """Then the shard is part of the id."""
    for number in range(2):
        shard(tmp_path / f"val-{number:02d}.tar", samples(0, 2))
    assert load_dataset(tmp_path).ids == tuple(f"val-0{n}/s000000{i}" for n in (0, 1) for i in (0, 1))


def test_splits_are_words_in_the_paths(tmp_path: Path) -> None:
    """``train`` and ``validation`` in one folder, or a folder for each."""
    for name in ("imagenet1k-train-0000", "imagenet1k-train-0001", "imagenet1k-validation-00"):
        shard(tmp_path / f"{name}.tar", samples(0, 1))
    assert load_dataset(tmp_path).split == "validation"
    assert len(load_dataset(tmp_path, split="train")) == 2
    with pytest.raises(UsageError, match="has no split 'test': expected one of train, validation"):
        load_dataset(tmp_path, split="test")
    shard(tmp_path / "other-validation-00.tar", samples(0, 1))
    with pytest.raises(
        DatasetError, match="holds several sets of shards .*imagenet1k-validation-00.tar, other-val"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("there", "nshards", "message"),
    [
        ([0, 2], None, r"1 of 3 files is missing, 1\.tar"),
        ([1, 2], None, r"1 of 3 files is missing, 0\.tar.*write their number to nshards\.txt"),
        ([0, 1], "4", r"2 of 4 files are missing, 2\.tar, 3\.tar"),
        ([0, 1], "1", "has 2 shards, and nshards.txt says 1: which belong to it"),
        ([0, 1], "many", "nshards.txt says 'many', expected the number of shards"),
    ],
)
def test_a_missing_shard_is_named(
    tmp_path: Path, there: list[int], nshards: str | None, message: str
) -> None:
    """By its number, or by the number that the publisher states."""
    for number in there:
        shard(tmp_path / f"{number}.tar", samples(number, 1))
    if nshards is not None:
        (tmp_path / "nshards.txt").write_text(nshards)
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_shards_that_are_numbered_otherwise(tmp_path: Path) -> None:
    """From 1, where the publisher's number says that these are all; ``-of-`` as everywhere."""
    for number in (1, 2):
        shard(tmp_path / "a" / f"{number}.tar", samples(number, 1))
    (tmp_path / "a" / "nshards.txt").write_text("2\n")
    assert len(load_dataset(tmp_path / "a")) == 2
    shard(tmp_path / "b" / "val-00000-of-00002.tar", samples(0, 1))
    with pytest.raises(DatasetError, match=r"val-00001-of-00002\.tar\. Complete"):
        load_dataset(tmp_path / "b")
    shard(tmp_path / "b" / "val-00001-of-00002.tar", samples(1, 1))
    assert load_dataset(tmp_path / "b").labels == ((0,), (1,))
    shard(tmp_path / "a" / "02.tar", samples(3, 1))
    with pytest.raises(DatasetError, match="has a shard of one number twice: "):
        load_dataset(tmp_path / "a")


@pytest.mark.parametrize("size", [300, 512, 700, 1024, 1536, 2048, 4096])
def test_an_interrupted_download_is_refused_wherever_it_ended(tmp_path: Path, size: int) -> None:
    """In a header, in an image, between two members, before the end mark."""
    path = shard(tmp_path / "0.tar", samples(0, 2))
    with tarfile.open(path) as tar:
        end = max(member.offset_data + -(-member.size // 512) * 512 for member in tar)
    for length in {min(size, end), end}:
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(DatasetError, match=r"0\.tar cannot be read: .*download it again"):
            load_dataset(tmp_path)


def test_joined_and_compressed_tars_are_refused(tmp_path: Path) -> None:
    """What stands behind the end mark would be left out; in a compressed tar nothing has a place."""
    one, two = (shard(tmp_path / "x" / f"{i}.tar", samples(i, 1)).read_bytes() for i in (0, 1))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.tar").write_bytes(one + two)
    with pytest.raises(DatasetError, match=r"0\.tar goes on after its end mark"):
        load_dataset(tmp_path / "a")
    (tmp_path / "a" / "0.tar").rename(tmp_path / "a" / "0.tar.gz")
    with pytest.raises(DatasetError, match=r"holds the compressed tar 0\.tar\.gz: .*unpack it"):
        load_dataset(tmp_path / "a")
    (tmp_path / "a" / "0.tar.gz").unlink()
    (tmp_path / "a" / "0.tar").write_bytes(gzip.compress(one))
    with pytest.raises(DatasetError, match=r"0\.tar cannot be read"):
        load_dataset(tmp_path / "a")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.jpg", jpeg())], r"'a' in 0\.tar has no label: got jpg, expected \.cls, or a \.json"),
        ([("a.jpg", jpeg()), ("a.json", b'{"caption": "x"}')], "'a' in 0.tar has no label: got jpg, json"),
        ([("a.jpg", jpeg()), ("a.json", b"{")], "'a' in 0.tar: its .json is not JSON"),
        ([("a.cls", b"1")], r"'a' in 0\.tar has 0 images: got cls, expected one"),
        ([("a.jpg", jpeg()), ("a.png", jpeg()), ("a.cls", b"1")], "has 2 images: got jpg, png, cls"),
        ([("a.jpg", jpeg()), ("a.cls", b"1000")], "'a' in 0.tar has the label 1000"),
        ([("a.jpg", jpeg()), ("a.cls", b"\xff")], "'a' in 0.tar cannot be read: .*utf-8"),
        ([("a.jpg", jpeg()), ("a.cls", b"1" * (2**20 + 1))], "1,048,577 bytes of text, expected at most"),
        ([("a.jpg", jpeg()), ("a.cls", b"1"), ("a.jpg", jpeg(1))], r"0\.tar holds 'a\.jpg' twice"),
        ([], r"is empty: got no sample in 1 shards"),
    ],
)
def test_samples_that_cannot_be_scored_are_named(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    """None is left out."""
    shard(tmp_path / "0.tar", members)
    with pytest.raises(DatasetError, match=message):
        load_dataset(tmp_path)


def test_links_in_a_tar_lead_nowhere(tmp_path: Path) -> None:
    """A link out of the tar is no image of it."""
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        info = tarfile.TarInfo("a.cls")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"1"))
    with pytest.raises(DatasetError, match=r"'a' in 0\.tar has 0 images: got cls"):
        load_dataset(tmp_path)


def test_images_beside_a_tar_are_the_data_set(tmp_path: Path) -> None:
    """The tar is what they were unpacked from."""
    class_tree(tmp_path)
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(b"")
    assert len(load_dataset(tmp_path)) == 6


def test_tables_beside_shards_are_no_data_set(tmp_path: Path) -> None:
    """img2dataset writes one for each shard."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shard(tmp_path / "00000.tar", samples(0, 2))
    pq.write_table(pa.table({"key": ["s0000000", "s0000001"]}), tmp_path / "00000.parquet")
    assert load_dataset(tmp_path).labels == ((0,), (1,))


def test_a_shard_that_has_changed(tmp_path: Path) -> None:
    """Another identity; and what has become shorter since is an image that cannot be read."""
    path = shard(tmp_path / "0.tar", samples(0, 2))
    found = load_dataset(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        ImageError, match=r"image 's0000001' of .* cannot be read: OSError: 0\.tar has become"
    ):
        found[1]
    shard(path, samples(5, 2, label=lambda i: i - 5))
    assert load_dataset(tmp_path).identity() != found.identity()
