"""The wheel holds the engine and its content, and works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_every_module_and_content_file_travels(wheel):
    """The file list is that of the sources, no more and no less."""
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    package = {n for n in tracked if n.startswith("imagenet_hard/") and (ROOT / n).exists()}
    folders = (
        "curation/exclusions/",
        "curation/recipes/",
        "curation/templates/",
        "evaluate/suites/",
        "leaderboard/benchmarks/",
        "leaderboard/published/",
    )
    content = {f"imagenet_hard/content/{n}" for n in tracked if n.startswith(folders) and (ROOT / n).exists()}
    assert names == package | content
    assert not any(n.startswith("evaluate/") for n in names)  # would overwrite Hugging Face's `evaluate`


def test_installed_away_from_the_checkout(wheel, tmp_path):
    """Suites, classes and the command line are found in the installed package."""
    target = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    code = """
import imagenet_hard, imagenet_hard.imagenet.classes, imagenet_hard.base.runtime
from imagenet_hard.evaluation.suite import load_suite
assert "site" in imagenet_hard.__file__, imagenet_hard.__file__
assert "site" in str(imagenet_hard.base.runtime.content_dir("evaluate/suites"))
print(len(load_suite("openclip").models))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "68"
