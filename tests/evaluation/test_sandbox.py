"""Files that would harm the process that reads them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.base.children import KEPT, bare_environment
from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation import sandbox
from imagenet_hard.evaluation.predictions import predictions_sha256, write_predictions
from imagenet_hard.evaluation.sandbox import read_sandboxed
from tests.evaluation.scored import make_scored


def test_the_same_predictions(tmp_path: Path) -> None:
    """A good file reads to the same values as in this process."""
    p = make_scored(30)[0].predictions
    write_predictions(tmp_path / "p.parquet", p)
    assert predictions_sha256(read_sandboxed(tmp_path / "p.parquet")) == predictions_sha256(p)


def test_the_same_message(tmp_path: Path) -> None:
    """What is wrong with a file is said in the same words."""
    with pytest.raises(ResultError, match="cannot read .*none.parquet: it is not there"):
        read_sandboxed(tmp_path / "none.parquet")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space")
def test_a_list_of_too_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kB that unfold to gigabytes end the child or are refused there, and this process goes on."""
    monkeypatch.setattr(sandbox, "MEMORY_BYTES", 1050 * 2**20)
    n = 12_000_000
    zeros = pa.array(np.zeros(n, np.int16))
    top5 = pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), zeros)
    table = pa.table(
        {
            "id": ["a"],
            "top5": top5,
            "logprob5": pa.array([[-1.0] * 5], pa.list_(pa.float32())),
            "margin": pa.array([1.0], pa.float32()),
        }
    )
    path = tmp_path / "p.parquet"
    pq.write_table(table, path)
    assert path.stat().st_size < 2**20
    with pytest.raises(ResultError, match="not a sound file of answers|expected 5 values|not a readable"):
        read_sandboxed(path)


def test_a_slow_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes too long is given up."""
    monkeypatch.setattr(sandbox, "SECONDS", 0.01)
    with pytest.raises(ResultError, match="more than 0.01 s to read"):
        read_sandboxed(tmp_path / "p.parquet")


def test_nothing_of_the_current_folder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that lie where we stand are not imported, whatever put that folder on the path."""
    p = make_scored(5)[0].predictions
    write_predictions(tmp_path / "p.parquet", p)
    for name in ("imagenet_hard", "numpy", "pyarrow", "pydantic", "runpy", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('PWNED', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "numpy.py"))
    assert predictions_sha256(read_sandboxed("p.parquet")) == predictions_sha256(p)
    assert not list(tmp_path.rglob("PWNED"))


def test_a_child_holds_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing passes but what a program needs to start."""
    for name in ("HF_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MY_OWN", "GIT_DIR"):
        monkeypatch.setenv(name, "secret-value")
    found = bare_environment(OMP_NUM_THREADS="1")
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["PATH"] == os.environ["PATH"]
    assert "secret-value" not in found.values()
    assert set(found) <= KEPT | {"OMP_NUM_THREADS"} | {name for name in found if name.startswith("LC_")}
