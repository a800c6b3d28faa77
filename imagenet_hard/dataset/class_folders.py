"""Class folders: which folders are named by a class, where they stand, and what they must not be.

A number or a wnid in a path says something only where all of them stand at one place: below ``train/``
and ``val/`` at once, or at two depths, they are several sets of images, of which one has to be chosen.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.dataset.files import File
from imagenet_hard.dataset.ground_truth import validation_number
from imagenet_hard.dataset.labels import ONE_TOO_HIGH, Labels, own_numbering
from imagenet_hard.imagenet.classes import wnid_to_index

log = logging.getLogger(__name__)

Folder = tuple[str, ...]

SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing", "dev"))
"""Folders that hold one split of a data set."""

SHOWN = 4
_WNID_FOLDER = re.compile(r"(n\d{8})(?:[-_. ].*)?", re.IGNORECASE)
_WNID_FILE = re.compile(r"(n\d{8})[-_. ]", re.IGNORECASE)


@cache
def folder_class(name: str) -> int | None:
    """The class index that a folder's name stands for: "n01440764", "n01440764-tench" or "17"."""
    if name.isascii() and name.isdigit():
        return int(name) if int(name) < N_CLASSES else None
    return wnid_class(name)


def wnid_of(name: str) -> str | None:
    """The wnid that a folder's name is, or begins with; it need not be one of the 1000."""
    match = _WNID_FOLDER.fullmatch(name)
    return match[1].lower() if match else None


@cache
def wnid_class(name: str) -> int | None:
    """The class index of the wnid that a folder's name is, or begins with."""
    return wnid_to_index().get(wnid_of(name) or "")


def class_in_name(file: File) -> int | None:
    """The class index of the wnid that a file's name begins with, as in n01440764_tench.JPEG."""
    match = _WNID_FILE.match(file.parts[-1])
    return wnid_to_index().get(match[1].lower()) if match else None


def by_class_folder(folder: Path, images: Sequence[File]) -> dict[str, Labels]:
    """Labels from the class folders in ``folder`` itself, by the images' ids; empty where there are none.

    Raises:
        DatasetError: class folders stand below other folders, at several places, or hold folders of
            images beside images; or their numbers are no class indices.
    """
    found: dict[str, Labels] = {}
    for file in images:
        if len(file.parts) > 1 and (index := folder_class(file.parts[0])) is not None:
            found[file.id] = (index,)
    outer = places(
        images, lambda name: folder_class(name) is not None, lambda name: wnid_class(name) is not None
    )
    outside = [file for file in images if file.id not in outer]
    check_one_place(folder, outer, outside)
    if found:
        check_depth(folder, images, outer)
        _check_numbers(folder, images, found)
        _check_once(folder, images, found)
    return found


def places(
    images: Iterable[File],
    is_class: Callable[[str], bool],
    surely: Callable[[str], bool] = lambda name: False,
) -> dict[str, Folder]:
    """Image id -> the folder that holds its class folder, "" being ``()``; images in none are left out.

    The innermost class folder counts, but one whose name is ``surely`` a class before any other:
    ``fog/1/n01440764/x.jpg`` of ImageNet-C and ``n01440764/1/x.jpg`` both have the class n01440764.
    """
    found = {}
    for file in images:
        folders = file.parts[:-1]
        depths = [i for i, name in enumerate(folders) if is_class(name)]
        depths = [i for i in depths if surely(folders[i])] or depths
        if depths:
            found[file.id] = folders[: depths[-1]]
    return found


def check_one_place(folder: Path, outer: Mapping[str, Folder], outside: Sequence[File] = ()) -> None:
    """All class folders stand in ``folder`` itself.

    ``outer``: as ``places`` gives; ``outside``: the images in no class folder.

    Raises:
        DatasetError: they stand elsewhere; the message names what to give instead.
    """
    there = Counter(outer.values())
    if set(there) <= {()}:
        return
    if len(there) > 1 or outside:
        raise _several(folder, there, Counter(file.parts[:-1] for file in outside))
    (only,) = there
    raise DatasetError(
        f"{folder} has no class folders, but there are class folders in {_shown(only)}: give that folder, "
        f"{folder.joinpath(*only)}"
    )


def check_one_set(folder: Path, outer: Mapping[str, Folder]) -> None:
    """All class folders stand in one folder, wherever that is. ``outer``: as ``places`` gives.

    Raises:
        DatasetError: they stand in several.
    """
    if len(there := Counter(outer.values())) > 1:
        raise _several(folder, there, Counter())


def _several(folder: Path, there: Counter[Folder], beside: Counter[Folder]) -> DatasetError:
    said = [f"class folders in {_shown(name)} ({n:,} images)" for name, n in sorted(there.items())]
    said += [f"images without class folders in {_shown(name)} ({n:,})" for name, n in sorted(beside.items())]
    # A flat folder of validation images is meant rather than the training images in class folders.
    one = max([*there, *beside], key=lambda name: (bool({"val", "validation"} & set(name)), there[name]))
    how = "" if one in there else " with a label file (labels=, --labels)"
    return DatasetError(
        f"{folder} holds several sets of images: {shorten_list(said, SHOWN)}. They would be "
        f"scored as one: give one of these folders, e.g. {folder.joinpath(*one)}{how}"
    )


