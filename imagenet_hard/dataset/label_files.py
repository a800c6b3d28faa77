"""Label files: image names and their labels, read from lines, CSV, JSON or bare labels, and checked.

The content decides how a file is read, rather than its ending.
"""

from __future__ import annotations

import codecs
import csv
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.dataset.files import IMAGE_SUFFIXES, did_you_mean
from imagenet_hard.dataset.ground_truth import N_VALIDATION, VALIDATION, ground_truth, validation_number
from imagenet_hard.dataset.labels import FEW, in_range, listed, own_numbering, parse_label, split_labels
from imagenet_hard.imagenet.classes import wnid_to_index

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


def _table(rows: Iterable[LabelRow], file: str) -> dict[str, tuple[int, ...]]:
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


# In order of preference: a path says more than an id, and a wnid more than a number. Without "_" and blanks.
_PATHS = ("file", "filename", "filepath", "path", "image", "imagepath", "img", "imagename")
_NAME_COLUMNS = (*_PATHS, "name", "key", "imageid", "id")
_NUMBERS = ("label", "labels", "classindex", "classidx", "classid", "labelid", "target", "class")
_LABEL_COLUMNS = ("wnid", "synset", *_NUMBERS, "predictionstring")
FORMATS = (
    "a .txt file of 'NAME LABEL' lines, a .csv file with a header such as 'file,label', a .json file: "
    "a dict NAME -> label(s), or a list of label lists in the order of the validation images; or JSON lines "
    'such as {"file": NAME, "label": LABEL}'
)
_LABEL = r"(?:[+-]?\d+(?:\.0*)?|n\d{8})"
_BETWEEN = r"[\s,;|]+"
_ENDINGS = "|".join(suffix[1:] for suffix in sorted(IMAGE_SUFFIXES))
# Names may have blanks and commas (ImageNet-A): with an ending the name goes up to it, ...
_ENDED_LINE = re.compile(rf"(?P<name>.*\.(?:{_ENDINGS})[\"']?)(?:{_BETWEEN}|\s*:\s*)(?P<labels>.*)", re.I)
# ... else up to the labels at the end, ...
_LABELLED_LINE = re.compile(
    rf"(?P<name>.+?){_BETWEEN}(?P<labels>\[?{_LABEL}(?:{_BETWEEN}{_LABEL})*\]?)", re.I
)
# ... or to the last blank, for a message on what follows.
_OTHER_LINE = re.compile(r"(?P<name>.*)\s(?P<labels>\S+)")
_SIMPLE_LINE = re.compile(rf"(?P<name>[^\s,;|:\"']+)\s+(?P<labels>{_LABEL})", re.I)
# Kaggle's LOC_val_solution.csv and Tiny ImageNet's val_annotations.txt: a wnid and a box, or several.
_BOXES = re.compile(r"(?:n\d{8}(?:\s+\d+(?:\.\d+)?){4}\s*)+")

LabelRow = tuple[str, Sequence[Any], str]
"""Name, labels as they stand there, and where, for messages."""


