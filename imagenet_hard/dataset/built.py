"""Data sets that ``datasets`` wrote into a folder: Parquet with a README, or what ``save_to_disk`` makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError, ImageNetHardError
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.class_folders import class_in_name, folder_class, wnid_class
from imagenet_hard.dataset.files import YAML, File, state
from imagenet_hard.dataset.rows import from_dataset, from_stream, prepared
from imagenet_hard.dataset.splits import check_whole, choose_split, refuse_part
from imagenet_hard.hub.errors import causes, disk_trouble


def is_built(folder: Path, files: Sequence[File]) -> bool:
    """Whether Parquet files with images lie in the folder or in its data/, or where its own YAML points.

    Parquet without an image column beside images or tars (metadata.parquet) is no data set.

    Raises:
        DatasetError: it lies beside another labelled set, so that either may be meant.
    """
    own = [file for file in files if not file.system and file.id.endswith(".parquet")]
    if not any(file.id == YAML for file in files):
        own = [file for file in own if file.parts[:-1] in ((), ("data",))]
    images = [f for f in files if not f.system and (f.is_image or f.id.endswith(".tar"))]
    if not images or not own:
        return bool(own)
    data = next((file for file in own if _has_images(file)), None)
    if data is None:
        return False
    for kind, is_one in _OTHER_SETS.items():
        if other := next((file for file in images if is_one(file)), None):
            raise DatasetError(
                f"{folder} holds a built data set ({data.id}) and {kind} ({other.id}): which one is "
                "meant? Move them into folders of their own, and give one"
            )
    return True


def _has_images(file: File) -> bool:
    """Whether a Parquet file has an image column; one that cannot be read is for ``datasets`` to judge."""
    from pyarrow import ArrowException, parquet, types

    try:
        schema = parquet.read_schema(file.path)
    except (OSError, ArrowException):
        return True
    return any(
        column.name == "image"
        or types.is_binary(column.type)
        or (types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0)
        for column in schema
    )


def _in_class_folder(file: File) -> bool:
    """A number is a class at the top only: docs/1/figure.png is none."""
    *folders, _ = file.parts
    return (
        any(wnid_class(name) is not None for name in folders) or folder_class((*folders, "")[0]) is not None
    )


_OTHER_SETS: Mapping[str, Callable[[File], bool]] = {
    "class folders": _in_class_folder,
    "images named by wnid": lambda file: class_in_name(file) is not None,
    "webdataset shards": lambda file: file.id.endswith(".tar"),
}
"""What may be meant as well as the Parquet beside it."""


def built_folder(
    folder: Path, files: Sequence[File], *, split: str | None, streaming: bool, exif: bool
) -> Benchmark:
    """Read the folder as ``datasets.load_dataset(folder)`` does, but never rows that it no longer holds.

    ``datasets`` keys its cache of a local folder by the README's YAML and the file pattern alone,
    so rewritten Parquet would give the old rows. Here the cache folder is named by the files'
    sizes and times.

    Raises:
        DatasetError: ``datasets`` cannot read it, a shard is missing, or as ``from_dataset``.
        UsageError: it has no such split.
    """
    import datasets

    changed = state(
        f for f in files if not f.system and (f.id.endswith(".parquet") or f.id in ("README.md", YAML))
    )
    name = folder.resolve().name
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "imagenet-hard-folders" / changed[:32]
    about = Source(name, "folder", exif=exif, state=changed)
    try:
        builder = datasets.load_dataset_builder(str(folder.resolve()), cache_dir=str(cache))
        about = replace(about, split=choose_split(split, splits_of(builder), name))
        check_whole(files_of(builder, about.split), f"{name} ({about.split})")
        if streaming:
            return from_stream(
                builder.as_streaming_dataset(about.split), about, size=size_of(builder, about.split)
            )
        return prepared(builder, about)
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as error:  # datasets, pyarrow, yaml and the file system each have their own
        if (trouble := disk_trouble(error)) is not None:
            raise DatasetError(f"the built data set {folder} cannot be read or cached: {trouble}") from error
        first = list(causes(error))[-1]
        raise DatasetError(
            f"the built data set {folder} cannot be read: {type(first).__name__}: {first}. Expected "
            "Parquet files such as data/validation-00000-of-00001.parquet, and a README.md whose YAML "
            "agrees with them."
        ) from error


def splits_of(builder: Any) -> list[str]:
    """The splits that a ``datasets`` builder would make."""
    return [str(s) for s in (builder.config.data_files or builder.info.splits or ())]


def files_of(builder: Any, split: str | None) -> list[str]:
    """The data files of one split, as paths or addresses."""
    return [str(file) for file in (builder.config.data_files or {}).get(split, ())]


def size_of(builder: Any, split: str | None) -> int | None:
    """The number of rows that the publisher states, if any."""
    stated = (builder.info.splits or {}).get(split)
    return None if stated is None else int(stated.num_examples) or None


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
    return json.loads(read_bounded(path, MAX_JSON_BYTES, error=DatasetError))
