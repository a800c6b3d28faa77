"""Fixtures that every room's tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from imagenet_hard.engine.ray.pool import WorkerPool

# How long an example takes depends on what else the machine does; the whole test has its timeout.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Where tests run side by side, each process has one core; torch and numpy ask when they are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests start many interpreters, which all would compile the package, and each worker all tests, every time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test may reach a real hub: what would, fails at once; the loopback tests set their own endpoint.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# None of them, nor this file, imports a framework: the process that only hands out tests reads them as well.
pytest_plugins = [
    *("tests.base.packages", "tests.browser", "tests.classifiers.small_bundled", "tests.hub.server"),
]

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: the search for garbage need not look through it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a browser is of the slow part, wherever it stands: it needs seconds and both cores."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads and listings that a test caches stay out of the user's cache folder."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path_factory.getbasetemp() / "imagenet-hard-cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """Nothing here outlives the machine, so no write waits for the disk: thousands do, for milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real images and labels that stands beside the checkout; absent elsewhere."""
    for folder in (ROOT.parent / "shared", Path(os.environ.get("IMAGENET_HARD_SHARED", "/nonexistent"))):
        if (folder / "data").is_dir():
            return folder
    pytest.skip(
        "needs real images: no ../shared/data beside the checkout and IMAGENET_HARD_SHARED is not set"
    )


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    """Two workers, one on each of two machines."""
    from imagenet_hard.engine.ray.pool import WorkerPool
    from tests.engine.clusters import two_machines

    with two_machines(), WorkerPool() as found:
        found.wait_for_all(60)
        yield found
