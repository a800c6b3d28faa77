"""Progress bars on stderr, one for each classifier that is being scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import DatasetError

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark

Bar = Callable[[str], Callable[..., None]]
"""A classifier's name to what is told of its batches: ``(n, resumed=0)``."""


@contextmanager
def progress_bars(benchmark: Benchmark, quiet: bool) -> Iterator[Bar]:
    """A progress bar for each classifier, below one another where several share a pass."""
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
                    total=total, initial=resumed, desc=name, unit=" images", disable=quiet, smoothing=0.1
                )
                open_bars.append(mine)
            mine.update(n)

        return update

    try:
        yield bar
    finally:
        for each in open_bars:
            each.close()
