"""Where weights are had from says which file would be loaded now."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import torch

from imagenet_hard.classifiers.download import place_of
from imagenet_hard.classifiers.weights_file import INDEX
from imagenet_hard.classifiers.weights_source import WeightsSource

URL = "https://there.example/models/net-0123abcd.pth"
HOMES = ({}, {"TORCH_HOME": "~/own"}, {"XDG_CACHE_HOME": "/var/cache/me"})


def test_an_address_has_its_place_in_torchs_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    source = WeightsSource(kind="url", place=URL)
    assert source.file() is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "net-0123abcd.pth").write_bytes(b"x")
    assert source.file() == tmp_path / "checkpoints" / "net-0123abcd.pth"
    assert source.sha256() == hashlib.sha256(b"x").hexdigest()


def test_it_is_the_same_place_without_torch(monkeypatch):
    """As torch says itself: each place in a process without it, and in this one that has it."""
    probe = f"""
import os, sys
from imagenet_hard.classifiers.download import place_of
for home in {HOMES!r}:
    os.environ.update(home)
    print(place_of({URL!r}))
    for name in home:
        del os.environ[name]
assert "torch" not in sys.modules
"""
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = []
    for home in HOMES:
        with monkeypatch.context() as patched:
            for name, value in home.items():
                patched.setenv(name, value)
            places.append(str(place_of(URL)))
    assert done.stdout.splitlines() == places
    assert len(set(places)) == 3
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
