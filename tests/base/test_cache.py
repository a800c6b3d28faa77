"""One folder for everything that can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.base.cache import cache_dir


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's variable, then XDG's, then the home folder."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", "/own")
    assert cache_dir() == Path("/own")
    monkeypatch.delenv("IMAGENET_HARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/imagenet-hard")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_dir() == Path("/home/someone/.cache/imagenet-hard")
