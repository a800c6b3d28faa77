"""The results table as text, and the one in a README."""

from __future__ import annotations

import csv
import io
import json

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.published import load_table
from imagenet_hard.leaderboard.site.table import (
    END,
    FORMATS,
    START,
    is_current,
    published_markdown,
    write_between,
)
from tests.leaderboard.site.boards import made_up


@pytest.fixture(scope="module")
def board():
    """Six entries."""
    return made_up(m=6, n=200)


def test_markdown_has_a_row_per_entry(board):
    """Rank, name, percent and interval as on the page; ``top`` keeps the first, ranked among all."""
    lines = FORMATS["markdown"]([board], None).splitlines()
    best = board.entries[0]
    assert len(lines) == 2 + 2 + 6
    assert f"| {best.name} | {best.org} | {100 * best.top1.accuracy:.2f} |" in lines[4]
    short = FORMATS["markdown"]([board], 2)
    assert short.splitlines()[4:] == lines[4:6]
    assert "The first 2 of 6." in short


def test_csv_and_json_hold_the_same_numbers(board):
    """Counts and shares are plain numbers in both."""
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]([board], 4))))
    entries = json.loads(FORMATS["json"]([board], 4))[0]["entries"]
    assert len(rows) == len(entries) == 4
    for row, entry, e in zip(rows, entries, board.entries[:4], strict=True):
        assert int(row["n_correct"]) == entry["top1"]["n_correct"] == e.top1.n_correct
        assert float(row["top1"]) == entry["top1"]["accuracy"] == e.top1.accuracy
        assert float(row["top1 ObjectNet"]) == e.origins["ObjectNet"].accuracy
        assert int(row["rank_high"]) == entry["rank"]["high"]


def test_hostile_names_stay_in_their_cell():
    """Markdown, LaTeX and spreadsheets see text: no table cell, link, mention, command or formula."""
    name = "=1+1 |x| [a](https://b) @you <b> \\input{x} 50% & $1_2^3~"
    board = made_up(m=2, n=30, name=name)
    cell = FORMATS["markdown"]([board], None).splitlines()[4]
    assert cell.replace("\\|", "").count("|") == 11
    assert "\\@you" in cell
    assert "\\[a\\]" in cell
    line = FORMATS["latex"]([board], None).splitlines()[5]
    assert "\\textbackslash{}input\\{x\\} 50\\% \\& \\$1\\_2\\textasciicircum{}3\\textasciitilde{}" in line
    row = next(csv.DictReader(io.StringIO(FORMATS["csv"]([board], None))))
    assert row["name"].startswith("'=1+1")


def test_no_entries():
    """An empty board says so."""
    assert FORMATS["markdown"]([], None) == "No entry has been submitted yet.\n"
    assert json.loads(FORMATS["json"]([], None)) == []


def test_published_figures_stand_best_first_as_reported():
    """As the paper's table prints them, two places each, with their source and without a rank."""
    lines = published_markdown(load_table("paper-final")).splitlines()
    assert lines[0].endswith(
        "10,980 images, as reported in [arXiv 2304.05538](https://arxiv.org/abs/2304.05538):"
    )
    assert lines[4] == "| EfficientNet-L2-Ns | 39.00 |"
    assert lines[-1] == "| CLIP-ViT-L/14\\@224px | 1.86 |"
    assert len(lines) == 4 + 12


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_readme_is_written_and_checked(board, tmp_path, newline):
    """Only what stands between the markers changes; line ends are kept; a second run changes nothing."""
    readme, table = tmp_path / "README.md", FORMATS["markdown"]([board], 3)
    text = f"# A{newline}{START}{newline}old{newline}{END}{newline}after{newline}"
    readme.write_bytes(text.encode())
    assert not is_current(readme, table)
    assert write_between(readme, table)
    assert is_current(readme, table)
    assert not write_between(readme, table)
    written = readme.read_bytes().decode()
    assert written.startswith(f"# A{newline}{START}{newline}**Made up**")
    assert written.endswith(f"{END}{newline}after{newline}")
    assert (written.count("\r\n") == written.count("\n")) == (newline == "\r\n")


@pytest.mark.parametrize("text", ["no markers", START, f"{END}\n{START}", f"{START}\n{START}\n{END}"])
def test_a_readme_without_its_place_is_refused(tmp_path, text):
    """Nothing is appended by guess; the message names the two lines."""
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UsageError, match="expected one line <!-- leaderboard:start -->"):
        write_between(readme, "x")
    assert readme.read_text() == text
