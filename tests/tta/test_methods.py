"""A method of test-time augmentation from an installed package: the example of docs/extending.md."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

import imagenet_hard
from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.main import group, run
from imagenet_hard.tta.settings import tta_settings
from tests.base.packages import code_blocks, install

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def documented(site):
    """The package of the documentation, installed."""
    blocks = code_blocks(DOCUMENT, "A method of test-time augmentation")
    assert len([line for line in blocks["python"].splitlines() if line]) <= 20
    points = tomllib.loads(blocks["toml"])["project"]["entry-points"]["imagenet_hard.tta"]
    lines = "\n".join(f"{name} = {place}" for name, place in points.items())
    install(site, "surest-view", {"surest_view": blocks["python"]}, lines, group="tta")


@pytest.mark.usefixtures("small_networks")
def test_the_documented_method_runs_and_is_recorded(documented, tmp_path, capsys, monkeypatch):
    """Of one view it is plain zooming, of two it takes one of them; the record outlives the package."""
    base = ["eval", "-m", "efficientnet_lite0", "-d", "sample", "--device", "cpu", "--limit", "3", "-q"]
    base += ["-o", str(tmp_path / "out"), "--json"]
    assert run(group, [*base, "--tta", "surest", "--tta-views", "2"], "imagenet-hard") == 0
    (printed,) = json.loads(capsys.readouterr().out)
    tta = printed["protocol"]["tta"]
    assert (tta["method"], tta["package"]) == ("surest", "surest-view 1.2")
    assert (tta["forward_passes"], tta["backward_passes"], tta["seed"]) == (2, 0, 0)
    (path,) = (tmp_path / "out").rglob("*surest2-*.json")
    hashes = []
    for name in ("zoom", "surest"):
        assert run(group, [*base, "--tta", name, "--tta-views", "1"], "imagenet-hard") == 0
        hashes.append(json.loads(capsys.readouterr().out)[0]["predictions_sha256"])
    assert len({*hashes, printed["predictions_sha256"]}) == 2
    monkeypatch.undo()
    assert imagenet_hard.read_result(path)[0].protocol.tta.package == "surest-view 1.2"
    with pytest.raises(UsageError, match="unknown test-time augmentation 'surest': expected none"):
        tta_settings("surest")


def test_options_that_it_does_not_have_are_refused(site, documented):
    """As the project's own refuse theirs, and what is no method names its package."""
    with pytest.raises(UsageError, match="--tta surest takes no step"):
        tta_settings("surest", lr=0.1)
    assert tta_settings("surest", zooms=5).views == 5
    (site / "surest_view.py").write_text("METHOD = 7\n")
    sys.modules.pop("surest_view", None)
    with pytest.raises(UsageError, match="package surest-view 1.2 is a int: expected a"):
        tta_settings("surest")
