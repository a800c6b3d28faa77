"""What a result says about the machine, and what it keeps to itself."""

from __future__ import annotations

import getpass
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import imagenet_hard.evaluation.environment as module
from imagenet_hard.base.runtime import __version__
from imagenet_hard.evaluation.environment import checkout_state, environment


def test_versions_are_named() -> None:
    """Python, this package and the packages that touch the numbers."""
    found = environment()
    assert found.python == platform.python_version()
    assert found.versions["imagenet-hard"] == __version__
    assert {"torch", "numpy", "pillow"} <= set(found.versions)


def test_nothing_personal() -> None:
    """No user, no host, no path."""
    text = environment().model_dump_json()
    assert str(Path.home()) not in text
    assert str(Path(__file__).parents[2]) not in text
    for name in (platform.node(), getpass.getuser()):
        assert len(name) < 4 or f'"{name}' not in text


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *options, "-C", folder, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_checkout_has_a_commit_and_may_be_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of the checkout itself; dirty once the package has a changed or new file."""
    (tmp_path / "imagenet_hard").mkdir()
    module = tmp_path / "imagenet_hard" / "a.py"
    module.write_text("1")
    git(tmp_path, "init", "-q")
    assert checkout_state(tmp_path) == (None, None)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "r.json").write_text("")
    # As in a hook, where git names another repository.
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert checkout_state(tmp_path) == (commit, False)
    module.write_text("2")
    assert checkout_state(tmp_path) == (commit, True)
    module.write_text("1")
    (tmp_path / "imagenet_hard" / "b.py").write_text("")
    assert checkout_state(tmp_path) == (commit, True)


def test_somebody_elses_repository_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package inside a repository has no commit, nor has one where git is missing."""
    git(tmp_path, "init", "-q")
    inside = tmp_path / "venv" / "site-packages"
    inside.mkdir(parents=True)
    assert checkout_state(inside) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert checkout_state(tmp_path) == (None, None)


MODULES = sorted(path.stem for path in Path(module.__file__).parent.glob("*.py") if path.stem != "__init__")
HEAVY = (
    "torch",
    "timm",
    "open_clip",
    "torchvision",
    "datasets",
    "huggingface_hub",
    "scipy",
    "pyarrow",
    "rich",
)


def loaded(code: str) -> list[str]:
    """The heavy packages that a fresh interpreter has after ``code``."""
    report = f"{code}\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_is_light() -> None:
    """No module of results imports torch, nor anything else that is slow, until it is used."""
    assert {"metrics", "result", "compare", "suite", "table"} <= set(MODULES)
    imports = "\n".join(f"import imagenet_hard.evaluation.{name}" for name in MODULES)
    made = "from imagenet_hard.evaluation.environment import environment; environment()"
    assert loaded(f"{imports}\n{made}") == []


def test_that_test_can_fail() -> None:
    """The check sees a heavy import where there is one."""
    assert loaded("import pyarrow") == ["pyarrow"]
