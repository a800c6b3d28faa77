"""Images that a recipe leaves out whatever the classifiers say: CSV files of ``id,reason``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.runtime import content_dir
from imagenet_hard.base.text import shorten
from imagenet_hard.curation.records import OpenSource

FOLDER = "curation/exclusions"
COLUMNS = ["id", "reason"]


def read_exclusions(names: Sequence[str], recipe: Path, sources: Sequence[OpenSource]) -> dict[str, str]:
    """Id -> reason from CSV files beside the recipe or in the content folder; a later row wins.

    Ids of images that were solved are fine, and so are those of a source that is cut by ``limit``.

    Raises:
        DatasetError: a file that is not there or no such CSV, or an id that no source has.
    """
    known = {id for source in sources for id in source.images.ids}
    cut = tuple(f"{source.spec.id}/" for source in sources if source.spec.limit is not None)
    found: dict[str, str] = {}
    for name in names:
        path = _find(name, recipe)
        for line, id, reason in _rows(path):
            if id not in known and not id.startswith(cut):
                raise DatasetError(
                    f"{path}:{line}: the id {shorten(id)} is in no source of the recipe ("
                    f"{', '.join(source.spec.id for source in sources)}): correct it, or delete the line"
                )
            found[id] = reason
    return found


def _find(name: str, recipe: Path) -> Path:
    places = [recipe.parent / name, content_dir(FOLDER) / name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DatasetError(f"the exclusions {name} are not there: looked in {places[0]} and {places[1]}")
    return path


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, id, reason) of each row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the exclusions {path} cannot be read: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        if (header := next(reader, [])) != COLUMNS:
            raise DatasetError(f"{path}:1: got the header {shorten(','.join(header))}, expected id,reason")
        line = reader.line_num + 1
        for fields in reader:
            if fields:
                if len(fields) != len(COLUMNS):
                    raise DatasetError(
                        f"{path}:{line}: got {len(fields)} fields, expected id,reason; a reason with a comma "
                        "stands in double quotes"
                    )
                yield line, fields[0], fields[1]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"{path}:{line}: not CSV: {error}") from None
