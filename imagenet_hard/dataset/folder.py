"""Folders of images: class folders, or a flat folder with a label file.

So any ImageNet variant can be scored: -A, -R and -Sketch (wnid folders), -V2 (folders 0 to 999),
the validation images with ``val.txt`` or ImageNet-ReaL's ``real.json``.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from imagenet_hard.classes import wnid_to_index
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.files import File, read_file, state
from imagenet_hard.dataset.labels import LABEL_FILES, read_label_file
from imagenet_hard.errors import DatasetError
from imagenet_hard.types import N_CLASSES

log = logging.getLogger(__name__)

_WNID = re.compile(r"n\d{8}")
_NAMED_BY_WNID = re.compile(r"(n\d{8})[_.-]")
Labels = tuple[int, ...]

ACCEPTED = (
    "accepted are (a) a built data set: Parquet files in it or in data/, (b) class folders named by wnid "
    "(n01440764/...) or by class index (0/ to 999/), (c) images with a label file (labels='val.txt', or "
    f"{', '.join(LABEL_FILES)} in the folder), (d) images named by wnid (n01440764_tench.JPEG)"
)


def image_folder(folder: Path, files: Sequence[File], *, labels: Path | None, exif: bool) -> Benchmark:
    """The images among ``files`` with their labels; ids are the paths relative to ``folder``.

    What has no partner is never dropped in silence: ``counts`` of the benchmark and a warning say
    how many images had no label, how many labels no image, and how many images a label file
    excludes by an empty list (as ImageNet-ReaL does).

    Raises:
        DatasetError: no image, no label, or a folder that is none of the accepted.
    """
    images = [file for file in files if file.is_image]
    if not images:
        raise DatasetError(f"no image in {folder}: {_seen(files)}; {ACCEPTED}")
    if labels is None:
        labels = _label_file(folder, images, files)
    elif not labels.exists() and (folder / labels).is_file():
        labels = folder / labels
    counts: Counter[str] = Counter()
    if labels is not None:
        table = read_label_file(labels)
        found = _by_table(images, table, labels, counts)
    elif _is_class_tree(images):
        found = _by_class_folder(folder, images)
    else:
        found = {file.id: index for file in images if (index := _by_name(file)) is not None}
    counts["images_without_label"] = sum(file.id not in found for file in images)
    counts["excluded"] = sum(found.get(file.id) == () for file in images)
    kept = [file for file in images if found.get(file.id)]
    if not kept:
        how = f"the names in {labels.name} match none of them" if labels else "none is labelled"
        raise DatasetError(f"{folder} is without labels: {_seen(files)}, but {how}; {ACCEPTED}")
    if labels is None:
        kept = _in_class_order(kept)
    about = Source(folder.resolve().name, "folder", exif=exif, counts=dict(+counts), state=state(kept))
    _report(about, len(kept))
    return Benchmark(
        about,
        [file.id for file in kept],
        [found[file.id] for file in kept],
        [""] * len(kept),
        partial(read_file, [file.path for file in kept]),
    )


def _label_file(folder: Path, images: Sequence[File], files: Sequence[File]) -> Path | None:
    """The label file that lies in the folder; class folders need none."""
    if _is_class_tree(images):
        return None
    names = [file.id for file in files if file.id in LABEL_FILES]
    if len(names) > 1:
        raise DatasetError(f"{folder} has the label files {' and '.join(names)}: choose one with labels=")
    return folder / names[0] if names else None


def _class_of(name: str) -> int | None:
    """The class index that a folder's name stands for: "n01440764" or "17"."""
    if name.isascii() and name.isdigit():
        return int(name) if int(name) < N_CLASSES else None
    return wnid_to_index().get(name)


def _is_class_tree(images: Sequence[File]) -> bool:
    return any(len(file.parts) > 1 and _class_of(file.parts[0]) is not None for file in images)


def _by_class_folder(folder: Path, images: Sequence[File]) -> dict[str, Labels]:
    """Labels from the first component of each path."""
    found: dict[str, Labels] = {}
    for file in images:
        top, *inner = file.parts[:-1] or ("",)
        index = _class_of(top)
        # brightness/1/n01440764/x.jpg of ImageNet-C: "1" is a severity there, not a class.
        nested = (_WNID.fullmatch(part) or (top.isdigit() and _class_of(part) is not None) for part in inner)
        if index is not None and any(nested):
            raise DatasetError(
                f"{folder} has class folders in class folders ({file.id}): give the folder that holds the "
                f"inner ones, {folder / '/'.join(file.parts[:-2])}"
            )
        if index is not None:
            found[file.id] = (index,)
    return found


def _by_name(file: File) -> Labels | None:
    match = _NAMED_BY_WNID.match(file.parts[-1])
    index = wnid_to_index().get(match[1]) if match else None
    return None if index is None else (index,)


def _by_table(
    images: Sequence[File], table: Mapping[str, Labels], path: Path, counts: Counter[str]
) -> dict[str, Labels]:
    """Labels from a label file, by relative path, by file name, or by file name without its ending."""
    found: dict[str, Labels] = {}
    used: dict[str, str] = {}  # name in the file -> the image it labelled
    for file in images:
        base = file.parts[-1]
        name = next((n for n in (file.id, base, base.rpartition(".")[0]) if n in table), None)
        if name is None:
            continue
        if (other := used.setdefault(name, file.id)) != file.id:
            raise DatasetError(
                f"{path.name} names {name!r}, which fits {other!r} and {file.id!r}: "
                "give paths relative to the folder"
            )
        found[file.id] = table[name]
    counts["labels_without_image"] = len(table) - len(used)
    return found


def _in_class_order(files: list[File]) -> list[File]:
    """Folders 0, 1, 2, 10 in this order (as strings 10 comes before 2)."""

    def key(file: File) -> tuple[int, tuple[str, ...]]:
        top = file.parts[0]
        return (int(top) if top.isdigit() and len(file.parts) > 1 else -1, file.parts)

    return sorted(files, key=key)


def _report(about: Source, kept: int) -> None:
    texts = {
        "images_without_label": "{} images have no label",
        "labels_without_image": "{} labels have no image",
        "excluded": "{} images are excluded by an empty label list",
    }
    said = [texts[key].format(f"{n:,}") for key, n in about.counts.items()]
    if said:
        log.warning("%s: %s; %s images are scored", about.name, "; ".join(said), f"{kept:,}")


def _seen(files: Sequence[File]) -> str:
    """What a folder holds, for a message."""
    if not files:
        return "it is empty"
    endings = Counter(Path(file.id).suffix.lower() or "(no ending)" for file in files)
    tops = sorted({file.parts[0] + "/" for file in files if len(file.parts) > 1})
    shown = ", ".join(f"{n} {ending}" for ending, n in endings.most_common(4))
    inside = f" in {', '.join(tops[:4])}{', ...' if len(tops) > 4 else ''}" if tops else ""
    nested = next(
        (f.parts[:-2] for f in files if len(f.parts) > 2 and _class_of(f.parts[-2]) is not None), None
    )
    hint = f" (there are class folders in {'/'.join(nested)}/: give that folder)" if nested else ""
    return f"it holds {shown}{inside}{hint}"
