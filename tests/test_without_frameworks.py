"""The board, and every help, where torch, torchvision, timm, open_clip and datasets are not installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import imagenet_hard.cli
from imagenet_hard.base.runtime import FRAMEWORKS
from imagenet_hard.cli.leaderboard import command as leaderboard
from imagenet_hard.cli.main import COMMANDS, STEPS
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.study.matrix import Images, Matrix, MatrixInfo, write_matrix
from tests.conftest import ROOT
from tests.test_kept import KEPT

FIXED = Path(imagenet_hard.cli.__file__).parent / "data" / "fixed.jpg"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LEFT_OUT = {*FRAMEWORKS.values(), "datasets", "safetensors"}
"""Dependencies that the group ``board`` is without."""

ABSENT = {*FRAMEWORKS, "datasets", "safetensors", "pandas", "transformers", "gradio", "sklearn"}

PROBE = f"""
import sys
from importlib.machinery import PathFinder

found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *a: None if name.partition(".")[0] in {ABSENT!r} else found(name, *a)
from imagenet_hard.cli.main import group, run

for line in sys.stdin.read().splitlines():
    code = run(group, line.split(), "imagenet-hard")
    print("code:", code, line, flush=True)
"""


def run(*lines: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Commands in one interpreter that has none of ``ABSENT``."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        cwd=where,
    )
    assert done.returncode == 0, done.stderr
    return done


def codes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    return {line: int(code) for code, line in re.findall(r"^code: (\d+) (.*)$", done.stdout, re.MULTILINE)}


@pytest.fixture
def kept(tmp_path):
    for each in ("board", "results"):
        shutil.copytree(KEPT / each, tmp_path / each)
    return tmp_path


def test_the_group_is_the_dependencies_without_those():
    declared = SETTINGS["project"]["dependencies"]
    assert SETTINGS["dependency-groups"]["board"] == [
        each for each in declared if re.split(r"[<>=;]", each)[0] not in LEFT_OUT
    ]


def test_every_help(tmp_path):
    lines = ["--help", *(f"{name} --help" for name in COMMANDS), *(f"curate {name} --help" for name in STEPS)]
    lines += [f"leaderboard {name} --help" for name in leaderboard.commands]
    lines += [f"study {name} --help" for name in ("run", "report")]
    assert codes(run(*lines, where=tmp_path)) == dict.fromkeys(lines, 0)


def test_the_board_is_kept(kept):
    """Verified, shown and added to; results are compared, and a study is reported again."""
    one, two = sorted(path.relative_to(kept) for path in (kept / "results/images").glob("*.json"))
    images = Images(source="s", variant="imagenet", ids=tuple("abcdefgh"), sha256=("0",) * 8)
    model = {"net": read_result(kept / one)[0].model}
    info = MatrixInfo(
        recipe="r", recipe_sha256="0", scales=(224, 256, 320), classifiers=model, images=(images,)
    )
    right = np.random.default_rng(0).random((1, info.n_images, info.n_zooms)) < 0.5
    write_matrix(Matrix(info, np.packbits(right, axis=2)), kept / "matrix.npz")
    entries = "--entries board/entries"
    lines = [
        f"verify --all {entries}",
        f"leaderboard table {entries}",
        f"leaderboard build {entries} --out site",
        f"compare {one} {two}",
        f"submit {two} --name Net --org Other --owner github:other {entries}",
        "study report --matrix matrix.npz --out report",
    ]
    assert codes(run(*lines, where=kept)) == dict.fromkeys(lines, 0)
    assert (kept / "site/index.html").is_file()
    assert (kept / "report/index.html").is_file()
    assert len(list((kept / "board/entries").iterdir())) == 2


def test_a_model_says_what_to_install(tmp_path):
    (tmp_path / "nothing.jpg").write_bytes(FIXED.read_bytes())
    lines = [
        "eval -m efficientnet_lite0 -d sample",
        "eval -m efficientnet_lite0 -m resnet50 -d sample --device cpu",
        "zoom nothing.jpg -m resnet50 -o page.html",
        "eval -m resnet50 -d sample --device cuda",
    ]
    done = run(*lines, where=tmp_path)
    assert codes(done) == dict.fromkeys(lines, 1)
    said = re.findall(r"Error: \w+ is not installed, and models need it: pip install torch ", done.stderr)
    assert len(said) == len(re.findall("^Error: ", done.stderr, re.MULTILINE)) == len(lines)
    assert "Traceback" not in done.stderr
