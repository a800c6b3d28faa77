"""Images that are answered alike, against a search over all pairs."""

from __future__ import annotations

import numpy as np

from imagenet_hard.leaderboard.stats.alike import NEIGHBOURS, commonest, neighbours


def test_the_commonest_answer():
    """The lowest of equals; an image to which nobody names a class has none."""
    predicted = np.array([[3, 7, -1, -1], [3, 5, -1, 2], [4, 5, -1, -1], [4, 7, -1, -1]], np.int16)
    best, votes = commonest(predicted)
    assert best.tolist() == [3, 5, -1, 2]
    assert votes.tolist() == [2, 2, 0, 1]


def test_neighbours_by_plain_search():
    """Of the images with one commonest answer those with most in common; no class is no answer."""
    rng = np.random.default_rng(0)
    predicted = rng.integers(-1, 3, (9, 60)).astype(np.int16)
    best, _ = commonest(predicted)
    rows, shared = neighbours(predicted)
    for i in range(60):
        same = {}
        for j in range(60):
            if j != i and best[j] == best[i]:
                same[j] = sum(a == b != -1 for a, b in zip(predicted[:, i], predicted[:, j], strict=True))
        found = [j for j in rows[i].tolist() if j >= 0]
        assert [same[j] for j in found] == [k for k in shared[i].tolist() if k]
        assert [same[j] for j in found] == sorted(filter(None, same.values()), reverse=True)[:NEIGHBOURS]
        assert len(set(found)) == len(found)


def test_many_images_of_one_answer(monkeypatch):
    """They are compared in runs: each still finds some, with as many answers in common as it says."""
    monkeypatch.setattr("imagenet_hard.leaderboard.stats.alike.RUN", 10)
    predicted = np.zeros((3, 25), np.int16)
    rows, shared = neighbours(predicted)
    assert (rows >= 0).sum() == 20 * NEIGHBOURS + 5 * 4  # the last run has five
    assert set(shared[rows >= 0].tolist()) == {3}
