"""Confusions, counted one answer after another."""

from __future__ import annotations

from collections import Counter

import numpy as np

from imagenet_hard.leaderboard.stats.confusions import confusions


def test_confusions_by_plain_counting():
    """Wrong answers alone, in the row of each label; who names no class takes nothing for anything."""
    rng = np.random.default_rng(0)
    labels = [tuple(sorted(rng.choice(6, rng.integers(1, 4), replace=False).tolist())) for _ in range(40)]
    predicted = rng.integers(-1, 8, (70, 40)).astype(np.int16)
    correct = np.array([[p in each for p, each in zip(row, labels, strict=True)] for row in predicted])
    expected = Counter(
        (label, int(p))
        for row in predicted
        for p, each in zip(row, labels, strict=True)
        if p not in each and p >= 0
        for label in each
    )
    found = confusions(predicted, correct, labels)
    assert {(i, j): found[i, j] for i, j in np.argwhere(found).tolist()} == expected
