"""A listing: names, labels and bytes of a source, before ids, masks and limits are put on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.files import OTHER_SUFFIXES, File, did_you_mean, images_among, walk
from imagenet_hard.dataset.left_out import not_images, told
from imagenet_hard.dataset.load import load_dataset

VALIDATION = re.compile(r"ILSVRC2012_val_\d{8}")
"""Names of ImageNet's validation images, whatever folder they lie in."""


@dataclass(frozen=True)
class Listing:
    """``names[i]`` is stable across layouts, ``read(i)`` gives the encoded image.

    ``where``: the place for messages; ``state`` changes when the files do (see ``files.state``).
    ``parts[i]``: what a limit is spread over besides classes, such as a corruption and severity; empty
    where there is nothing of the kind.
    """

    where: str
    names: Sequence[str]
    labels: Sequence[tuple[int, ...]]
    read: Callable[[int], bytes]
    state: str
    notes: tuple[str, ...] = ()
    source: str = "folder"
    revision: str | None = None
    parts: Sequence[str] = ()


def folder_of(spec: SourceSpec, root: Path) -> Path:
    """The source's folder.

    Raises:
        DatasetError: it is not there, or is a file.
    """
    assert spec.path is not None
    folder = root / Path(spec.path).expanduser()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise DatasetError(
            f"the folder {folder} {what}: change `path:` in the recipe, or --data (now {root})."
            f"{did_you_mean(folder)}"
        )
    return folder


def file_of(name: str, root: Path, key: str) -> Path:
    """A label file that the recipe names by ``key``.

    Raises:
        DatasetError: it is not there.
    """
    path = root / Path(name).expanduser()
    if not path.is_file():
        raise DatasetError(
            f"the file {path} is not there: change `{key}:` in the recipe, or --data (now {root})."
            f"{did_you_mean(path)}"
        )
    return path


class Images(NamedTuple):
    """The images below a folder, and what else was seen there, for the notes."""

    files: list[File]
    notes: tuple[str, ...]


def images_of(folder: Path) -> Images:
    """The image files below a folder, by their names or else by their content.

    Raises:
        DatasetError: there are none.
    """
    files = walk(folder)
    images, others = images_among(files)
    if not images:
        raise DatasetError(f"no image in {folder}: it holds {len(others)} other files")
    unread = not_images(file for file in others if file.ending not in OTHER_SUFFIXES and "/" in file.id)
    system = sum(file.system and file.is_image for file in files)
    return Images(images, tuple(told({"system_images": system, **unread})))


def stable_name(path: str) -> str:
    """``ILSVRC2012_val_00000293`` for a validation image in any layout, else the path itself."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return stem if VALIDATION.fullmatch(stem) else path


def from_benchmark(images: Benchmark, where: str, notes: tuple[str, ...] = ()) -> Listing:
    """What ``load_dataset`` has read, as a listing; what it left out is noted."""
    return Listing(
        where,
        [stable_name(id) for id in images.ids],
        images.labels,
        lambda i: images[i].image,
        images.about.state,
        (*notes, *images.about.notes, *told(images.counts)),
        images.source,
        images.revision,
    )


def hub_listing(spec: SourceSpec, exif: bool, token: str | bool | None) -> Listing:
    """A data set on the Hub with image and label columns.

    Raises:
        DatasetError: as ``load_dataset``.
    """
    assert spec.hub is not None
    images = load_dataset(spec.hub, revision=spec.revision, split=spec.split, exif=exif, token=token)
    return from_benchmark(images, spec.hub)
