"""The board's columns are said once: what is added to the lists stands everywhere."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest

from imagenet_hard.leaderboard.site import columns
from imagenet_hard.leaderboard.site.build import site_files
from imagenet_hard.leaderboard.site.columns import COLUMNS, FIELDS, FILTERS, Column, Field
from imagenet_hard.leaderboard.site.table import FORMATS
from tests.leaderboard.site.boards import made_up, site

SITE = files("imagenet_hard.leaderboard.site")


def test_the_lists_hold_together():
    """No name twice; what a column or a filter shows is a field; a cell of its own has a macro."""
    names = [field.name for field in FIELDS]
    assert len(set(names)) == len(names)
    for keys in ([column.key for column in COLUMNS], [each.key for each in FILTERS]):
        assert len(set(keys)) == len(keys)
    shown = {name for column in COLUMNS for name in (*column.fields, *column.sort)}
    assert shown | {each.field for each in FILTERS} <= set(names)
    macros = re.findall(r"macro (\w+)\(c, e,", SITE.joinpath("templates/cells.html.jinja").read_text("utf-8"))
    assert {column.macro for column in COLUMNS} - {""} <= set(macros)


def test_a_new_column_stands_everywhere(monkeypatch):
    """One field and one column: page, scripts, entry's page, CSV, JSON, Markdown and LaTeX have it."""

    def year(entry):
        return entry.date.year

    field = Field("year", year, title="Year of the score", search=True)
    column = Column(
        key="y", title="Year", fields=("year",), text=lambda e: str(year(e)), number=True, about="Said so"
    )
    monkeypatch.setattr(columns, "FIELDS", (*FIELDS, field))
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, column))
    board = made_up(m=3, n=40)
    made = {name: data.decode("utf-8", "replace") for name, data in site_files(site(board))}
    best = board.entries[0]
    page = made["index.html"]
    assert '<th scope="col" data-key="y" class="num"><abbr title="Said so">Year</abbr></th>' in page
    assert '<input type="checkbox" value="y"> Year</label>' in page
    assert page.count(f'<td class="num">{year(best)}</td>') == 1
    assert f"<dt>Year of the score</dt><dd>{year(best)}</dd>" in made[f"entries/{best.id}.html"]
    data = json.loads(re.sub(r"^.*?,(?={)|\);\s*$", "", made["data/made-up/board.js"]))
    assert "y" in [each["key"] for each in data["columns"]]
    assert "year" in data["search"]
    assert data["rows"][0][data["fields"].index("year")] == year(best)
    assert next(csv.DictReader(io.StringIO(made["downloads/made-up.csv"])))["year"] == str(year(best))
    for name in ("downloads/made-up.json", f"downloads/entries/{best.id}.json"):
        found = json.loads(made[name])
        assert found.get("entries", [found])[0]["year"] == year(best)
    assert FORMATS["markdown"]([board], 1).splitlines()[4].endswith(f"| {year(best)} |")
    assert f"& {year(best)} \\\\" in FORMATS["latex"]([board], 1)


@pytest.mark.parametrize(
    "name", ["training_data", "trained_on", "rank_low", "effective_robustness", "rank_diff"]
)
def test_no_template_and_no_download_knows_a_column(name):
    """What a column is called stands in the lists and in the records, not where they are written out."""
    read = [SITE.joinpath(f"{module}.py") for module in ("pages", "downloads", "data_files", "table", "cite")]
    read += [*SITE.joinpath("templates").iterdir(), SITE.joinpath("static/js/table.js")]
    assert [each.name for each in read if re.search(rf"\b{name}\b", each.read_text("utf-8"))] == []


def test_filters_offer_what_entries_have():
    """Values in order, each once, tiers from the least; nothing where nothing is said."""
    board = made_up(m=8, n=40)
    options = {each.key: [value for value, _ in each.options(board.entries)] for each in FILTERS}
    assert options["backend"] == ["open_clip", "timm", "torchvision"]
    assert options["tier"] == ["self-reported", "re-scored", "spot-checked", "reproduced"]
    assert options["curation"] == ["no", "yes"]
    silent = [replace(e, record=e.record.model_copy(update={"training_data": ""})) for e in board.entries]
    (words,) = (each for each in FILTERS if each.key == "training")
    assert words.options(silent) == ()
    assert options["trained"] == ["ImageNet-1k only", "ImageNet-21k", "unstated"]


def test_training_data_are_filtered_by_where_an_entry_states_them():
    """By sets: group, teacher and words stand in a row's data; where nobody says there is no such choice."""
    board = made_up(m=8, n=40)
    keys = [each.key for each in columns.filters_of(board)]
    assert {"trained", "distilled"} <= set(keys)
    silent = [replace(e, record=e.record.model_copy(update={"training": None})) for e in board.entries]
    there = [each.key for each in columns.filters_of(replace(board, entries=tuple(silent)))]
    assert there == [key for key in keys if key not in ("trained", "distilled")]
    by_id = {e.id: {f.name: f.plain(e) for f in columns.FIELDS} for e in board.entries}
    first = by_id["lab0__model-0"]
    assert (first["training_group"], first["distilled"]) == ("ImageNet-1k only", False)
    assert first["trained_on"] == "ImageNet-1k (1.3 M)"
    assert (by_id["lab2__model-2"]["training_group"], by_id["lab2__model-2"]["trained_on"]) == (
        "unstated",
        "",
    )
    (fact,) = (each for each in columns.FIELDS if each.name == "trained_on")
    written = {e.id: fact.written(e) for e in board.entries}
    assert written["lab1__model-1"] == (
        "ImageNet-21k (14.2 M); fine-tuned on ImageNet-1k (1.3 M), as the name of its weights says"
    )
