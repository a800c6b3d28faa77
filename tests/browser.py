"""Headless Chromium for the tests of pages: one for the whole session."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    # Or it talks to its maker's servers.
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium, from the PATH or from where IMAGENET_HARD_CHROMIUM says."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    path = os.environ.get("IMAGENET_HARD_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("the browser tests need Chromium on the PATH, or its place in IMAGENET_HARD_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


def until(page: Any, condition: str, seconds: float = 30) -> None:
    """Wait until a JavaScript condition holds in the page.

    Playwright's own ``wait_for_function`` evaluates its text in the page from the second look on, which
    the pages' Content-Security-Policy forbids: it fails as soon as the condition does not hold at once.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
        page.wait_for_timeout(20)
