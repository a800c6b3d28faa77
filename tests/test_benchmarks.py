"""The benchmark suite's table and comparison; no benchmark is timed here."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engine.small import jpeg

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


@pytest.fixture
def gpu(monkeypatch):
    """The script's module, with a network that takes no time in place of its models."""
    if not FOLDER.is_dir():
        pytest.skip("there are no benchmarks beside these tests")
    monkeypatch.syspath_prepend(str(FOLDER))
    own = ("record", "images", "evaluation", "curation", "gpu")
    for name in own:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gpu

    yield gpu
    for name in own:
        sys.modules.pop(name, None)


@pytest.fixture
def tiny(gpu, tmp_path):
    """A run of a few small images on the CPU."""
    import torch
    from torch import nn

    import imagenet_hard

    def network():
        layers = nn.Conv2d(3, 8, 16, stride=16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000)
        return nn.Sequential(*layers)

    for number in range(16):
        (tmp_path / f"{number:02}.jpg").write_bytes(jpeg(number))
    (tmp_path / "labels.txt").write_text("".join(f"{number:02}.jpg {number}\n" for number in range(16)))
    device, source = torch.device("cpu"), imagenet_hard.load_dataset(tmp_path)
    return gpu.Run(device, source, 16, 4, {"tiny": lambda: gpu.random_model(network)})


def test_each_part_for_a_gpu_runs_on_a_cpu(gpu, tiny, capsys):
    """All but the cluster's, with predictions that are the CPU's, and shares of a limit."""
    rows = gpu.measure(tiny, [part for part in gpu.PARTS if part != "ray"])
    assert [row.what for row in rows if not row.good] == []
    names = [row.what.split(",")[0] for row in rows]
    timed = ["evaluation fp32", "evaluation bf16", "hardness filter", "zoom study", "zoom TTA of 16 views"]
    assert names == [*timed, "memory that runs out", "pixels to the device"]
    assert all(max(row.forward, row.decode) / row.ours > 0 for row in rows[:5])
    assert rows[5].said == "batches of 16 became 4, 0 predictions changed"
    assert "4 of 4 predictions are the CPU's" in rows[0].said
    text = gpu.table(rows)
    assert text.count("\n") >= len(rows) + 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_part_on_a_cluster_runs_on_a_cpu(gpu, tiny):
    """One replica a core in place of one a GPU; the network is made here, and sent."""
    pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
    (row,) = gpu.measure(tiny, ["ray"])
    n = gpu.available_cores()
    assert row.good, row.said
    assert row.said == f"{n} replicas on {n}; 16 of 16 predictions are one device's"


def test_what_is_wrong_on_a_gpu_shows(gpu, tiny, monkeypatch):
    """Other predictions, a part that fails, and shares of the limit, by hand."""
    scored, calls = gpu.scored, []

    def wrong(*args, **kwargs):
        """The first time other classes than later, by margins that are no near-ties."""
        predictions, report = scored(*args, **kwargs)
        calls.append(args)
        top5, margin = np.full_like(predictions.top5, len(calls) > 1), np.ones_like(predictions.margin)
        return dataclasses.replace(predictions, top5=top5, margin=margin), report

    def failing(run):
        raise RuntimeError("no kernel")
        yield

    monkeypatch.setitem(gpu.PARTS, "copies", failing)
    (row,) = gpu.measure(tiny, ["copies"])
    assert row.cells()[-1] == "WRONG: RuntimeError: no kernel"
    monkeypatch.setattr(gpu, "scored", wrong)
    (row,) = gpu.measure(tiny, ["memory"])
    assert not row.good
    assert gpu.Row("x", 2.0, 1.5, 1.0).cells() == ("x", "2", "1.5", "1", "0.75", "1.25", "")


def test_without_a_gpu_it_says_what_it_needs(gpu, monkeypatch, capsys):
    """And ends as a command that has nothing to do."""
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert gpu.main() == 0
    assert "sees no CUDA device. This needs an NVIDIA GPU, its driver" in capsys.readouterr().out
