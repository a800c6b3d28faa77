"""Labels: checked values, and the label files that people have.

A label is a class index in 0..999 or a wnid; an image may have several.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from operator import index as as_int
from pathlib import Path
from typing import Any

from imagenet_hard.classes import wnid_to_index
from imagenet_hard.errors import DatasetError
from imagenet_hard.types import N_CLASSES

LABEL_FILES = ("labels.txt", "labels.csv", "labels.json", "val.txt")
"""Found by themselves in a folder of images; any other name is given with ``labels=``."""

_NAME_COLUMNS = ("id", "file", "filename", "file_name", "image", "image_id", "imageid", "name", "path")
_LABEL_COLUMNS = ("label", "labels", "class", "class_index", "wnid", "synset")
_FORMATS = (
    "a .txt file of 'NAME LABEL' lines, a .csv file with a header such as 'file,label', or a .json file: "
    "a dict NAME -> label(s), or a list of label lists in the order of the validation images"
)


def checked(value: Any, where: str) -> tuple[int, ...]:
    """One row's label or labels as a sorted tuple of class indices without repeats.

    Raises:
        DatasetError: there is none (None, -1, an empty list), or one is no integer in 0..999.
    """
    values = value if isinstance(value, list | tuple) else [value]
    if not values or any(v is None or v == -1 for v in values):
        raise DatasetError(
            f"{where} is without labels: got {value!r}, expected one or more class indices in "
            f"0..{N_CLASSES - 1}. Test splits cannot be scored; choose a split with labels."
        )
    return tuple(sorted({_in_range(v, where) for v in values}))


def _in_range(value: Any, where: str) -> int:
    try:
        number = as_int(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number < N_CLASSES:
        hint = " (labels that count from 1? subtract 1)" if number == N_CLASSES else ""
        raise DatasetError(
            f"{where} has the label {value!r}: expected an integer class index in 0..{N_CLASSES - 1}{hint}"
        )
    return number


def parse_label(text: str, where: str) -> int:
    """A class index from "65" or from "n01751748".

    Raises:
        DatasetError: it is neither.
    """
    text = text.strip()
    if (index := wnid_to_index().get(text)) is not None:
        return index
    if re.fullmatch(r"[+-]?\d+", text):
        return _in_range(int(text), where)
    raise DatasetError(
        f"{where} has the label {text!r}: expected a class index in 0..{N_CLASSES - 1} or one of the "
        f"{N_CLASSES} wnids such as n01440764"
    )


def read_label_file(path: Path) -> dict[str, tuple[int, ...]]:
    """Image name -> labels, from a .txt, .csv or .json file; an empty tuple means: excluded.

    A name is a path relative to the folder, a file name, or a file name without its ending.

    Raises:
        DatasetError: the file is missing, in no known format, names an image twice with other
            labels, or has a label that is no class; the message names the line.
    """
    readers = {".txt": _from_lines, ".csv": _from_csv, ".json": _from_json}
    if path.suffix.lower() not in readers:
        raise DatasetError(f"the label file {path} cannot be read: expected {_FORMATS}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the label file {path} cannot be read: {error}") from error
    table: dict[str, tuple[int, ...]] = {}
    for name, labels, where in readers[path.suffix.lower()](text, path.name):
        found = tuple(sorted(set(labels)))
        if table.setdefault(name, found) != found:
            raise DatasetError(f"{where} gives {name!r} the labels {found}, but {table[name]} came before")
    if not table:
        raise DatasetError(f"the label file {path} is empty: expected {_FORMATS}")
    return table


Rows = Iterable[tuple[str, list[int], str]]


def _from_lines(text: str, file: str) -> Rows:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{file}, line {number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        # Names may have blanks (ImageNet-A), so only the last field is the label.
        name, *rest = [part.strip() for part in line.rsplit("\t" if "\t" in line else None, maxsplit=1)]
        if not rest:
            raise DatasetError(f"{where}: got {line.strip()!r}, expected 'NAME LABEL' or 'NAME LABEL,LABEL'")
        yield name, [parse_label(part, where) for part in rest[0].split(",")], where


def _from_csv(text: str, file: str) -> Rows:
    reader = csv.DictReader(text.splitlines())
    header = list(reader.fieldnames or ())
    name, label = _column(header, _NAME_COLUMNS), _column(header, _LABEL_COLUMNS)
    if name is None or label is None:
        raise DatasetError(
            f"{file}: got the header {', '.join(header) or '(none)'}, expected one column of "
            f"{', '.join(_NAME_COLUMNS)} and one of {', '.join(_LABEL_COLUMNS)}"
        )
    for row in reader:
        where = f"{file}, line {reader.line_num}"
        parts = re.split(r"[\s;,|]+", (row[label] or "").strip("[] "))
        yield row[name], [parse_label(part, where) for part in parts if part], where


def _from_json(text: str, file: str) -> Rows:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DatasetError(f"{file} is no JSON: {error}") from error
    if isinstance(data, list):  # ImageNet-ReaL: place i is validation image i + 1
        data = {f"ILSVRC2012_val_{i:08d}": labels for i, labels in enumerate(data, start=1)}
    if not isinstance(data, Mapping):
        raise DatasetError(f"{file}: got a JSON {type(data).__name__}, expected {_FORMATS}")
    for name, value in data.items():
        where = f"{file}, {name!r}"
        values = value if isinstance(value, list) else [value]
        yield (
            name,
            [parse_label(v, where) if isinstance(v, str) else _in_range(v, where) for v in values],
            where,
        )


def _column(header: list[str], accepted: tuple[str, ...]) -> str | None:
    known = {column.strip().lower(): column for column in header}
    return next((known[name] for name in accepted if name in known), None)
