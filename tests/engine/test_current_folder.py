"""The current folder may be a stranger's checkout: what the engine starts imports nothing that lies there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(600)

PLANTED = """
import os
from pathlib import Path
with Path(os.environ["SEEN"]).open("a") as file:
    file.write(f"{__name__}\\n")
"""

ON_RAY = """
from importlib.util import find_spec

from imagenet_hard.base.runtime import available_cores
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.ray.engine import RayEngine
from imagenet_hard.engine.ray.pool import WorkerPool
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from tests.engine.small import benchmark

with WorkerPool("local", device="cpu", cpus=available_cores()) as workers:  # one for all cores
    assert workers.call(lambda: find_spec("planted")) is None
    job = Job(load_classifier("own_model:build"), RunSettings(), Store(None, "k"))
    (outcome,) = RayEngine(workers).score([job], benchmark(8))
    assert outcome[1].n_scored == 8, outcome
"""

OWN_MODEL = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        from own_helper import N  # found when it is needed, on the worker
        return torch.nn.functional.one_hot(torch.zeros(len(x), dtype=torch.long), N).float()

def build():
    return Model()
"""

COMPILED = """
import sys
import torch
from imagenet_hard.engine.optimize import compiled

sys.path.insert(0, "")  # as ``python -m`` does
module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.LayerNorm(64)).eval()
with torch.no_grad():
    compiled(module, torch.zeros(2, 64), freeze=True, name="small")
"""


def run(folder: Path, code: str, **more: str) -> None:
    """``code`` in ``folder``, where modules are planted that programs look for by name: none is seen."""
    for name in ("sitecustomize", "usercustomize", "planted", "torch", "numpy", "pydantic"):
        (folder / f"{name}.py").write_text(PLANTED)
    script = folder.parent / "scripts" / "run.py"
    script.parent.mkdir()
    script.write_text(code)
    seen = folder.parent / "seen.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEEN": str(seen), **more}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not seen.exists(), seen.read_text()


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "stranger"
    found.mkdir()
    return found


@pytest.mark.slow
def test_workers_of_a_cluster(folder):
    """Nothing is found there, until one's own classifier is asked for by a module that lies there."""
    pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
    (folder / "own_model.py").write_text(OWN_MODEL)
    (folder / "own_helper.py").write_text("N = 1000\n")
    run(folder, ON_RAY)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_processes_of_the_compiler(folder, tmp_path):
    """They get this process's path, less the current folder."""
    run(folder, COMPILED, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"), TORCHINDUCTOR_COMPILE_THREADS="2")
