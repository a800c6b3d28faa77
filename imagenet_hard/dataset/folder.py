"""Folders of images: class folders, or a flat folder with a label file.

So any ImageNet variant can be scored: -A, -R and -Sketch (wnid folders), -V2 (folders 0 to 999),
the validation images with ``val.txt`` or ImageNet-ReaL's ``real.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.class_folders import (
    by_class_folder,
    check_names,
    check_splits,
    class_in_name,
    folder_class,
    wnid_of,
)
from imagenet_hard.dataset.files import (
    File,
    by_ending,
    did_you_mean,
    images_among,
    read_file,
    state,
)
from imagenet_hard.dataset.image_names import match_names
from imagenet_hard.dataset.label_files import LABEL_FILES, read_label_file
from imagenet_hard.dataset.labels import Labels
from imagenet_hard.dataset.left_out import endings_text, not_images, told

ACCEPTED = (
    "accepted are (a) a built data set: Parquet files in it or in data/, what save_to_disk of datasets "
    "wrote, or webdataset shards (.tar), (b) class folders named by wnid "
    "(n01440764/...) or by class index (0/ to 999/), (c) images with a label file (labels='val.txt', or "
    f"{', '.join(LABEL_FILES)} in the folder), (d) images named by wnid (n01440764_tench.JPEG)"
)


def image_folder(folder: Path, files: Sequence[File], *, labels: Path | None, exif: bool) -> Benchmark:
    """The images among ``files`` with their labels; ids are the paths relative to ``folder``.

    What has no partner is never dropped in silence: ``counts`` of the benchmark say how many images
    had no label, how many labels no image, how many images a label file excludes by an empty list
    (as ImageNet-ReaL does), how many labelled files are no image, and how many images are the system's.

    Raises:
        DatasetError: no image, no label, several sets of images at once, or a folder that is none of
            the accepted.
    """
    images, others = images_among(files)
    counts = Counter(system_images=sum(file.system and file.is_image for file in files))
    if not images:
        hidden = "".join(f", and {text}" for text in told(counts))
        raise DatasetError(f"no image in {folder}: {_seen(others)}{hidden}; {ACCEPTED}")
    table = _label_file(folder, labels, images, others)
    found = _labelled(folder, images, others, table, counts)
    counts["images_without_label"] = sum(file.id not in found for file in images)
    counts["excluded"] = sum(found.get(file.id) == () for file in images)
    kept = [file for file in images if found.get(file.id)]
    if not kept:
        how = "it is a class folder itself: give its parent" if wnid_of(folder.name) else "none is labelled"
        raise DatasetError(f"{folder} has no labels: {_seen([*images, *others])}, but {how}; {ACCEPTED}")
    if table is None:
        kept = _in_class_order(kept)
    odd = by_ending(file for file in kept if not file.is_image)
    notes = [f"{sum(odd.values()):,} files are images by their content ({endings_text(odd)})"] if odd else []
    if table is None:
        unread = [file.id for file in others if file.id in LABEL_FILES]
        notes += [f"{' and '.join(unread)} is not read: the class folders say the labels"] if unread else []
    about = Source(
        folder.resolve().name,
        "folder",
        exif=exif,
        counts=dict(+counts),
        notes=tuple(notes),
        state=state(kept),
    )
    return Benchmark(
        about,
        [file.id for file in kept],
        [found[file.id] for file in kept],
        [""] * len(kept),
        partial(read_file, [file.path for file in kept]),
    )


def _label_file(
    folder: Path, given: Path | None, images: Sequence[File], others: Sequence[File]
) -> Path | None:
    """The label file that was given, or that lies in the folder; class folders need none."""
    if given is not None:
        inside = folder / given
        if given.exists() or inside.is_file():
            return given if given.exists() else inside
        near = did_you_mean(given) or did_you_mean(inside)
        raise DatasetError(f"the label file {given} does not exist, nor in {folder}.{near}")
    if any(len(file.parts) > 1 and folder_class(file.parts[0]) is not None for file in images):
        return None
    names = [file.id for file in others if file.id in LABEL_FILES]
    if len(names) > 1:
        raise DatasetError(f"{folder} has the label files {' and '.join(names)}: choose one with labels=")
    return folder / names[0] if names else None


def _labelled(
    folder: Path, images: Sequence[File], others: Sequence[File], table: Path | None, counts: Counter[str]
) -> dict[str, Labels]:
    """Labels by the images' ids; labelled files that hold no image are added to ``counts``."""
    if table is not None:
        return _by_table(folder, images, others, table, counts)
    if found := by_class_folder(folder, images):
        counts.update(
            not_images(f for f in others if len(f.parts) > 1 and folder_class(f.parts[0]) is not None)
        )
        return found
    found = {file.id: (index,) for file in images if (index := class_in_name(file)) is not None}
    check_splits(
        folder, [file for file in images if file.id in found], [f for f in images if f.id not in found]
    )
    counts.update(not_images(file for file in others if class_in_name(file) is not None))
    return found


def _by_table(
    folder: Path, images: Sequence[File], others: Sequence[File], path: Path, counts: Counter[str]
) -> dict[str, Labels]:
    """Labels from a label file."""
    table = read_label_file(path)
    names = match_names([file.id for file in images], table, path.name, _above(folder))
    if not names:
        raise DatasetError(
            f"{folder} has no labels: {_seen([*images, *others])}, but the names in {path.name} match "
            f"none of them: it names {next(iter(table))!r}, and the folder has {images[0].id!r}"
        )
    left = set(table) - set(names.values())
    unread = match_names([file.id for file in others], left, path.name, _above(folder))
    counts.update(not_images(file for file in others if file.id in unread))
    counts["labels_without_image"] = len(left) - len(unread)
    found = {id: table[name] for id, name in names.items()}
    check_names(images, found, f"the labels in {path.name}")
    return found


def _in_class_order(files: list[File]) -> list[File]:
    """Folders 0, 1, 2, 10 in this order (as strings 10 comes before 2)."""

    def key(file: File) -> tuple[int, tuple[str, ...]]:
        top = file.parts[0]
        return (int(top) if top.isdigit() and len(file.parts) > 1 else -1, file.parts)

    return sorted(files, key=key)


def _seen(files: Sequence[File]) -> str:
    """What a folder holds, for a message."""
    if not files:
        return "it is empty"
    endings = list(by_ending(files).items())[:4]
    tops = sorted({file.parts[0] + "/" for file in files if len(file.parts) > 1})
    inside = f" in {', '.join(tops[:4])}{', ...' if len(tops) > 4 else ''}" if tops else ""
    return f"it holds {endings_text(dict(endings))}{inside}"


def _above(folder: Path) -> str:
    return folder.resolve().as_posix().strip("/")