def check_splits(folder: Path, images: Sequence[File], outside: Sequence[File]) -> None:
    """Images that are labelled by their own names don't lie in several splits.

    ``outside``: the images whose names say no class; those in a split count, as that may be what is meant.

    Raises:
        DatasetError: they do.
    """
    tops = Counter(map(_top, images)) + Counter(top for top in map(_top, outside) if top.lower() in SPLITS)
    if len(tops) > 1 and SPLITS & {top.lower() for top in tops}:
        said = ", ".join(f"{_shown((top,) if top else ())} ({n:,} images)" for top, n in sorted(tops.items()))
        raise DatasetError(f"{folder} holds several sets of images: {said}. Give one of these folders")


def _top(file: File) -> str:
    return file.parts[0] if len(file.parts) > 1 else ""


def check_depth(folder: Path, images: Iterable[File], outer: Mapping[str, Folder]) -> None:
    """All images lie at the same place in their class folders: n01440764/x.JPEG, or n01440764/images/x.JPEG.

    ``outer``: as ``places`` gives; images in no class folder don't count.

    Raises:
        DatasetError: some lie deeper, or elsewhere, than others: copies, thumbnails, another split?
    """
    inner: dict[Folder, list[File]] = {}
    for file in images:
        if file.id in outer:
            inner.setdefault(file.parts[len(outer[file.id]) + 1 : -1], []).append(file)
    if len(inner) > 1:
        most = sorted(inner.items(), key=lambda item: (-len(item[1]), item[0]))
        said = [f"{len(files):,} such as {files[0].id}" for _, files in most]
        raise DatasetError(
            f"{folder} has images at different places in its class folders: {shorten_list(said, SHOWN)}. "
            "Copies or other sets would be scored with the rest: keep the images of one place, and move the "
            "others away"
        )


def _check_numbers(folder: Path, images: Sequence[File], found: Mapping[str, Labels]) -> None:
    """Folders named by numbers are named by class indices.

    Raises:
        DatasetError: one is beyond 999, wnids stand beside numbers, or most file names say another class.
    """
    tops = {file.parts[0] for file in images if len(file.parts) > 1}
    numbers = {int(top) for top in tops if top.isascii() and top.isdigit()}
    if not numbers:
        return
    if wnid := next((top for top in sorted(tops) if wnid_class(top) is not None), None):
        raise DatasetError(
            f"{folder} has class folders named by wnid ({wnid}) and by number ({min(numbers)}): give a "
            "folder with one kind of them"
        )
    if (most := max(numbers)) >= N_CLASSES:
        hint = f". {ONE_TOO_HIGH}" if most == N_CLASSES else ""
        raise DatasetError(
            f"{folder} has the class folder {most}, but class indices go from 0 to {N_CLASSES - 1}{hint}"
        )
    check_names(
        [file for file in images if file.id in found],
        found,
        f"the numbered folders of {folder}",
    )
    if said := own_numbering(numbers):
        log.warning("%s has the folders %s", folder.name, said)


def _check_once(folder: Path, images: Iterable[File], found: Mapping[str, Labels]) -> None:
    """No validation image is in two class folders. Severities of a corruption hold the same ones, say.

    Raises:
        DatasetError: one is.
    """
    seen: dict[int, File] = {}
    for file in images:
        if file.id in found and (number := validation_number(file.parts[-1])) is not None:
            other = seen.setdefault(number, file)
            if found[other.id] != found[file.id]:
                raise DatasetError(
                    f"{folder} has one validation image in two class folders, {other.id} and {file.id}: "
                    "these folders are not classes, or the image was copied. Give one folder with a "
                    "label file (labels=, --labels), or remove the copy"
                )


def check_names(images: Iterable[File], found: Mapping[str, Labels], what: str) -> None:
    """Class numbers agree with the wnids that the files' own names begin with, where they do.

    A few may not (an image that was relabelled); if most don't, the numbers mean something else.

    Raises:
        DatasetError: most don't.
    """
    named = [
        (file, own) for file in images if found.get(file.id) and (own := class_in_name(file)) is not None
    ]
    wrong = [(file, own) for file, own in named if own not in found[file.id]]
    if len(wrong) * 2 > len(named):
        file, own = wrong[0]
        raise DatasetError(
            f"{what} contradict the files' own names: {len(wrong)} of {len(named)} images are named by "
            f"another class, such as {file.id}, which says {own} and got "
            f"{', '.join(map(str, found[file.id]))}. {ONE_TOO_HIGH}"
        )


def _shown(name: Folder) -> str:
    return "/".join(name) + "/" if name else "the folder itself"
