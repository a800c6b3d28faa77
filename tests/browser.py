"""Headless Chromium for the tests of pages: one for the whole session, and pages with a watch on them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
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


class Watched:
    """A page that shows a folder's files, and everything wrong that happens on it."""

    def __init__(self, page: Any, root: Path) -> None:
        self.page, self.root, self.wrong = page, root, list[str]()
        self._heard = {
            "console": lambda m: m.type in ("error", "warning") and self.wrong.append(m.text),
            "pageerror": lambda e: self.wrong.append(str(e)),
            "dialog": lambda d: (self.wrong.append(f"dialog: {d.message}"), d.dismiss()),
            "request": lambda r: r.url.startswith("file://") or self.wrong.append(f"request: {r.url}"),
        }
        for event, listener in self._heard.items():
            page.on(event, listener)

    def open(self, path: str) -> Any:
        """Go to a page of the site, ``#fragment`` and all, and wait until its scripts are done."""
        path, mark, fragment = path.partition("#")
        self.page.goto((self.root / path).as_uri() + mark + fragment)
        if self.page.evaluate("document.body.dataset.board !== undefined"):
            self.page.wait_for_selector("body[data-ready]", timeout=20_000)
        return self.page

    def leave(self) -> None:
        """An empty page, nothing stored, nobody listening."""
        if self.page.url != "about:blank":
            self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
            self.page.goto("about:blank")
        for event, listener in self._heard.items():
            self.page.remove_listener(event, listener)


@pytest.fixture(scope="session")
def kept_pages(browser: Any) -> defaultdict[str, list[Any]]:
    """Pages that nobody shows anything on, each in a profile of its own, by the options that they were opened
    with: to open one takes longer than most tests, and one that is in use knows the scripts by now."""
    return defaultdict(list)


@pytest.fixture
def visit(browser: Any, kept_pages: defaultdict[str, list[Any]]) -> Iterator[Callable[..., Watched]]:
    """``visit(folder, **context)`` gives a watched page; what went wrong on any fails the test."""
    opened: list[tuple[dict[str, Any], Watched]] = []

    def start(root: Path, **options: Any) -> Watched:
        kept = kept_pages[json.dumps(options, sort_keys=True)]
        page = kept.pop() if kept else browser.new_context(**options).new_page()
        opened.append((options, Watched(page, root)))
        return opened[-1][1]

    yield start
    for options, watched in opened:
        watched.leave()
        watched.page.emulate_media(color_scheme=options.get("color_scheme", "light"))
        kept_pages[json.dumps(options, sort_keys=True)].append(watched.page)
    assert [watched.wrong for _, watched in opened if watched.wrong] == []


def until(page: Any, condition: str, seconds: float = 30) -> None:
    """Wait until a JavaScript condition holds in the page.

    Playwright's own ``wait_for_function`` evaluates its text in the page from the second look on, which
    the pages' Content-Security-Policy forbids: it fails as soon as the condition does not hold at once.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
        page.wait_for_timeout(20)
