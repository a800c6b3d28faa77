"""The page about the house is true: its rooms, their order and sentences, and the files that it names."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "imagenet_hard"


@pytest.fixture(scope="module")
def page() -> str:
    path = ROOT / "docs" / "architecture.md"
    if not path.is_file():
        pytest.skip("there are no docs beside these tests")
    return path.read_text("utf-8")


def table(page: str, head: str) -> list[list[str]]:
    """The rows of the table whose first head is ``head``."""
    lines = page[page.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_rooms_stand_as_the_contract_says(page):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each["name"] == "rooms import downwards only"]
    contract = [[room.strip().removeprefix("imagenet_hard.") for room in line.split("|")] for line in layers]
    assert [row[0].split(", ") for row in table(page, "room")] == contract


def test_the_folders_are_those_rooms_and_no_more(page):
    rooms = {name for row in table(page, "room") for name in row[0].split(", ")}
    assert len(rooms) <= 12
    assert {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))} == rooms
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


def test_the_sentences_are_the_rooms_own(page):
    for names, said in table(page, "room"):
        texts = [(PACKAGE / name / "__init__.py").read_text("utf-8") for name in names.split(", ")]
        own = [ast.get_docstring(ast.parse(text)) for text in texts]
        assert said == " ".join(each.partition("\n")[0] for each in own if each)


def test_every_folder_says_what_it_is_for():
    for folder in {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        assert said, folder
        assert said.partition("\n")[0].endswith("."), folder


def test_every_file_that_the_page_names_is_there(page):
    named = re.findall(r"`([\w./-]+/[\w.-]*)`", page)
    assert len(named) > 20
    for name in named:
        assert any((root / name).exists() for root in (PACKAGE, ROOT)), name
