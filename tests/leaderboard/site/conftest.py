"""A real browser for the page's tests, and a watch on what it asks for and complains about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class Watched:
    """A page, and everything wrong that happened on it."""

    def __init__(self, page: Any, root: Path) -> None:
        self.page, self.root, self.wrong = page, root, list[str]()
        page.on("console", lambda m: m.type in ("error", "warning") and self.wrong.append(m.text))
        page.on("pageerror", lambda e: self.wrong.append(str(e)))
        page.on("dialog", lambda d: (self.wrong.append(f"dialog: {d.message}"), d.dismiss()))
        page.on("request", lambda r: r.url.startswith("file://") or self.wrong.append(f"request: {r.url}"))

    def open(self, path: str) -> Any:
        """Go to a page of the site, ``#fragment`` and all, and wait until its scripts are done."""
        path, mark, fragment = path.partition("#")
        self.page.goto((self.root / path).as_uri() + mark + fragment)
        if self.page.evaluate("document.body.dataset.board !== undefined"):
            self.page.wait_for_selector("body[data-ready]", timeout=20_000)
        return self.page


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Watched]]:
    """``visit(folder, **context)`` gives a watched page; what went wrong on any fails the test."""
    opened: list[tuple[Any, Watched]] = []

    def start(root: Path, **options: Any) -> Watched:
        context = browser.new_context(**options)
        watched = Watched(context.new_page(), root)
        opened.append((context, watched))
        return watched

    yield start
    for context, watched in opened:
        context.close()
        assert watched.wrong == []
