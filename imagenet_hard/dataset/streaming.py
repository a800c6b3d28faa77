"""A benchmark whose examples arrive one after another, none of them stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.types import Example
from imagenet_hard.dataset.benchmark import Benchmark, Source, at_least_one


class StreamedError(DatasetError, TypeError):
    """What a stream cannot tell beforehand. A TypeError too, or ``list(stream)`` would stop at ``len``."""


class StreamingBenchmark(Benchmark):
    """The same examples as they arrive: nothing is stored, and only iteration is possible.

    ``stream`` starts one pass over the checked rows: an id, and what makes its example. ``size`` is
    their number where the publisher states it; after one whole pass it is known anyway.
    """

    def __init__(
        self,
        about: Source,
        stream: Callable[[], Iterator[tuple[str, Callable[[], Example]]]],
        size: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.about = about
        self.limit, self.selection = limit, None
        self._stream, self._size = stream, size

    @property
    def ids(self) -> tuple[str, ...]:
        raise self._unknown("ids")

    @property
    def labels(self) -> tuple[tuple[int, ...], ...]:
        raise self._unknown("labels")

    @property
    def origins(self) -> tuple[str, ...]:
        raise self._unknown("origins")

    def __len__(self) -> int:
        """The number of examples, where the publisher states it or a whole pass has counted them.

        Raises:
            StreamedError: neither is so yet.
        """
        if self._size is None:
            raise self._unknown("length")
        return self._size if self.limit is None else min(self._size, self.limit)

    def __getitem__(self, index: int) -> Example:
        raise self._unknown(f"example number {index}")

    def tasks(self) -> Iterator[Callable[[], Example]]:
        """As ``Benchmark.tasks``; the bytes arrive with the iteration, so the tasks only hand them over."""
        seen = 0
        for _, task in self._stream():
            seen += 1
            yield task
            if seen == self.limit:
                break
        if self._size is None or seen < (self.limit or self._size):
            self._size = seen

    def some(self, n: int) -> list[Callable[[], Example]]:
        """The first ``n``: what comes later is not known yet."""
        return list(islice(self.tasks(), n))

    def take(self, n: int) -> StreamingBenchmark:
        at_least_one(n)
        if self.limit is not None or self._size is not None:
            known = min(x for x in (self.limit, self._size) if x is not None)
            if n >= known:
                return self
        return StreamingBenchmark(self.about, self._stream, self._size, limit=n)

    def _identity_rows(self) -> Iterable[object]:
        return ()

    def _unknown(self, what: str) -> StreamedError:
        return StreamedError(
            f"the {what} of a streamed data set cannot be known before it is read: {self.name} was opened "
            "with streaming=True. Iterate over it, or load it without streaming."
        )
