"""Exclusions: CSV files beside the recipe or in the content folder, read strictly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.runtime import content_dir
from imagenet_hard.curation.sources.exclusions import FOLDER, read_exclusions
from tests.curation.build.test_selection import source

SOURCES = [source("imagenet")]


def read(folder: Path, text: str | bytes, sources=SOURCES) -> dict[str, str]:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "out.csv").write_bytes(data)
    return read_exclusions(["out.csv"], folder / "recipe.yaml", sources)


def test_ids_with_their_reasons(tmp_path):
    """Also as a spreadsheet saves them: with a byte order mark, Windows line ends, quotes, a blank line."""
    assert read(tmp_path, "id,reason\nimagenet/0,ill-posed\n") == {"imagenet/0": "ill-posed"}
    text = '\ufeffid,reason\r\nimagenet/1,"two, or three"\r\n\r\nimagenet/2,\r\n'
    assert read(tmp_path, text) == {"imagenet/1": "two, or three", "imagenet/2": ""}


def test_those_that_come_with_the_project():
    """The paper's recipe names a file of the content folder."""
    assert (content_dir(FOLDER) / "imagenet-hard.csv").is_file()
    assert read_exclusions(["imagenet-hard.csv"], Path("nowhere/recipe.yaml"), SOURCES) == {}


def test_a_source_that_is_cut_by_its_limit_has_more_ids(tmp_path):
    """What lies beyond the limit is no mistake; another source's prefix is."""
    cut = [replace(SOURCES[0], spec=SOURCES[0].spec.model_copy(update={"limit": 4}))]
    assert read(tmp_path, "id,reason\nimagenet/99,x\n", cut) == {"imagenet/99": "x"}
    with pytest.raises(DatasetError, match="the id 'imagenet-r/99' is in no source"):
        read(tmp_path, "id,reason\nimagenet-r/99,x\n", cut)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"out.csv:1: got the header '', expected id,reason"),
        ("image,why\n", r"out.csv:1: got the header 'image,why', expected id,reason"),
        (
            'id,reason\nimagenet/1,"a\nb"\nimagenet/nobody,x\n',
            r"out.csv:4: the id 'imagenet/nobody' is in no source of the recipe \(imagenet\): correct it",
        ),
        (
            "id,reason\nimagenet/1,a, b\n",
            r"out.csv:2: got 3 cells, expected 2 \('id,reason'\); a reason with a comma",
        ),
        ("id,reason\nimagenet/1\n", r"out.csv:2: got 1 cell"),
        ('id,reason\nimagenet/1,"a"b\n', r"out.csv:2: not CSV: "),
        (b"id,reason\nimagenet/1,\xe9\n", r"out.csv is not UTF-8 text"),
    ],
)
def test_bad_files_name_the_line(tmp_path, text, message):
    """What stands there, and what was expected."""
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, text)


def test_a_missing_file_names_both_places(tmp_path):
    """Beside the recipe, and in the content folder."""
    with pytest.raises(DatasetError, match=rf"looked in {tmp_path}/no.csv and .*exclusions/no.csv"):
        read_exclusions(["no.csv"], tmp_path / "recipe.yaml", SOURCES)