def label_rows(text: str, path: Path) -> Iterable[LabelRow]:
    """The rows of a label file with this text; ``path`` gives its name and ending.

    Raises:
        DatasetError: the text is in no known form; the message names the line.
    """
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson") or text.lstrip()[:1] in ("{", "["):
        return _from_json(text, path.name)
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if lines and (delimiter := _delimiter(lines[0][1])) is not None:
        return _from_csv(text, path.name, delimiter)
    if lines and all(re.fullmatch(_LABEL, line, re.I) for _, line in lines):
        return _from_bare([line for _, line in lines], path.name)
    if path.suffix.lower() in (".csv", ".tsv") and not (lines and _split(lines[0][1])):
        header = next(csv.reader([lines[0][1]])) if lines else []
        raise _no_columns(path.name, header)
    return _from_lines(lines, path.name)


def _from_lines(lines: Iterable[tuple[int, str]], file: str) -> Iterable[LabelRow]:
    rows: list[LabelRow] = []
    for number, line in lines:
        where = f"{file}, line {number}"
        found = _split(line)
        if found is None:
            match = _OTHER_LINE.fullmatch(line)
            if match is None:
                raise DatasetError(f"{where}: got {line!r}, expected 'NAME LABEL' or 'NAME LABEL,LABEL'")
            found = match["name"], [match["labels"]]
        _refuse_two_numberings(found[1], where)
        rows.append((*found, where))
    if len(rows) >= FEW and all(_numbers(values) == [validation_number(name)] for name, values, _ in rows):
        raise DatasetError(
            f"{file} numbers the images, as ImageSets/CLS-LOC/val.txt does ({rows[0][0]} {rows[0][1][0]}): "
            "these are no labels. Give the ground truth, such as LOC_val_solution.csv"
        )
    return rows


def _refuse_two_numberings(labels: Sequence[str], where: str) -> None:
    """NAME WNID NUMBER says one class in two ways, or else the number is another numbering's."""
    both = len(labels) == 2 and any(map(is_wnid, labels)) and set(_numbers(labels))
    if both and {label_index(label, where) for label in labels} != both:
        raise DatasetError(
            f"{where} has a wnid and a number that disagree: {' '.join(labels)}. Keep the wnids"
        )


def _split(line: str) -> tuple[str, list[str]] | None:
    """Name and labels of a line, or None where it does not end in labels."""
    if match := _SIMPLE_LINE.fullmatch(line):
        return match["name"], [match["labels"]]
    if "\t" in line:
        name, labels = line.split("\t", maxsplit=1)
    elif match := _ENDED_LINE.fullmatch(line) or _LABELLED_LINE.fullmatch(line):
        name, labels = match["name"], match["labels"]
    else:
        return None
    parts = _parts(labels)
    return (name, parts) if parts and all(re.fullmatch(_LABEL, part, re.I) for part in parts) else None


def _parts(text: str) -> list[str]:
    """The labels in a cell: "5", "5 6", "[5, 6]", or the wnids of boxes."""
    if _BOXES.fullmatch(text.strip()):
        return [part for part in text.split() if part.startswith("n")]
    return split_labels(text)


def _from_csv(text: str, file: str, delimiter: str) -> Iterator[LabelRow]:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
    reader = csv.DictReader(lines[start:], delimiter=delimiter)
    name, label = _used(reader.fieldnames or (), file)
    for row in reader:
        yield row[name] or "", _parts(row[label] or ""), f"{file}, line {start + reader.line_num}"


def _delimiter(header: str) -> str | None:
    """What parts the columns of a header that has one for names and one for labels."""
    for delimiter in ",;\t|":
        if all(_columns(next(csv.reader([header], delimiter=delimiter)))):
            return delimiter
    return None


def _from_json(text: str, file: str) -> Iterable[LabelRow]:
    try:
        data = json.loads(text, object_pairs_hook=partial(_once, file))
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            data = [json.loads(line, object_pairs_hook=partial(_once, file)) for line in lines]
        except (ValueError, RecursionError):
            data = []
        if len(data) < 2:
            raise DatasetError(f"{file} is not JSON: {error}") from error
    if isinstance(data, Mapping) and all(_columns(list(data))):
        data = [data]  # JSON lines of one line
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        return _from_records(data, file)
    if isinstance(data, list) and len(data) == N_VALIDATION and not any(isinstance(v, list) for v in data):
        return _from_bare([str(value) for value in data], file)
    if isinstance(data, list):  # ImageNet-ReaL: place i is validation image i + 1
        data = {VALIDATION.format(i): labels for i, labels in enumerate(data, start=1)}
    if not isinstance(data, Mapping):
        raise DatasetError(f"{file}: got a JSON {type(data).__name__}, expected {FORMATS}")
    return [
        (name, value if isinstance(value, list) else [value], f"{file}, {name!r}")
        for name, value in data.items()
    ]


def _once(file: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names do not repeat with another value: ``json`` would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise DatasetError(f"{file} gives {name!r} the value {value!r}, but {found[name]!r} came before")
    return found


def _from_records(records: Sequence[Mapping[str, Any]], file: str) -> Iterator[LabelRow]:
    name, label = _used(list(records[0]), file)
    for number, record in enumerate(records, start=1):
        where = f"{file}, record {number}"
        if name not in record or label not in record:
            raise DatasetError(f"{where} has no {name!r} or no {label!r}: expected both in each record")
        value = record[label]
        yield str(record[name]), value if isinstance(value, list) else [value], where


def label_index(value: Any, where: str) -> int:
    """The class index of one label, as text or as a JSON number.

    Raises:
        DatasetError: it is no class; ``where`` says whose it is.
    """
    if isinstance(value, str):
        return parse_label(value, where)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return in_range(value, where)


def _from_bare(labels: Sequence[str], file: str) -> Iterable[LabelRow]:
    """Labels without names, in the order of the validation images."""
    truth = ground_truth(labels)
    if truth is None:
        raise DatasetError(
            f"{file} has {len(labels):,} labels without names: such a file is read where it is the ground "
            f"truth of the {N_VALIDATION:,} validation images in their order (the development kit's "
            "ILSVRC2012_validation_ground_truth.txt, or class indices, or wnids), and this one is not. "
            f"Expected {FORMATS}"
        )
    return [(VALIDATION.format(i), [index], f"{file}, line {i}") for i, index in enumerate(truth, start=1)]


def is_wnid(label: str) -> bool:
    """Whether a label is one of the 1000 wnids, in any letters."""
    return label.strip().lower() in wnid_to_index()


def _numbers(values: Sequence[Any]) -> list[int]:
    """Those of a row's labels that are numbers."""
    texts = (str(value).strip() for value in values)
    return [int(match[1]) for text in texts if (match := re.fullmatch(r"(\d{1,9})(\.0*)?", text))]


def _used(header: Sequence[str], file: str) -> tuple[str, str]:
    """The columns of names and of labels.

    Raises:
        DatasetError: there is none, or two of one name, of which either may be meant.
    """
    name, label = _columns(header)
    if name is None or label is None:
        raise _no_columns(file, header)
    for used in (name, label):
        if len(same := [column for column in header if _plain(column) == _plain(used)]) > 1:
            raise DatasetError(
                f"{file} has {len(same)} columns with the same name, {' and '.join(map(repr, same))}: which "
                "one is meant? Remove or rename the others"
            )
    return name, label


def _columns(header: Sequence[str]) -> tuple[str | None, str | None]:
    """The columns of names and of labels."""
    known = {_plain(column): column for column in header}
    name, label = (
        next((known[name] for name in accepted if name in known), None)
        for accepted in (_NAME_COLUMNS, _LABEL_COLUMNS)
    )
    return name, label


def _plain(column: str) -> str:
    return re.sub(r"[\s_-]", "", column).lower()


def _no_columns(file: str, header: Sequence[str]) -> DatasetError:
    return DatasetError(
        f"{file}: got the header {', '.join(header) or '(none)'}, expected one column of names (such as "
        "file, file_name, image, path or id) and one of labels (such as wnid, label or class_index)"
    )
