"""Write the site: pages, data files, downloads and static files into one folder, the same bytes each time.

And show it on this machine alone.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.files import read_bounded, write_atomically
from imagenet_hard.base.web import static_files, vendored
from imagenet_hard.leaderboard.site.data import Board, SiteData
from imagenet_hard.leaderboard.site.data_files import (
    agreement_data,
    board_data,
    entry_data,
    images_data,
    script,
)
from imagenet_hard.leaderboard.site.downloads import answer_files, downloads, images_csv
from imagenet_hard.leaderboard.site.explore import Extras, Zooms, explorer_data
from imagenet_hard.leaderboard.site.own_copy import FOLDER
from imagenet_hard.leaderboard.site.pages import explorer_pages, pages

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
    return _write_site(Path(out), site_files(site))


def build_explorer(
    site: SiteData, out: str | Path, *, zooms: Zooms | None = None, pictures: Collection[str] = ()
) -> list[str]:
    """Write the explorer of the boards alone; as ``build_site``. ``pictures``: boards that have some."""
    return _write_site(Path(out), _explorer_files(site, zooms, pictures))


def _write_site(out: Path, files: Iterable[tuple[str, bytes]]) -> list[str]:
    before = _files_of_earlier(out)
    _write_manifest(out, dict.fromkeys(before, ""))  # first: an interrupted build can be built over
    written, seen = dict[str, str](), set[str]()
    for name, data in files:
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
    yield from _static()
    for name, text in _texts(site):
        yield name, text.encode("utf-8", "replace")
    for board in site.boards:
        yield from answer_files(board)


def _static() -> Iterator[tuple[str, bytes]]:
    for package in ("imagenet_hard.base", "imagenet_hard.leaderboard.site"):
        for name, data in static_files(package):
            yield f"static/{name}", data


def _explorer_files(
    site: SiteData, zooms: Zooms | None, pictures: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    from imagenet_hard.imagenet.classes import names

    yield from _static()
    yield "data/classes.js", script("classes", list(names())).encode()
    texts = [explorer_pages(site, vendored(), pictures)]
    for board in site.boards:
        folder = f"{FOLDER}/{board.slug}" if board.slug in pictures else ""
        texts += [explorer_data(board, Extras(zooms, folder, alone=True)), _answers(board)]
    for name, text in chain.from_iterable(texts):
        yield name, text.encode("utf-8", "replace")


def _answers(board: Board) -> Iterator[tuple[str, str]]:
    """What both the board and its explorer read: a row an image, and what each entry says."""
    images = images_data(board)
    yield f"data/{board.slug}/images.js", script(f"{board.slug}/images", images)
    yield f"downloads/{board.slug}-images.csv", images_csv(images)
    for index, entry in enumerate(board.entries):
        key = f"{board.slug}/entries/{entry.id}"
        yield f"data/{key}.js", script(key, entry_data(board, index))


def _texts(site: SiteData) -> Iterator[tuple[str, str]]:
    from imagenet_hard.imagenet.classes import names

    yield from pages(site, vendored())
    yield "data/classes.js", script("classes", list(names()))
    for board in site.boards:
        for part, data in (("board", board_data(board)), ("agreement", agreement_data(board))):
            yield f"data/{board.slug}/{part}.js", script(f"{board.slug}/{part}", data)
        yield from _answers(board)
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
    """Files of one folder, and pictures, never cached, never listed, without a line per request."""

    def __init__(self, *args: Any, picture: Callable[[str], bytes | None], **options: Any) -> None:
        self._picture = picture
        super().__init__(*args, **options)

    def send_head(self) -> Any:
        # A web page elsewhere whose name is made to point at this machine gets no answer.
        if self.headers.get("Host", HOST).rpartition(":")[0] not in (HOST, "localhost"):
            self.send_error(421, "Not this machine's name")
            return None
        data = self._picture(self.path)
        if data is None:
            return super().send_head()
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404, "No such page")

    def log_message(self, format: str, *args: Any) -> None:
        return


def server_of(
    folder: str | Path, port: int, picture: Callable[[str], bytes | None] = lambda path: None
) -> ThreadingHTTPServer:
    """A server of ``folder`` on 127.0.0.1, not yet running; port 0 takes a free one.

    ``picture``: the JPEG at a path, or None where the folder answers.

    Raises:
        UsageError: the port is taken, or may not be used.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder), picture=picture))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror or error}; choose another --port"
        ) from None
