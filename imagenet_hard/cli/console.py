"""Standard output, for answers and tables only; standard error, with the progress bars."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import DatasetError

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

    from rich.console import Console
    from tqdm import tqdm

    from imagenet_hard.dataset.benchmark import Benchmark

PIPE_WIDTH = 160
"""Of a pipe or a log file, which has no width of its own."""


def console() -> Console:
    """Standard output for tables, as wide as the terminal."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=PIPE_WIDTH, highlight=False)


def show_site(server: ThreadingHTTPServer, mark: str = "") -> None:
    """Serve a site until Ctrl-C. Its address, with ``mark`` at its end, is the answer."""
    import click

    with server:
        click.echo(f"http://{server.server_address[0]!s}:{server.server_address[1]}/index.html{mark}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)


@contextmanager
def at_work() -> Iterator[None]:
    """What is printed inside the block goes to standard error: by a model's code, in Python or in C.

    Standard output is kept for the answer, which a machine may read.
    """
    _flush()
    kept = None
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # a process that was started without one of the two
        pass
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """What Python and C's printf still hold, which would come out with the answer otherwise."""
    import ctypes

    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.flush()
    with suppress(OSError, TypeError, AttributeError):  # Windows has no C library by that way
        ctypes.CDLL(None).fflush(None)


@contextmanager
def progress_bars(benchmark: Benchmark, quiet: bool) -> Iterator[Callable[[str], Callable[..., None]]]:
    """A progress bar for each classifier on stderr, below one another where several share a pass."""
    from tqdm import tqdm

    try:
        total = len(benchmark)
    except DatasetError:  # a stream whose publisher doesn't state its length
        total = None
    open_bars: list[tqdm[Any]] = []

    def bar(name: str) -> Callable[..., None]:
        mine: tqdm[Any] | None = None

        def update(n: int, resumed: int = 0) -> None:
            nonlocal mine
            if mine is None:  # with the first batch: loading weights is not scoring
                mine = tqdm(
                    total=total,
                    initial=resumed,
                    desc=name,
                    unit=" images",
                    disable=quiet,
                    smoothing=0.1,
                )
                open_bars.append(mine)
            mine.update(n)

        return update

    try:
        yield bar
    finally:
        for each in open_bars:
            each.close()
