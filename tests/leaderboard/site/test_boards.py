"""The board that entries make: its ranks and ties are those of the statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.site.boards import Gathering
from imagenet_hard.leaderboard.site.data import Board
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.ranks import ranks
from tests.leaderboard.site.boards import imagenet_v2, made_up


def board(correct: np.ndarray) -> Board:
    """Of bool (m, n)."""
    n = correct.shape[1]
    some = made_up(m=1, n=20).entries[0]
    into = Gathering(
        name="imagenet-x",
        source="a test",
        fingerprint="ab" * 32,
        ids=tuple(map(str, range(n))),
        labels=((1,),) * n,
        origins=("",) * n,
    )
    for i, right in enumerate(correct):
        model = replace(some, id=f"lab__{i:03}", top1=Rate.of(int(right.sum()), n))
        into.add(model, right, np.where(right, 1, 2))
    return into.board()


def random_correct(seed, m=8, n=300):
    """m models of different skill on images of different hardness."""
    rng = np.random.default_rng(seed)
    return rng.random((m, n)) < np.linspace(0.8, 0.3, m)[:, None] * rng.random(n)[None] * 1.5


@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_those_of_the_statistics(seed):
    """Place, range and ties, and how many neighbours are told apart; whatever the order of the entries."""
    correct = random_correct(seed)
    got = board(np.random.default_rng(seed).permutation(correct))
    found = ranks(Correctness.of(got.correct))
    assert sorted(map(tuple, got.correct.tolist())) == sorted(map(tuple, correct.tolist()))
    expected = zip(found.place.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    assert [(e.rank.place, e.rank.low, e.rank.high) for e in got.entries] == list(expected)
    np.testing.assert_array_equal(got.tied, ~found.apart)
    assert got.neighbours_apart == sum(found.apart[i, i + 1] for i in range(len(correct) - 1))
    assert [e.top1.n_correct for e in got.entries] == got.correct.sum(axis=1).tolist()


def test_copies_tie():
    """The same predictions twice share rank and range."""
    correct = random_correct(3, m=4)
    got = board(np.concatenate([correct, correct[:1]]))
    assert got.entries[0].rank == got.entries[1].rank
    assert (got.correct[0] == got.correct[1]).all()
    assert got.tied[0, 1]


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_entries(m):
    """Boards of one to three entries stand as well."""
    got = board(random_correct(0, m=m))
    assert len(got.entries) == m
    assert sorted(got.similar) == list(range(m))


@pytest.mark.slow
def test_imagenet_v2(shared):
    """The 67 real models: any of the four best may be first, and 6 of 66 neighbours are told apart.

    Holm's step-down in both families (scipy's exact tests) gives 6 as well, in one of the two 7.
    """
    got = board(imagenet_v2(shared).correct)
    assert [(e.rank.place, e.rank.low, e.rank.high) for e in got.entries[:5]] == [
        *((1, 1, 4), (2, 1, 4), (2, 1, 4), (4, 1, 4), (5, 5, 8)),
    ]
    assert got.neighbours_apart == 6
