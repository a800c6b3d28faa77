"""Folders that ``Dataset.save_to_disk`` wrote: Arrow files, read where they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, ImageNetHardError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.causes import causes
from imagenet_hard.dataset.files import File, state
from imagenet_hard.dataset.rows import from_dataset
from imagenet_hard.dataset.shards import refuse_part
from imagenet_hard.dataset.splits import choose_split

_ONE, _SEVERAL = "state.json", "dataset_dict.json"


def is_saved(files: Sequence[File]) -> bool:
    """Whether ``save_to_disk`` of a ``Dataset`` or a ``DatasetDict`` wrote the folder."""
    names = {file.id for file in files}
    return _SEVERAL in names or {_ONE, "dataset_info.json"} <= names


def saved_folder(folder: Path, files: Sequence[File], *, split: str | None, exif: bool) -> Benchmark:
    """The rows of the folder, or of the split's folder in it, checked as every data set's.

    Raises:
        DatasetError: ``datasets`` cannot read it, a file of it is missing, or as ``from_dataset``.
        UsageError: it has no such split.
    """
    import datasets

    name, place = folder.resolve().name, folder
    try:
        if any(file.id == _SEVERAL for file in files):
            split = choose_split(split, _json(folder / _SEVERAL)["splits"], name)
            place = folder / split
        listed = _json(place / _ONE)
        if place == folder:
            own = listed["_split"]
            split = own if split is None else choose_split(split, [own or "(without a name)"], name)
        shards = [shard["filename"] for shard in listed["_data_files"]]
        if missing := [shard for shard in shards if not (place / shard).is_file()]:
            refuse_part(missing, len(missing), len(shards), name)
        about = Source(name, "folder", split=split, exif=exif, state=state(files))
        return from_dataset(datasets.Dataset.load_from_disk(str(place)), about)
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as error:  # json, datasets, pyarrow and the file system each have their own
        first = list(causes(error))[-1]
        raise DatasetError(
            f"the saved data set {folder} cannot be read: {type(first).__name__}: {first}. Expected what "
            "save_to_disk of datasets writes; save it again."
        ) from error


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
