"""Where weights are had from says which file would be loaded now."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import torch

from imagenet_hard.classifiers.download import place_of
from imagenet_hard.classifiers.weights_file import INDEX
from imagenet_hard.classifiers.weights_source import WeightsSource

URL = "https://there.example/models/net-0123abcd.pth"


def test_an_address_has_its_place_in_torchs_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    source = WeightsSource(kind="url", place=URL)
    assert source.file() is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "net-0123abcd.pth").write_bytes(b"x")
    assert source.file() == tmp_path / "checkpoints" / "net-0123abcd.pth"
    assert source.sha256() == hashlib.sha256(b"x").hexdigest()


def test_it_is_the_same_place_without_torch():
    """As torch says itself, in one process that finds each place before and after importing it."""
    probe = f"""
import os, sys
from imagenet_hard.classifiers.download import place_of
homes = {{}}, {{"TORCH_HOME": "~/own"}}, {{"XDG_CACHE_HOME": "/var/cache/me"}}
bare = dict(os.environ)
def places():
    for home in homes:
        os.environ.clear()
        os.environ.update(bare | home)
        yield place_of({URL!r})
before = list(places())
assert "torch" not in sys.modules
assert len(set(before)) == 3
import torch
assert list(places()) == before, (list(places()), before)
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("TORCH_HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert place_of(URL).name == "net-0123abcd.pth"


def test_a_file_is_the_one_of_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    source = WeightsSource(kind="file", place="best.pth#model")
    assert source.file() is None
    assert source.sha256() is None
    Path("best.pth").write_bytes(b"x")
    assert source.file() == Path("best.pth")


def test_an_index_stands_for_several(monkeypatch, tmp_path):
    path = tmp_path / f"model.safetensors{INDEX}"
    path.write_text("{}")
    assert WeightsSource(kind="file", place=str(path)).file() is None


def test_a_package_keeps_it_beside_its_code(monkeypatch, tmp_path):
    (tmp_path / "weights_of_mine").mkdir()
    (tmp_path / "weights_of_mine" / "__init__.py").touch()
    source = WeightsSource(kind="package", place="weights_of_mine", names=("net.pth",))
    assert source.file() is None
    monkeypatch.syspath_prepend(str(tmp_path))
    assert source.file() is None
    (tmp_path / "weights_of_mine" / "net.pth").write_bytes(b"x")
    assert source.file() == tmp_path / "weights_of_mine" / "net.pth"
    assert "weights_of_mine" not in sys.modules


def test_a_repository_that_is_not_here_gives_none():
    assert WeightsSource(kind="hub", place="nobody/nothing", names=("model.safetensors",)).file() is None
