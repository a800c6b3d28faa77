"""Label files: image names and their labels, checked."""

from __future__ import annotations

import codecs
import csv
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.files import did_you_mean
from imagenet_hard.dataset.label_rows import FORMATS, Row, is_wnid, label_index, label_rows
from imagenet_hard.dataset.labels import listed
from imagenet_hard.dataset.numbering import own_numbering

log = logging.getLogger(__name__)

LABEL_FILES = ("labels.txt", "labels.csv", "labels.json", "val.txt")
"""Found by themselves in a folder of images; any other name is given with ``labels=``."""

SUFFIXES = frozenset((".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".lst", ".list", ".map", ""))
_UNUSUAL = re.compile(r"""[\\"':]|^\s|\s$|//|^/|/$|(?:^|/)\./""")


def read_label_file(path: Path) -> dict[str, tuple[int, ...]]:
    """Image name -> labels; an empty tuple means: excluded.

    A name is a path, a file name, or a file name without its ending; it is given with "/", and without
    "./" or the host of an address. Bare labels without names are read where they are the 50,000
    validation images' ground truth, in class indices, counted from 1, in the development kit's ids or
    in wnids, which a hash of the outcome proves.

    Raises:
        DatasetError: the file is missing, in no known format, names an image twice with other
            labels, or has a label that is no class; the message names the line.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DatasetError(f"the label file {path} cannot be read: expected {FORMATS}")
    try:
        text = _decoded(path.read_bytes())
    except (OSError, UnicodeError) as error:
        hint = " Expected UTF-8 or UTF-16." if isinstance(error, UnicodeError) else did_you_mean(path)
        raise DatasetError(f"the label file {path} cannot be read: {error}.{hint}") from error
    try:
        table = _table(label_rows(text, path), path.name)
    except csv.Error as error:
        raise DatasetError(f"the label file {path} cannot be read: {error}. Expected {FORMATS}") from error
    if not table:
        raise DatasetError(f"the label file {path} is empty: expected {FORMATS}")
    return table


def _table(rows: Iterable[Row], file: str) -> dict[str, tuple[int, ...]]:
    """Checked labels by plain name; numbers that seem to be no indices are warned of."""
    table: dict[str, tuple[int, ...]] = {}
    known: dict[str, int] = {}  # 50,000 lines have 1000 different labels
    numbers: set[int] = set()
    for given, values, where in rows:
        name, indices = plain_name(given), set()
        for value in listed(values, where):
            label = str(value)
            if label not in known:
                known[label] = label_index(value, where)
                numbers |= set() if is_wnid(label) else {known[label]}
            indices.add(known[label])
        found = tuple(sorted(indices))
        if table.setdefault(name, found) != found:
            raise DatasetError(f"{where} gives {name!r} the labels {found}, but {table[name]} came before")
    if said := own_numbering(numbers):
        log.warning("%s has the labels %s", file, said)
    return table


def plain_name(name: str) -> str:
    """An image's name with "/" between its parts, and without "./", quotes, or the host of an address."""
    if not _UNUSUAL.search(name):
        return name
    name = name.strip().strip("\"'")
    if re.match(r"\w+://", name):
        name = unquote(urlsplit(name).path)
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _decoded(data: bytes) -> str:
    """UTF-8 or UTF-16, with or without a byte-order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:2]:  # ASCII in two bytes each
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    return data.decode("utf-8-sig")
