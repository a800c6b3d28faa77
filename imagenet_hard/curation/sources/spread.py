"""Which images a ``limit`` takes: some of every class, and of every corruption and severity."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np


def spread(names: Sequence[str], classes: Sequence[int], parts: Sequence[str], limit: int) -> list[int]:
    """Rows of ``limit`` images, rising.

    ``parts[i]``: what a source is made of besides classes, such as ``fog/3``. Parts take turns; each takes
    an image of a class of which there are fewest so far. So parts differ by one image at most, and so do
    classes, as far as there are images. Ties, and images within a class, are settled by hashes of names:
    the same files give the same rows in whatever order or place they lie.
    """
    if limit >= len(names):
        return list(range(len(names)))
    known = sorted(set(classes), key=lambda index: _hash(f"class {index}"))
    place = {index: number for number, index in enumerate(known)}
    piles: dict[str, dict[int, deque[int]]] = defaultdict(lambda: defaultdict(deque))
    for row in sorted(range(len(names)), key=lambda row: _hash(names[row])):
        piles[parts[row]][place[classes[row]]].append(row)
    left = {part: np.zeros(len(known), np.int64) for part in sorted(piles, key=_hash)}
    for part, pile in piles.items():
        for number, rows in pile.items():
            left[part][number] = len(rows)
    taken = np.zeros(len(known), np.int64)
    turns, chosen = deque(left), list[int]()
    while len(chosen) < limit:
        part = turns.popleft()
        number = int(np.where(left[part] > 0, taken, limit).argmin())
        chosen.append(piles[part][number].popleft())
        taken[number] += 1
        left[part][number] -= 1
        if left[part].any():
            turns.append(part)
    return sorted(chosen)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
