"""Data that a program holds: an ``ImageFolder``, a ``datasets.Dataset``, any sequence of (image, label).

Where a data set names its classes, the names decide what its numbers mean. Files are read as they are. What
is in memory already (PIL images, arrays) is stored without loss, as PPM wherever that holds it, and the
fingerprint is over those bytes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageNetHardError, UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.files import file_at, read_file, state
from imagenet_hard.dataset.labels import Labels, class_indices, labels_of, own_numbering
from imagenet_hard.dataset.rows import check_unique, from_dataset
from imagenet_hard.dataset.splits import choose_split

log = logging.getLogger(__name__)

_MAX_NUMBER = 10**6


def from_object(data: Any, *, split: str | None = None, exif: bool = False) -> Benchmark:
    """What a program holds, as a benchmark; ``split``: of a ``DatasetDict``.

    A sequence is read once here, for its labels and the hashes of its images, and again when it is scored;
    no image is kept. Its ids are its indices; those of an ``ImageFolder`` are its paths, as of a folder.

    Raises:
        UsageError: an object of another kind; the message says what is taken.
        DatasetError: it is empty, or an item has no image or no label that is understood.
    """
    if is_of(data, "datasets", "Dataset", "DatasetDict"):
        return _hugging_face(data, split, exif)
    kind = type(data).__name__
    if split is not None:
        raise UsageError(f"split={split!r} does not go with a {kind}: it is for a DatasetDict")
    if is_of(data, "torch.utils.data", "DataLoader"):
        raise UsageError(
            f"a DataLoader gives batches of tensors: give its data set (loader.dataset); {TAKEN}"
        )
    if isinstance(data, str | bytes | Mapping) or not (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
    ):
        raise UsageError(f"a {kind} cannot be scored: {TAKEN}")
    if len(data) == 0:
        raise DatasetError(f"the {kind} is empty: expected at least one (image, label)")
    places = [_place(data, i) for i in range(len(data))]
    if all(_samples(owner) is not None for owner in {id(owner): owner for owner, _ in places}.values()):
        return _files(places, exif)
    return _sequence(data, places, exif)


def _hugging_face(data: Any, split: str | None, exif: bool) -> Benchmark:
    name = "dataset"
    if isinstance(data, dict):  # a DatasetDict
        data = data[choose_split(split, data, "the DatasetDict")]
    elif split is not None:
        choose_split(split, [str(data.split)], "the Dataset")
    if data.format["type"] == "custom":
        raise UsageError(
            "the Dataset has a transform of its own (set_transform), and images are scored under the "
            "classifier's: call reset_format(), and give a transform of your own as transform="
        )
    name = data.info.dataset_name or name
    own = None if data.split is None else str(data.split)
    return from_dataset(data, Source(name, "object", split=own, exif=exif, state=data._fingerprint))


def _files(places: Sequence[tuple[Any, int]], exif: bool) -> Benchmark:
    """Of image folders, the files themselves."""
    roots: dict[int, tuple[list[tuple[str, int]], Path, Sequence[int] | None]] = {}
    for owner, _ in places:
        if id(owner) not in roots:
            samples, at = _samples(owner) or ([], "")
            roots[id(owner)] = samples, Path(at), _class_numbers(owner, Path(at).name)
    ids, labels, paths = [], [], []
    for owner, i in places:
        samples, root, classes = roots[id(owner)]
        path, number = samples[i]
        ids.append(Path(os.path.relpath(path, root)).as_posix())
        labels.append(labels_of(number, f"{ids[-1]!r}", classes))
        paths.append(path)
    try:
        files = [file_at(path, id) for path, id in zip(paths, ids, strict=True)]
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be read: {error.strerror}") from error
    name = "+".join(dict.fromkeys(root.resolve().name for _, root, _ in roots.values()))
    about = Source(name, "folder", exif=exif, state=state(files))
    check_unique(ids, about)
    return Benchmark(about, ids, labels, [""] * len(ids), partial(read_file, paths))


def _sequence(data: Any, places: Sequence[tuple[Any, int]], exif: bool) -> Benchmark:
    items = _Items(data, exif)
    owners = {id(owner): owner for owner, _ in places}
    classes = {key: _class_numbers(owner, items.name) for key, owner in owners.items()}
    labels: list[Labels] = []
    for i, (owner, _) in enumerate(places):
        labels.append(labels_of(items.first(i), items.where(i), classes[id(owner)]))
    numbers = (
        {label for row in labels for label in row} if all(own is None for own in classes.values()) else ()
    )
    if said := own_numbering(numbers):
        log.warning("the %s has the labels %s", items.name, said)
    about = Source(items.name, "object", exif=exif, state=items.state())
    return Benchmark(about, [str(i) for i in range(len(places))], labels, [""] * len(places), items)


class _Items:
    """The images of a sequence, read one at a time: not every data set may be read by many threads."""

    def __init__(self, data: Any, exif: bool) -> None:
        self.name = type(data).__name__
        self._data, self._exif, self._lock = data, exif, Lock()
        self._hashes: list[bytes] = []

    def where(self, i: int) -> str:
        return f"item {i} of the {self.name}"

    def first(self, i: int) -> Any:
        """Read item ``i``, the one after the last; gives its label."""
        image, label = self._read(i)
        self._hashes.append(hashlib.sha256(image).digest())
        return label

    def __call__(self, i: int) -> bytes:
        """The image of item ``i`` again, if it is the same."""
        image, _ = self._read(i)
        if hashlib.sha256(image).digest() != self._hashes[i]:
            raise DatasetError(
                f"{self.where(i)} gives another image at each reading: remove its random transforms"
            )
        return image

    def state(self) -> str:
        return hashlib.sha256(b"".join(self._hashes)).hexdigest()

    def _read(self, i: int) -> tuple[bytes, Any]:
        with self._lock:
            try:
                item = self._data[i]
                if not isinstance(item, tuple | list) or len(item) != 2:
                    raise DatasetError(
                        f"{self.where(i)} is a {type(item).__name__}, no (image, label): {TAKEN}"
                    )
                return encoded(item[0], self.where(i), exif=self._exif), item[1]
            except (ImageNetHardError, MemoryError):
                raise
            except Exception as error:  # whatever the data set's own code and PIL throw
                raise DatasetError(f"{self.where(i)} cannot be read: {reason(error)}") from error


def _place(data: Any, i: int) -> tuple[Any, int]:
    """The data set that holds item ``i`` of a ``Subset`` or ``ConcatDataset``, and its index there."""
    utils = sys.modules.get("torch.utils.data")
    while utils is not None:
        if type(data) is utils.Subset:
            data, i = data.dataset, int(data.indices[i])
        elif type(data) is utils.ConcatDataset:
            part = bisect_right(data.cumulative_sizes, i)
            data, i = data.datasets[part], i - (data.cumulative_sizes[part - 1] if part else 0)
        else:
            break
    return data, i


def _samples(data: Any) -> tuple[list[tuple[str, int]], str] | None:
    """Paths with class numbers, and the root, where nothing but a plain loader stands before the files."""
    if getattr(data, "transform", None) is not None or getattr(data, "target_transform", None) is not None:
        return None
    folders = sys.modules.get("torchvision.datasets.folder")
    if folders and isinstance(data, folders.DatasetFolder):
        plain = type(data).__getitem__ is folders.DatasetFolder.__getitem__
        return (data.samples, data.root) if plain and data.loader is folders.default_loader else None
    timm = sys.modules.get("timm.data.dataset")
    if timm and type(data) is timm.ImageDataset and hasattr(data.reader, "samples"):
        return data.reader.samples, data.reader.root
    return None


def _class_numbers(data: Any, name: str) -> list[int] | None:
    """What the numbers of a data set with class names mean; -1 where one has no name."""
    table = _class_table(data)
    if table is None:
        return None
    if getattr(data, "target_transform", None) is not None:
        raise UsageError(
            f"{name} has a target_transform, so its class names say nothing of its numbers: take it out, or "
            "give a sequence of (image, label) with class indices or wnids"
        )
    numbers = list(table)
    if not all(0 <= number < _MAX_NUMBER for number in numbers):
        raise DatasetError(
            f"{name} numbers its classes {min(numbers)} to {max(numbers)}: expected 0, 1, 2, ..."
        )
    found = [-1] * (max(numbers, default=-1) + 1)
    for number, index in zip(numbers, class_indices(list(table.values()), name), strict=True):
        found[number] = index
    return found


def _class_table(data: Any, depth: int = 3) -> dict[int, str] | None:
    """Number -> name, as torchvision's and timm's data sets and those that wrap them have it.

    ``depth``: data sets in data sets that are looked into, under whatever attribute they are held.
    """
    for owner in (data, getattr(data, "reader", None)):
        for attribute in ("wnid_to_idx", "class_to_idx"):
            if isinstance(table := getattr(owner, attribute, None), Mapping):
                return {int(number): str(name) for name, number in table.items()}
    names = getattr(data, "classes", None)
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return dict(enumerate(names))
    held = [held for held in getattr(data, "__dict__", {}).values() if hasattr(held, "__getitem__")]
    found = (_class_table(inner, depth - 1) for inner in held if depth)
    return next((table for table in found if table is not None), None)


TAKEN = (
    "expected a data set's name, a folder, what load_dataset returns, a torchvision ImageFolder, a "
    "datasets.Dataset with image and label columns, or a sequence of (image, label) with PIL images, the "
    "bytes or paths of image files, or uint8 arrays (height, width, 3)"
)
_FORMATS = {"L": "PPM", "RGB": "PPM", "CMYK": "TIFF"}
"""Mode -> a format that holds it without loss; PNG holds the others that are taken."""
_MODES = (*_FORMATS, "1", "LA", "P", "RGBA", "I;16")
_ARRAYS = ((np.uint8, 2), (np.uint8, 3, 3))
"""dtype, dimensions, channels."""
_ORIENTATION = 0x0112


def encoded(image: Any, where: str, *, exif: bool = False) -> bytes:
    """An image as the bytes of a file: its own, or one without loss.

    Raises:
        DatasetError: it is none of the accepted kinds.
        UsageError: a PIL image that ``exif`` would have to turn.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    if isinstance(image, np.ndarray) and (image.dtype, image.ndim, *image.shape[2:]) in _ARRAYS:
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        raise DatasetError(f"{where} has {_described(image)} for an image: {TAKEN}{_hint(image)}")
    if image.mode not in _MODES:
        raise DatasetError(f"{where} is of PIL mode {image.mode}: expected one of {', '.join(_MODES)}")
    if exif and image.getexif().get(_ORIENTATION, 1) != 1:
        raise UsageError(
            f"exif: {where} is a PIL image in memory: turn it (ImageOps.exif_transpose) or give its file"
        )
    buffer = BytesIO()
    image.save(buffer, _FORMATS.get(image.mode, "PNG"))
    return buffer.getvalue()


def _described(image: Any) -> str:
    known = hasattr(image, "shape") and hasattr(image, "dtype")
    return f"a {type(image).__name__}" + (f" of {image.dtype} {tuple(image.shape)}" if known else "")


def _hint(image: Any) -> str:
    if is_of(image, "torch", "Tensor"):
        return (
            ". A tensor is what a transform has made, and images are scored under the classifier's own: take "
            "the transform out of the data set (dataset.transform = None), or give it as transform="
        )
    return ""


def is_of(data: Any, module: str, *names: str) -> bool:
    """Whether it is of one of these classes, without importing what nobody has imported."""
    there = sys.modules.get(module)
    return there is not None and any(isinstance(data, getattr(there, name)) for name in names)
