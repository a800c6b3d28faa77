"""Who got which image right, a bit each: 1,000 entries x 10,980 images are 1.4 MB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import UsageError

BLOCK = 1024
"""Images unpacked at a time: what is held beside the bits does not grow with their number."""


@dataclass(frozen=True)
class Correctness:
    """``bits``: uint8 (m, ceil(n / 8)) of m entries and n images, packed as by ``numpy.packbits``."""

    bits: NDArray[np.uint8]
    n: int

    def __post_init__(self) -> None:
        if self.bits.ndim != 2 or self.bits.shape[1] != (self.n + 7) // 8 or self.n < 1:
            raise UsageError(
                f"correctness has bits of shape {self.bits.shape} for {self.n} images: expected (entries, "
                f"{(max(self.n, 1) + 7) // 8}), and at least one image"
            )

    @staticmethod
    def of(correct: NDArray[np.bool_]) -> Correctness:
        """From bool (m, n)."""
        return Correctness(np.packbits(correct, axis=1), correct.shape[1])

    @property
    def m(self) -> int:
        """Number of entries."""
        return len(self.bits)

    def counts(self) -> NDArray[np.int64]:
        """int64 (m,): images that each entry gets right."""
        counts: NDArray[np.int64] = np.bitwise_count(self.bits).sum(axis=1, dtype=np.int64)
        return counts

    def blocks(self) -> Iterator[NDArray[np.bool_]]:
        """bool (m, up to BLOCK), image after image."""
        for start in range(0, self.bits.shape[1], BLOCK // 8):
            width = min(BLOCK, self.n - start * 8)
            part = self.bits[:, start : start + BLOCK // 8]
            yield np.unpackbits(part, axis=1, count=width).astype(np.bool_)

    def both(self) -> NDArray[np.int64]:
        """int64 (m, m): images that both of a pair get right. Exact: each block counts up to 1,024."""
        total = np.zeros((self.m, self.m), np.int64)
        for block in self.blocks():
            rows = block.astype(np.float32)
            total += (rows @ rows.T).astype(np.int64)
        return total

    def only(self) -> NDArray[np.int64]:
        """int64 (m, m): images that the row's entry gets right and the column's wrong."""
        both = self.both()
        only: NDArray[np.int64] = both.diagonal()[:, None] - both
        return only
