"""The docs: command lines that the commands take; a site that is built strictly and read in a browser."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import click
import pytest

import imagenet_hard
import tests.leaderboard.site as site_tests
from imagenet_hard.cli.eval import command as eval_command
from imagenet_hard.cli.main import group

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
AXE = Path(site_tests.__file__).parent / "vendor" / "axe.min.js"


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Where it stands and its words, of each line of a code block that calls one of our commands."""
    for page in PAGES:
        blocks = re.findall(
            r"^```(?:bash|sh|console)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
        )
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            found = re.match(r"\s*(?:\$ |srun )?(imagenet-hard(?:-eval)? .*)", line)
            if found and "..." not in line and "|" not in line.split(" #")[0]:
                yield f"{page.relative_to(ROOT)}: {found[1]}", shlex.split(found[1], comments=True)


def misunderstood(words: list[str]) -> str | None:
    """What of a command line none of our commands takes; None where all is understood."""
    name, *rest = words
    command: click.Command = eval_command if name == "imagenet-hard-eval" else group
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            return f"no command {rest[0]}"
        command, rest = found, rest[1:]
    names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    known = names | {"-h", "--help", "--version"}
    options = [word.split("=")[0] for word in rest if word.startswith("-")]
    return next((f"no option {word} of {command.name}" for word in options if word not in known), None)


def test_command_lines_are_understood():
    lines = list(command_lines())
    assert len(lines) > 40
    assert [(where, what) for where, words in lines if (what := misunderstood(words))] == []


def test_what_is_not_understood():
    assert misunderstood(["imagenet-hard-eval", "--modle", "x"]) == "no option --modle of eval"
    assert misunderstood(["imagenet-hard", "evaluate"]) == "no command evaluate"
    assert misunderstood(["imagenet-hard", "curate", "plan", "--recipe=x", "--quick"]) is None


class Links(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name == "id" and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, *("-m", "sphinx", "-q", "-W", "--keep-going"), str(ROOT / "docs"), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_every_link_and_anchor_is_there(site):
    """Of each page, the source listings of Sphinx aside."""
    pages = {page: Links(page.read_text()) for page in site.rglob("*.html")}
    missing = []
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchored = parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors
            if not to.exists() or anchored:
                missing.append((page.name, link))
    assert missing == []
    assert len(pages) > 30


@pytest.mark.slow
def test_every_page_command_and_name_is_there(site):
    index, commands, api = (
        Links((site / f"{name}.html").read_text()) for name in ("index", "commands", "api")
    )
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {f"{name}.html" for name in pages} <= index.links
    for name in group.list_commands(click.Context(group)):
        assert f"imagenet-hard-{name}" in commands.anchors, name
    documented = {anchor.rsplit(".", 1)[-1] for anchor in api.anchors if anchor.startswith("imagenet_hard.")}
    assert set(imagenet_hard.__all__) - {"__version__"} <= documented


@pytest.mark.slow
def test_search_finds_and_the_pages_can_be_read(site, browser):
    """On a laptop, in the dark and on a phone; nothing is asked of another site; axe is content."""
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        read(f"http://127.0.0.1:{server.server_port}", browser)
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def read(address: str, browser) -> None:
    for options in ({}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = browser.new_context(**options).new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        complaints: list[str] = []
        page.on("pageerror", lambda error, complaints=complaints: complaints.append(str(error)))
        for name in ("start", "protocol") if options else ("index", "commands", "api"):
            page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            page.evaluate(AXE.read_text())
            rules = {"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]}
            found = page.evaluate("rules => axe.run(document, rules)", rules)
            assert [(name, v["id"], v["nodes"][0]["html"][:120]) for v in found["violations"]] == []
        page.goto(f"{address}/search.html?q=maillot")
        page.wait_for_selector("ul.search li a")
        assert page.locator("ul.search li a").count() >= 1
        assert not [url for url in asked if not url.startswith((address, "data:"))]
        assert complaints == []
        page.context.close()
