"""Headless Chromium for the tests of pages: one for the whole session, and pages with a watch on them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
        return self._ready()

    def follow(self, link: str) -> Any:
        """Click a link to another page of the site, and wait likewise: a click alone waits for nothing."""
        with self.page.expect_navigation():
            self.page.click(link)
        return self._ready()

    def _ready(self) -> Any:
        if self.page.evaluate("document.body.dataset.board !== undefined"):
            self.page.wait_for_selector("body[data-ready]", timeout=20_000)
        return self.page

    def leave(self) -> None:
        """Listen no longer."""
        for event, listener in self._heard.items():
            self.page.remove_listener(event, listener)


class KeptPages:
    """Pages, each in a profile of its own, that go from test to test with nothing stored.

    To open one takes longer than most tests, and one that was in use knows the scripts by now.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._free = defaultdict[str, list[Any]](list)

    @contextmanager
    def page(self, **options: Any) -> Iterator[Any]:
        """An empty page of a context with these options, for the block."""
        free = self._free[json.dumps(options, sort_keys=True)]
        page = free.pop() if free else self._browser.new_context(**options).new_page()
        yield page
        if page.url != "about:blank":
            page.evaluate("localStorage.clear(), sessionStorage.clear()")
            page.goto("about:blank")
        page.context.clear_cookies()
        page.emulate_media(color_scheme=options.get("color_scheme", "light"))
        free.append(page)


@pytest.fixture(scope="session")
def kept_pages(browser: Any) -> KeptPages:
    """Those of the session."""
    return KeptPages(browser)


@pytest.fixture
def visit(kept_pages: KeptPages) -> Iterator[Callable[..., Watched]]:
    """``visit(folder, **context)`` gives a watched page; what went wrong on any fails the test."""
    opened: list[Watched] = []

    with ExitStack() as stack:

        def start(root: Path, **options: Any) -> Watched:
            watched = Watched(stack.enter_context(kept_pages.page(**options)), root)
            stack.callback(watched.leave)
            opened.append(watched)
            return watched

        yield start
    assert [each.wrong for each in opened if each.wrong] == []


def until(page: Any, condition: str, seconds: float = 30) -> None:
    """Wait until a JavaScript condition holds in the page.

    Playwright's own ``wait_for_function`` evaluates its text in the page from the second look on, which
    the pages' Content-Security-Policy forbids: it fails as soon as the condition does not hold at once.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"not within {seconds} seconds: {condition}"
        page.wait_for_timeout(20)
