"""One scored work folder for the tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.study.matrix import Matrix, collect
from tests.study.small import recipe, scored


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored(tmp_path_factory.mktemp("study") / "work")


@pytest.fixture(scope="session")
def matrix(work: Path) -> Matrix:
    return collect(recipe(), work)
