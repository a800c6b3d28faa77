"""Tables that nothing in a cell can break, and CSV that is read back as it was or refused by line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.tables import Table, exact_csv, package_csv, read_csv, spreadsheet_csv

HOSTILE = "[link=https://example.org]x[/link]|<b>$_\x1b[31m"
SUMS = Table(("name", "n"), [("a", 1), (HOSTILE, 20), ("all", 21)], "lr", title="T [b]", total=True)


def test_in_a_terminal() -> None:
    """Brackets stay brackets, escapes become codes, numbers stand right, a sum under a line of its own."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    console.print(SUMS.terminal())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "T [b]" in text
    assert "[link=https://example.org]x[/link]|<b>$_\\x1b[31m" in text
    assert "\x1b]8;" not in text
    lines = text.splitlines()
    assert lines[4].endswith("│  1 │")
    assert "├" in lines[6]


def test_markdown() -> None:
    """Nothing of a cell is Markdown or HTML."""
    assert SUMS.markdown() == (
        "| name | n |\n| --- | ---: |\n| a | 1 |\n"
        r"| \[link=https\://example.org\]x\[/link\]\|\<b\>$\_\\x1b\[31m | 20 |"
        "\n| all | 21 |\n"
    )


def test_latex() -> None:
    """A tabular of booktabs, the title as a comment."""
    assert SUMS.latex().splitlines()[:6] == [
        "% T [b]",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"name & n \\",
        r"\midrule",
        r"a & 1 \\",
    ]
    assert r"x[/link]|\textless{}b\textgreater{}\$\_\textbackslash{}x1b[31m & 20" in SUMS.latex()


def test_csv_for_people() -> None:
    """No formula; None is empty, numbers are whole."""
    text = spreadsheet_csv(("a", "b", "c"), [("=1+1", None, 1 / 3)])
    assert list(csv.reader(io.StringIO(text))) == [["a", "b", "c"], ["'=1+1", "", repr(1 / 3)]]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(texts.filter(bool), texts), max_size=4))
def test_csv_for_programs_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Any text, line ends and quotes too."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(exact_csv([("a", "b"), *rows]).encode())
    header, found = read_csv(path, ("a", "b"))
    assert header == ["a", "b"]
    assert [tuple(row.cells) for row in found] == rows


def test_rows_have_their_place(tmp_path: Path) -> None:
    """The line where a row begins, after rows of several lines, and blank ones; no byte order mark."""
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n\r\n"x\ny",1\r\nz,2\r\n')
    _, rows = read_csv(path, ("a", "b"))
    assert [(row.place, row.cells) for row in rows] == [
        (f"{path}:3", ["x\ny", "1"]),
        (f"{path}:5", ["z", "2"]),
    ]


def test_chosen_columns_come_in_their_order(tmp_path: Path) -> None:
    """Whatever else the file holds."""
    (tmp_path / "t.csv").write_text("x,b,a\n1,2,3\n")
    header, (row,) = read_csv(tmp_path / "t.csv", ("a", "b"), more=True)
    assert (header, row.cells) == (["a", "b"], ["3", "2"])


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        (b"", False, r"t.csv:1: got the header '', expected a,b; look here"),
        (b"b,a\n", False, r"t.csv:1: got the header 'b,a', expected a,b"),
        (b"a,b,c\n", False, r"t.csv:1: got the header 'a,b,c', expected a,b"),
        (b"a,b,a\n", True, r"t.csv:1: got the header 'a,b,a', expected a,b once each, and any others"),
        (b"a,b\n1,2\n3\n", False, r"t.csv:3: got 1 cell, expected 2 \('a,b'\); look here"),
        (b"a,b\n1,2,3\n", True, r"t.csv:2: got 3 cells, expected 2"),
        (b'a,b\n1,2\n"3\n', False, r"t.csv:3: not CSV: unexpected end of data"),
        (b"a,b\n" + b"1" * 200_000 + b",2\n", False, r"t.csv:2: not CSV: field larger than"),
        (b"a,b\n\xff,2\n", False, r"t.csv is not UTF-8 text"),
        (b"a,b\n" + b"1,2\n" * 300_000, False, r"t.csv has more than 1000000 bytes"),
        (None, False, r"t.csv: it is not there"),
    ],
)
def test_what_is_no_such_file_is_refused(
    tmp_path: Path, data: bytes | None, more: bool, message: str
) -> None:
    """By line, as the error that the caller wants."""
    if data is not None:
        (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_csv(tmp_path / "t.csv", ("a", "b"), more=more, limit=10**6, error=DatasetError, hint="look here")


def test_a_file_of_the_package() -> None:
    """Rows as dicts, by the names of its header."""
    assert package_csv("imagenet_hard.imagenet", "imagenet1k.csv")[2] == {
        "wnid": "n01484850",
        "name": "great white shark",
    }
