"""`--estimate` and what goes with it as a user calls them: the commands of docs/estimate.md; wrong usage."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from imagenet_hard.cli.main import group, run
from tests.cli.test_eval import folder_of_samples

PAGE = Path(__file__).parents[2] / "docs" / "estimate.md"


def cli(*args: str) -> int:
    return run(group, list(args), "imagenet-hard")


def matching(pattern: str) -> list[str]:
    """As a shell does."""
    return sorted(str(path) for path in Path().glob(pattern))


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks")
def test_the_page_s_examples_run(tmp_path, monkeypatch, capsys):
    """As they stand, but for the number of images; what they print is what the page says."""
    folder_of_samples(tmp_path / "my-images", copies=2)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 6
    said = []
    for line in lines:
        words = shlex.split(line.replace("--estimate 300", "--estimate 24"))
        words = [found for word in words for found in (matching(word) if "*" in word else [word])]
        eval_too = words[0] == "imagenet-hard-eval"
        assert cli(*(["eval"] if eval_too else []), *words[1:]) == 0, line
        said.append(capsys.readouterr().out)
    assert "my-images.difficulty.json: 40 images of my-images" in said[1]
    assert "by 2 models" in said[1]
    assert "about " in said[2]
    assert "24 of 40" in said[2]
    assert re.search(r"[0-9]+ of 40", said[3])
    assert "points (A - B)" in said[4]
    assert "A - B is" in said[5]
    [path] = (tmp_path / "results" / "my-images-estimate-24-seed-0").glob("*.json")
    estimate = json.loads(path.read_text())["estimate"]
    assert estimate["low"] < estimate["top1"] < estimate["high"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--estimate", "30"), "has 20 images, too few for an estimate"),
        (("--estimate", "0"), "0 is not in the range x>=1"),
        (("--until", "wide"), "'wide' is not a valid float"),
        (("--estimate", "30", "--limit", "3"), "estimate and limit: each chooses images in its own way"),
        (("--difficulty", "x.json"), "difficulty: it is for an estimate, and none is asked for"),
    ],
)
def test_wrong_usage(args, message, capsys, tmp_path):
    """Exit code 2, before any model is loaded."""
    code = cli("eval", "--model", "efficientnet_lite0", "--dataset", "sample", "--out", str(tmp_path), *args)
    assert code == 2
    assert message in capsys.readouterr().err


def test_difficulty_goes_with_sequential(capsys):
    assert cli("compare", "a.json", "b.json", "--difficulty", "x.json") == 2
    assert "--difficulty: it is for --sequential" in capsys.readouterr().err
