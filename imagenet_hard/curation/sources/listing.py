"""A listing: names, labels and bytes of a source, before ids, masks and limits are put on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.files import File, walk
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.errors import DatasetError

VALIDATION = re.compile(r"ILSVRC2012_val_\d{8}")
"""Names of ImageNet's validation images, whatever folder they lie in."""


@dataclass(frozen=True)
class Listing:
    """``names[i]`` is stable across layouts, ``read(i)`` gives the encoded image.

    ``where``: the place for messages; ``state`` changes when the files do (see ``files.state``).
    """

    where: str
    names: Sequence[str]
    labels: Sequence[tuple[int, ...]]
    read: Callable[[int], bytes]
    state: str
    notes: tuple[str, ...] = ()
    source: str = "folder"
    revision: str | None = None


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
            f"the folder {folder} {what}: change `path:` in the recipe, or --data (now {root})"
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
            f"the file {path} is not there: change `{key}:` in the recipe, or --data (now {root})"
        )
    return path


def images_of(folder: Path) -> list[File]:
    """The image files below a folder.

    Raises:
        DatasetError: there are none.
    """
    files = walk(folder)
    images = [file for file in files if file.is_image]
    if not images:
        raise DatasetError(f"no image in {folder}: it holds {len(files)} other files")
    return images


def stable_name(path: str) -> str:
    """``ILSVRC2012_val_00000293`` for a validation image in any layout, else the path itself."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return stem if VALIDATION.fullmatch(stem) else path


def from_benchmark(images: Benchmark, where: str, notes: tuple[str, ...] = ()) -> Listing:
    """What ``load_dataset`` has read, as a listing; what it left out is noted."""
    said = {
        "images_without_label": "{} images have no label and are left out",
        "labels_without_image": "{} labels have no image",
        "excluded": "{} images are left out, as their label list is empty",
    }
    counted = tuple(said[key].format(f"{n:,}") for key, n in images.counts.items() if key in said)
    return Listing(
        where,
        [stable_name(id) for id in images.ids],
        images.labels,
        lambda i: images[i].image,
        images.about.state,
        (*notes, *counted),
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
