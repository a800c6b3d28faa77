"""Which files are images, which are the system's, and what is there under nearly the same name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset import load_dataset
from imagenet_hard.dataset.files import did_you_mean, images_among, walk
from imagenet_hard.dataset.left_out import told
from tests.dataset.images import WNIDS, class_tree, encoded, jpeg, picture, png_header


def test_other_endings_are_decided_by_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is read is said, and so is what is not; nothing of either goes by in silence."""
    folder = class_tree(tmp_path / "set", per_class=1) / WNIDS[0]
    for name in ("a.jfif", "b.jpg.1", "c", "d.heic", "portrait by J. Smith"):
        (folder / name).write_bytes(jpeg(3))
    for name in ("e.heic", "f", "g.bin"):
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (folder / "h.txt").write_text("notes")
    (folder.parent / "README").write_text("beside the class folders")
    benchmark = load_dataset(tmp_path / "set")
    assert [id.rpartition("/")[2] for id in benchmark.ids if id.startswith(WNIDS[0])] == [
        "0.JPEG",
        "a.jfif",
        "b.jpg.1",
        "c",
        "d.heic",
        "portrait by J. Smith",
    ]
    assert benchmark[1].image == jpeg(3)
    assert benchmark.counts == {
        "not_images.heic": 1,
        "not_images": 1,
        "not_images.bin": 1,
        "not_images.txt": 1,
    }
    assert benchmark.info("f").left_out == benchmark.counts
    assert benchmark.take(1).info("f").left_out == benchmark.counts
    assert "5 files are images by their content (2 without an ending, 1 .jfif, 1 .1, 1 .heic)" in caplog.text
    assert "4 labelled files are no image that can be read (1 .heic, 1 without an ending" in caplog.text


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000"])
def test_every_format_that_is_decoded_is_known_by_content(tmp_path: Path, format: str) -> None:
    """And so is one that announces too many pixels: it is for the decoder to refuse it by name."""
    (tmp_path / "a").write_bytes(encoded(picture(), format))
    (tmp_path / "bomb").write_bytes(png_header(100_000, 100_000))
    images, others = images_among(walk(tmp_path))
    assert ([file.id for file in images], others) == (["a", "bomb"], [])


def test_a_set_of_other_endings_alone(tmp_path: Path) -> None:
    """Also in a flat folder with a label file, and by the wnids in names."""
    (tmp_path / f"{WNIDS[1]}_a.jfif").write_bytes(jpeg())
    (tmp_path / f"{WNIDS[2]}_b.heic").write_bytes(b"x")
    assert load_dataset(tmp_path).labels == ((1,),)
    assert load_dataset(tmp_path).counts == {"not_images.heic": 1}
    (tmp_path / "labels.txt").write_text(f"{WNIDS[1]}_a 1\n{WNIDS[2]}_b.heic 2\nc.jpg 3\n")
    assert load_dataset(tmp_path).counts == {"not_images.heic": 1, "labels_without_image": 1}


SYSTEM = (
    f"{WNIDS[0]}/@eaDir/0.JPEG/SYNOPHOTO_THUMB_S.jpg",
    f"{WNIDS[0]}/.AppleDouble/0.JPEG",
    f"{WNIDS[0]}/._0.JPEG",
    f"{WNIDS[0]}/.ipynb_checkpoints/0-checkpoint.JPEG",
    f"{WNIDS[0]}/thumbs/0.JPEG",
    f"{WNIDS[0]}/.@__thumb/0.JPEG",
    f"__MACOSX/{WNIDS[0]}/0.JPEG",
    f".Trash-1000/files/{WNIDS[1]}/0.JPEG",
    f"#recycle/{WNIDS[1]}/0.JPEG",
    f"$RECYCLE.BIN/{WNIDS[1]}/0.JPEG",
    f"@Recently-Snapshot/{WNIDS[1]}/0.JPEG",
    "lost+found/0.JPEG",
)


def test_system_files_are_no_images(tmp_path: Path) -> None:
    """Thumbnails, trash and snapshots are left out and counted; Thumbs.db and its like are not even that."""
    plain = load_dataset(class_tree(tmp_path / "set"))
    for id in SYSTEM:
        path = tmp_path / "set" / id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / "set" / WNIDS[0] / name).write_bytes(b"x")
    benchmark = load_dataset(tmp_path / "set")
    assert benchmark.ids == plain.ids
    assert benchmark.counts == {"system_images": len(SYSTEM)}
    assert told(benchmark.counts) == ["12 images are hidden, or lie in system folders (thumbnails, trash)"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_system_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """lost+found is root's alone; any other folder is an error."""
    root = class_tree(tmp_path)
    for name, error in (("lost+found", False), ("n99999999", True)):
        (root / name).mkdir(mode=0)
        if error:
            with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
                walk(root)
        else:
            assert len(walk(root)) == 6


def test_images_in_system_folders_alone(tmp_path: Path) -> None:
    """The folder is not called empty."""
    class_tree(tmp_path / "@eaDir")
    with pytest.raises(
        DatasetError, match="no image in .*: it is empty, and 6 images are hidden, or lie in system"
    ):
        load_dataset(tmp_path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Whoever opened it would wait."""
    root = class_tree(tmp_path)
    os.mkfifo(root / WNIDS[0] / "pipe")
    assert load_dataset(root).counts == {}


def test_a_class_folder_itself(tmp_path: Path) -> None:
    """Its parent is meant."""
    root = class_tree(tmp_path)
    with pytest.raises(DatasetError, match="but it is a class folder itself: give its parent"):
        load_dataset(root / WNIDS[0])


def test_links_to_nowhere_in_system_folders(tmp_path: Path) -> None:
    """Nobody's data, so no error."""
    root = class_tree(tmp_path)
    (root / ".cache").mkdir()
    (root / ".cache" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert len(load_dataset(root)) == 6


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("vall", "val"),
        ("imagenet/vall", "imagenet/val"),
        ("imagnet/val", "imagenet/val"),
        ("imagenet/VAL", "imagenet/val"),
        ("imagenet/vall/n01440764", "imagenet/val/n01440764"),
        ("val_labels.tx", "val_labels.txt"),
        ("quite/another", None),
        ("imagenet/train", None),
        ("val", None),
    ],
)
def test_what_was_meant(tmp_path: Path, wrong: str, right: str | None) -> None:
    """The nearest name that is there, wherever in the path the slip is."""
    (tmp_path / "imagenet" / "val" / "n01440764").mkdir(parents=True)
    (tmp_path / "val").mkdir()
    (tmp_path / "val_labels.txt").touch()
    assert did_you_mean(tmp_path / wrong) == (f" Did you mean {tmp_path / right}?" if right else "")
