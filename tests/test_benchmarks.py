"""The benchmark suite's table and comparison; no benchmark is timed here."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def suite(monkeypatch):
    """The module, imported as it is run: from its own folder."""
    if not FOLDER.is_dir():
        pytest.skip("there are no benchmarks beside these tests")
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("record", "suite"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import suite

    yield suite
    for name in ("record", "suite"):
        sys.modules.pop(name, None)


def row(name="a", ours=2.0, low=1.9, high=2.1, **more):
    values = {"unit": "s", "reference": None, "limit": None, "ratio": None, "of_limit": None}
    return {"name": name, "ours": ours, "low": low, "high": high, **values, **more}


def found(*rows, commit="abc"):
    about = {"commit": commit, "date": "2026-01-01", "machine": "2 cores", "versions": "torch 2"}
    return {"machine": about, "rows": list(rows), "failed": []}


def test_a_row_is_recorded_only_when_asked_for(suite, tmp_path, monkeypatch):
    """Medians of the values, and of the ratios within a repeat."""
    from record import record

    path = tmp_path / "rows.jsonl"
    record("silent", [1.0])
    assert not path.exists()
    monkeypatch.setenv(suite.VARIABLE, str(path))
    record("x", [1.0, 2.0, 4.0], reference=[10.0, 10.0, 10.0], limit=[1.0])
    (got,) = map(json.loads, path.read_text().splitlines())
    assert (got["ours"], got["low"], got["high"]) == (2.0, 1.0, 4.0)
    assert (got["ratio"], got["of_limit"]) == (5.0, 0.5)


def test_the_table_has_every_figure(suite):
    """Empty cells where a benchmark has no reference or no limit."""
    text = suite.table(found(row(), row("b", 300.0, 300.0, 300.0, reference=900.0, ratio=3.0)))
    assert "| a | 2 s | 1.9 to 2.1 |  |  |  |  |" in text
    assert "| b | 300 s |  | 900 s |  | 3.00 |  |" in text
    assert text.startswith("Commit abc, 2026-01-01: 2 cores; torch 2.")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "code"),
    [
        (2.2, 2.4, "slower", 1),
        (1.0, 1.5, "faster", 0),
        (1.5, 2.0, "the same", 0),
        (9.0, 9.0, "measured once", 0),
    ],
)
def test_spreads_that_do_not_meet_are_a_change(suite, capsys, low, high, verdict, code):
    """Exit code 1 where something is slower."""
    assert suite.compare(found(row()), found(row(ours=low, low=low, high=high))) == code
    assert verdict in capsys.readouterr().out


def test_rows_that_came_and_went_are_named(suite, capsys):
    """Nothing is dropped in silence."""
    assert suite.compare(found(row("old")), found(row("new"))) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["new", "new"]
    assert out.splitlines()[2].split() == ["old", "gone"]


def test_the_page_has_the_marks_and_the_scripts_exist(suite):
    """Or `make bench` would fail at its end."""
    text = suite.PAGE.read_text()
    assert text.count(suite.START) == text.count(suite.END) == 1
    assert all((FOLDER / script).is_file() for script, *_ in suite.BENCHMARKS.values())


def test_what_the_scripts_import_of_the_package_is_there():
    """Most run only when somebody asks for their figures."""
    for script in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imagenet_hard."):
                place = FOLDER.parent / node.module.replace(".", "/")
                text = "" if place.is_dir() else place.with_suffix(".py").read_text()
                for name in (each.name for each in node.names):
                    own = re.search(rf"^(?:def |class |(?:\w+, )*){name}\b", text, re.MULTILINE)
                    assert own or (place / f"{name}.py").is_file(), (script.name, node.module, name)
