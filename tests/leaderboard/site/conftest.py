"""A small board, built once for all tests that look at it in a browser, and less to compute for any page."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.leaderboard.site.build import build_site
from tests.leaderboard.site.boards import made_up, site


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of 12 entries, built."""
    out = tmp_path_factory.mktemp("site")
    build_site(site(made_up()), out)
    return out


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the interval around a correlation, which half of a page's time goes into: its figures are stats'."""
    monkeypatch.setattr("imagenet_hard.leaderboard.stats.imagenet.RESAMPLES", 100)
