"""Webdataset shards: tars that hold, for each key, an image and its label (``7.jpg``, ``7.cls``).

So CLIP_benchmark writes its data sets (``test/0.tar``, ``test/nshards.txt``, ``classnames.txt``), and so lie
many on the Hub. Where there is a ``classnames.txt``, it says what the numbers in the shards mean.
"""

from __future__ import annotations

import json
import logging
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.files import IMAGE_SUFFIXES, File, state
from imagenet_hard.dataset.labels import Labels, class_indices, is_number, labels_of, own_numbering
from imagenet_hard.dataset.splits import SHOWN, check_whole, choose_split, refuse_part

log = logging.getLogger(__name__)

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>\d+)(?P<of>-of-\d+)?\.tar")
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_UNNAMED = "all"
_JSON_KEYS = ("label", "labels", "cls", "class", "class_index", "wnid", "synset")
_MAX_TEXT = 2**20
"""Bytes of a label or of a list of names."""


def is_sharded(files: Sequence[File]) -> bool:
    """Whether tars lie in the folder, and no image does."""
    return any(file.id.endswith(_TARS) for file in files) and not any(file.is_image for file in files)


def sharded_folder(folder: Path, files: Sequence[File], *, split: str | None, exif: bool) -> Benchmark:
    """The samples of one split's shards; ids are the keys, with the shard's name where keys are there twice.

    Raises:
        DatasetError: a shard is missing, damaged or compressed; a sample has no image or no label.
        UsageError: there is no such split.
    """
    name = folder.resolve().name
    if packed := next((f for f in files if f.id.endswith(_TARS) and not f.id.endswith(".tar")), None):
        raise DatasetError(
            f"{folder} holds the compressed tar {packed.id}: images are read where they lie: unpack it"
        )
    shards, split = _of_split([file for file in files if file.id.endswith(".tar")], split, name)
    texts = {file.id: file for file in files if file.id.endswith(".txt")}
    _check_series(shards, texts, f"{name} ({split})")
    names = _beside(shards[0], "classnames.txt", texts)
    classes = None if names is None else class_indices(_lines(names), f"{name}/{names.id}")
    places: list[Member] = []
    labels: list[Labels] = []
    keys: list[tuple[str, str]] = []
    numbers: set[int] = set()
    for shard in shards:
        for key, parts in _samples(shard).items():
            where = f"{key!r} in {shard.id}"
            places.append(_image(parts, where))
            label = _label(parts, where)
            labels.append(labels_of(label, where, classes))
            numbers |= set(labels[-1]) if is_number(label) else set()
            keys.append((shard.id.removesuffix(".tar"), key))
    if not keys:
        raise DatasetError(f"{name} ({split}) is empty: got no sample in {len(shards)} shards")
    if classes is None and (said := own_numbering(numbers)):
        log.warning("%s (%s) has no classnames.txt, and the labels %s", name, split, said)
    repeated = len({key for _, key in keys}) < len(keys)
    ids = ["/".join(key) if repeated else key[1] for key in keys]
    about = Source(
        name,
        "folder",
        split=None if split == _UNNAMED else split,
        exif=exif,
        state=state([*shards, *([names] if names else [])]),
    )
    return Benchmark(about, ids, labels, [""] * len(ids), partial(read_member, places))


def _of_split(tars: Sequence[File], split: str | None, name: str) -> tuple[list[File], str]:
    """The shards of a split, in the order of their numbers, and the split: a word in their paths."""
    splits: defaultdict[str, list[File]] = defaultdict(list)
    for file in tars:
        words = re.split(r"[^a-z]+", file.id.lower())
        splits[next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), _UNNAMED)].append(file)
    chosen = choose_split(split, sorted(splits), name)
    series: defaultdict[str, list[tuple[int, File]]] = defaultdict(list)
    for file in splits[chosen]:
        found = _NUMBERED.fullmatch(file.id)
        series[found["stem"] if found else file.id].append((int(found["number"]) if found else 0, file))
    if len(series) > 1:
        first, second = (shards[0][1].id for shards in islice(series.values(), 2))
        raise DatasetError(
            f"{name} ({chosen}) holds several sets of shards ({first}, {second}): give the folder of one"
        )
    (shards,) = series.values()
    return [file for _, file in sorted(shards, key=lambda shard: (shard[0], shard[1].id))], chosen


