"""Images for benchmarks: those of a data set, repeated, read from memory or from where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from imagenet_hard.base.types import Example
from imagenet_hard.dataset.benchmark import Benchmark


class Repeated:
    """``n`` images, those of ``source`` again and again under new ids, as engines take them.

    ``in_memory``: read once, so that no contestant waits for the disk.
    """

    name, limit, exif = "repeated", None, False

    def __init__(self, source: Benchmark, n: int, *, in_memory: bool = True) -> None:
        self._source = list(source) if in_memory else source
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> Example:
        example = self._source[i % len(self._source)]
        return Example(f"{i:08}", example.image, example.labels)

    def tasks(self) -> Iterator[Callable[[], Example]]:
        return (partial(self.__getitem__, i) for i in range(self._n))
