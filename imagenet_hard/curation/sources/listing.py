"""What lies below a folder and looks like which variant; a source as names, labels and bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.class_folders import wnid_of
from imagenet_hard.dataset.files import OTHER_SUFFIXES, File, did_you_mean, images_among, walk
from imagenet_hard.dataset.left_out import not_images, told
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.imagenet.classes import objectnet_classes, wnids
from imagenet_hard.imagenet.variants import VARIANTS

assert VARIANTS["imagenet"].files is not None
VALIDATION = VARIANTS["imagenet"].files
"""Names of ImageNet's validation images, whatever folder they lie in."""

_SEVERITY = re.compile(r"[1-5]")

Kind = Literal["wnids", "numbers", "corruptions", "objects", "flat", "other"]


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
        what = "is a file" if folder.exists() else "does not exist"
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
            f"the file {path} does not exist: change `{key}:` in the recipe, or --data (now {root})."
            f"{did_you_mean(path)}"
        )
    return path


def images_of(folder: Path) -> tuple[list[File], list[str]]:
    """The image files below a folder, by name or else by content, and notes on what else is there.

    Raises:
        DatasetError: there are none.
    """
    files = walk(folder)
    images, others = images_among(files)
    if not images:
        raise DatasetError(f"no image in {folder}: it holds {len(others)} other files")
    unread = not_images(file for file in others if file.ending not in OTHER_SUFFIXES and "/" in file.id)
    system = sum(file.system and file.is_image for file in files)
    return images, told({"system_images": system, **unread})


def stable_name(path: str) -> str:
    """``ILSVRC2012_val_00000293`` for a validation image in any layout, else the path itself."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] if VALIDATION.fullmatch(name) else path


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


def hub_listing(spec: SourceSpec, exif: bool) -> Listing:
    """A data set on the Hub with image and label columns.

    Raises:
        DatasetError: as ``load_dataset``.
    """
    assert spec.hub is not None
    images = load_dataset(spec.hub, revision=spec.revision, split=spec.split, exif=exif)
    return from_benchmark(images, spec.hub)


@dataclass(frozen=True)
class Recognised:
    """``kind`` of layout, and the ``variant`` that the folder certainly is, if that can be told."""

    kind: Kind
    variant: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def recognise(images: Sequence[File]) -> Recognised:
    """What the images of a folder are by layout, classes and names."""
    tops = {file.parts[0] for file in images if len(file.parts) > 1}
    if not tops:
        return Recognised("flat", None, f"a flat folder of {len(images):,} images")
    if all(wnid_of(top) for top in tops):
        return _wnids(images, tops)
    below = ", ".join(sorted(tops)[:3])
    inner = [file for file in images if len(file.parts) > 2 and wnid_of(file.parts[-2])]
    if any(_SEVERITY.fullmatch(file.parts[-3]) for file in inner):
        return _of("corruptions", f"wnid folders below others ({below})")
    if inner:
        return Recognised("other", None, f"a folder of other folders ({below}) that hold wnid folders")
    if all(top.isascii() and top.isdigit() for top in tops):
        return _of("numbers", f"{len(tops)} numbered folders")
    if known := tops & {c.folder for c in objectnet_classes()}:
        return _of("objects", f"folders such as {sorted(known)[0]}")
    return Recognised("other", None, f"folders named {below}, none of which is a class")


def _of(kind: Literal["numbers", "corruptions", "objects"], text: str) -> Recognised:
    """The one variant that lies so."""
    variant = next(each for each in VARIANTS.values() if each.layout == kind)
    return Recognised(kind, variant.name, f"{variant.title}: {text}")


def _wnids(images: Sequence[File], tops: set[str]) -> Recognised:
    what, classes = f"{len(tops)} wnid folders", {wnid_of(top) for top in tops}
    for variant in VARIANTS.values():
        named = [file for file in images if variant.files and variant.files.fullmatch(file.parts[-1])]
        if len(named) > len(images) / 2:
            text = f"{variant.title}: {what} of files such as {named[0].parts[-1]}"
            return Recognised("wnids", variant.name, text)
    for variant in VARIANTS.values():
        own = variant.classes() if variant.layout == "wnids" and variant.classes else ()
        if classes == {wnids()[c] for c in own}:
            return Recognised("wnids", variant.name, f"{variant.title}: {what}, just its classes")
    return Recognised("wnids", None, what)
