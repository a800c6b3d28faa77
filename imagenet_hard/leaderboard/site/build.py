"""Write the site: pages, data files, downloads and static files into one folder, the same bytes each time.

And show it on this machine alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.web import static_files, vendored
from imagenet_hard.leaderboard.site.data import SiteData
from imagenet_hard.leaderboard.site.data_files import (
    agreement_data,
    board_data,
    entry_data,
    images_data,
    script,
)
from imagenet_hard.leaderboard.site.downloads import answer_files, downloads
from imagenet_hard.leaderboard.site.explore import explorer_data
from imagenet_hard.leaderboard.site.pages import pages

MANIFEST = "site.json"
HOST = "127.0.0.1"
_SPACE_CARD = """---
title: ImageNet-Hard leaderboard
colorFrom: indigo
colorTo: gray
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
short_description: Image classifiers on images that no zoom solves
tags:
- leaderboard
- submission:semiautomatic
- test:public
- judge:auto
- modality:image
- language:English
---

Built by `imagenet-hard leaderboard build`; open `index.html`.
"""
"""Front matter by which the Hub shows the folder as a static Space."""

_MAX_MANIFEST = 64 * 2**20


def build_site(site: SiteData, out: str | Path) -> list[str]:
    """Write the site into ``out``; the relative paths of its files, sorted.

    Files of an earlier build that this one does not have are removed; nothing else is touched.

    Raises:
        UsageError: ``out`` holds something that is not a built site.
        ResultError: the disk is full or read-only.
    """
    out = Path(out)
    before = _files_of_earlier(out)
    _write_manifest(out, dict.fromkeys(before, ""))  # first: an interrupted build can be built over
    written, seen = dict[str, str](), set[str]()
    for name, data in site_files(site):
        if name.casefold() in seen:  # some disks do not tell upper from lower case
            raise ResultError(f"two files of the site would be called {name}: rename an entry or a benchmark")
        seen.add(name.casefold())
        written[name] = hashlib.sha256(data).hexdigest()
        _write(out / name, data)
    for name in sorted(before - set(written)):
        (out / name).unlink(missing_ok=True)
    _write_manifest(out, written)
    return sorted([*written, MANIFEST])


def site_files(site: SiteData) -> Iterator[tuple[str, bytes]]:
    """Every file of the site as (path, bytes), one at a time."""
    yield "README.md", _SPACE_CARD.encode()
    yield ".nojekyll", b""  # GitHub Pages serves the files as they are
    for package in ("imagenet_hard.base", "imagenet_hard.leaderboard.site"):
        for name, data in static_files(package):
            yield f"static/{name}", data
    for name, text in _texts(site):
        yield name, text.encode("utf-8", "replace")
    for board in site.boards:
        yield from answer_files(board)


def _texts(site: SiteData) -> Iterator[tuple[str, str]]:
    from imagenet_hard.imagenet.classes import names

    yield from pages(site, vendored())
    yield "data/classes.js", script("classes", list(names()))
    for board in site.boards:
        for part, data in (
            ("board", board_data(board)),
            ("agreement", agreement_data(board)),
            ("images", images_data(board)),
        ):
            yield f"data/{board.slug}/{part}.js", script(f"{board.slug}/{part}", data)
        for index, entry in enumerate(board.entries):
            key = f"{board.slug}/entries/{entry.id}"
            yield f"data/{key}.js", script(key, entry_data(board, index))
        yield from explorer_data(board)
        yield from downloads(board)


def _files_of_earlier(out: Path) -> set[str]:
    """The files of the build that lies in ``out``; empty where nothing does."""
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return set()
    except OSError as error:
        raise UsageError(f"cannot look into {out}: {error.strerror or error}") from None
    if not out.is_dir():
        raise UsageError(f"{out} is a file: expected a folder for the site; choose another --out")
    problem = f"{out} holds files but no site built by this command; choose an empty folder for --out"
    if not (out / MANIFEST).is_file():
        raise UsageError(problem)
    try:
        listed = json.loads(read_bounded(out / MANIFEST, _MAX_MANIFEST))["files"]
        names = {str(PurePosixPath(name)) for name in listed}
    except (ValueError, TypeError, KeyError):
        raise UsageError(problem) from None
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in names):
        raise UsageError(f"{out / MANIFEST} lists files outside the site: it was not made by this command")
    return names


def _write_manifest(out: Path, written: Mapping[str, str]) -> None:
    manifest = {"site": "imagenet-hard leaderboard", "files": dict(sorted(written.items()))}
    write_atomically(out / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def _write(path: Path, data: bytes) -> None:
    """Only where something changes, and unflushed: a site of 1,000 entries has thousands of files."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    write_atomically(path, data, flush=False)


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, never cached, never listed, without a line per request."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404, "No such page")

    def log_message(self, format: str, *args: Any) -> None:
        return


def server_of(folder: str | Path, port: int) -> ThreadingHTTPServer:
    """A server of ``folder`` on 127.0.0.1, not yet running; port 0 takes a free one.

    Raises:
        UsageError: the port is taken, or may not be used.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror or error}; choose another --port"
        ) from None
