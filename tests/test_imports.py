"""Torch stays out where it isn't needed, and starting the command line is quick because of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
        for name in ("doubts", "submit", "verify", "leaderboard")
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
    """The probe does see torch where it is imported, and not before."""
    before, after = loaded_after("import imagenet_hard", "import torch")
    assert before == set()
    assert "torch" in after


def test_every_public_name_exists():
    """`__all__` promises nothing that isn't there."""
    import imagenet_hard

    for name in imagenet_hard.__all__:
        assert getattr(imagenet_hard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = imagenet_hard.nonsense