def _check_series(shards: Sequence[File], texts: Mapping[str, File], where: str) -> None:
    """Numbered from 0 without a gap, as many as ``nshards.txt`` says, where it is there."""
    check_whole([file.id for file in shards], where)
    found = [match for file in shards if (match := _NUMBERED.fullmatch(file.id)) and not match["of"]]
    if not found:
        return
    numbers = {int(match["number"]) for match in found}
    if len(numbers) < len(found):
        raise DatasetError(f"{where} has a shard of one number twice: {', '.join(m[0] for m in found[:4])}")
    stated = _beside(shards[0], "nshards.txt", texts)
    total = max(numbers) + 1
    if stated is not None:
        text = " ".join(_lines(stated))
        if not re.fullmatch(r"\d{1,9}", text):
            raise DatasetError(f"{where}: {stated.id} says {text!r}, expected the number of shards")
        total = int(text)
        if len(numbers) > total:
            raise DatasetError(
                f"{where} has {len(numbers)} shards, and {stated.id} says {total}: which belong to it?"
            )
        if len(numbers) == total:
            return
    stem, width = found[0]["stem"], len(found[0]["number"])
    missing = islice((n for n in range(max(total, 1)) if n not in numbers), SHOWN)
    if names := [f"{stem}{n:0{width}d}.tar" for n in missing]:
        hint = "" if stated else " If these are all, say so: write their number to nshards.txt beside them."
        try:
            refuse_part(names, total - len(numbers), total, where)
        except DatasetError as error:
            raise DatasetError(f"{error}{hint}") from None


def _samples(shard: File) -> dict[str, dict[str, Member]]:
    """Key -> ending -> member. A key is a path up to the first dot of its name."""
    found: defaultdict[str, dict[str, Member]] = defaultdict(dict)
    for member in members(shard.path, shard.id):
        folder, slash, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if not stem:  # hidden: .DS_Store, ._7.jpg
            continue
        parts = found[folder + slash + stem]
        if parts.setdefault(ending.lower(), member) is not member:
            raise DatasetError(f"{shard.id} holds {member.name!r} twice: expected each key once")
    return found


def _image(parts: Mapping[str, Member], where: str) -> Member:
    images = [member for ending, member in parts.items() if f".{ending}" in IMAGE_SUFFIXES]
    if len(images) == 1:
        return images[0]
    raise DatasetError(
        f"{where} has {len(images)} images: got {', '.join(parts)}, expected one (jpg, png, webp, ...)"
    )


def _label(parts: Mapping[str, Member], where: str) -> Any:
    """What stands for the label, as text or JSON."""
    if member := parts.get("cls") or parts.get("cls.txt"):
        return _text(member.read, member.size, where).strip()
    if member := parts.get("json"):
        try:
            data = json.loads(_text(member.read, member.size, where))
        except ValueError as error:
            raise DatasetError(f"{where}: its .json is not JSON: {error}") from error
        if isinstance(data, dict):
            value = next((data[key] for key in _JSON_KEYS if data.get(key) is not None), None)
            if value is not None:
                return value
    raise DatasetError(
        f"{where} has no label: got {', '.join(parts)}, expected .cls, or a .json with one of the keys "
        f"{', '.join(_JSON_KEYS)}"
    )


def _beside(shard: File, name: str, texts: Mapping[str, File]) -> File | None:
    """The text file in the shard's folder, or in one above it."""
    folders = shard.parts[:-1]
    places = ("/".join((*folders[:depth], name)) for depth in range(len(folders), -1, -1))
    return next((texts[place] for place in places if place in texts), None)


def _lines(file: File) -> list[str]:
    text = _text(Path(file.path).read_bytes, file.stamp[0], file.id)
    return [line.strip() for line in text.strip().splitlines()]


def _text(read: Callable[[], bytes], size: int, where: str) -> str:
    if size > _MAX_TEXT:
        raise DatasetError(f"{where}: {size:,} bytes of text, expected at most {_MAX_TEXT:,}")
    try:
        return read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{where} cannot be read: {error}") from error


_BLOCK = 512
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """``size`` bytes at ``offset`` of the file at ``path``; ``name`` as the tar has it."""

    name: str
    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: the file is not there, or shorter than it was.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise OSError(f"{Path(self.path).name} has become shorter")
        return data


def members(path: str, where: str) -> list[Member]:
    """The files in a tar, in order; its end is checked, so that a part of a tar is not taken for all of it.

    Raises:
        DatasetError: it is no uncompressed tar, cut short, or goes on after its end.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            found = [_member(path, info, where) for info in tar if info.isfile()]
            end = tar.offset
        _check_end(path, end, where)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DatasetError(
            f"{where} cannot be read: {error}. Expected a whole .tar; download it again."
        ) from error
    return found


def read_member(places: Sequence[Member], i: int) -> bytes:
    """The bytes of ``places[i]``."""
    return places[i].read()


def _member(path: str, info: tarfile.TarInfo, where: str) -> Member:
    if info.sparse is not None:
        raise DatasetError(f"{where} has the sparse file {info.name!r}: write the tar without sparse files")
    return Member(info.name, path, info.offset_data, info.size)


def _check_end(path: str, end: int, where: str) -> None:
    """Behind the last member stand zeros, at least a block of them, and nothing else."""
    rest = _chunks(path, end)
    first = next(rest, b"")
    if len(first) < _BLOCK:
        raise tarfile.ReadError("it ends before its end mark, as a download that was interrupted")
    if any(chunk.strip(b"\0") for chunk in (first, *rest)):
        raise DatasetError(
            f"{where} goes on after its end mark, as tars that were joined: give them one by one"
        )


def _chunks(path: str, offset: int) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            yield chunk
