"""Ranks, ties and agreement against scipy, statsmodels and scikit-learn; laws that no order changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from imagenet_hard.leaderboard.site.standing import Standing
from imagenet_hard.leaderboard.site.standing import standing as packed_standing
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.ranks import ranks
from tests.leaderboard.site.boards import imagenet_v2


def standing(correct: np.ndarray) -> Standing:
    """Of bool (m, n)."""
    return packed_standing(Correctness.of(correct))


def random_correct(seed, m=8, n=300):
    """m models of different skill on images of different hardness."""
    rng = np.random.default_rng(seed)
    return rng.random((m, n)) < np.linspace(0.8, 0.3, m)[:, None] * rng.random(n)[None] * 1.5


@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_those_of_the_statistics(seed):
    """Place, range and ties, and how many neighbours are told apart."""
    correct = random_correct(seed)
    found = ranks(Correctness.of(correct))
    got = standing(correct)
    expected = zip(found.place.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    assert [(r.place, r.low, r.high) for r in got.ranks] == list(expected)
    np.testing.assert_array_equal(got.tied, ~found.apart)
    assert got.neighbours_apart == sum(found.apart[i, i + 1] for i in range(len(correct) - 1))


def test_kappa_is_cohens():
    """Error consistency equals scikit-learn's kappa of right and wrong."""
    correct = random_correct(1)
    kappa = standing(correct).kappa
    for i, a in enumerate(correct):
        for j, b in enumerate(correct):
            assert kappa[i, j] == pytest.approx(cohen_kappa_score(a, b))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(6)))
def test_order_changes_nothing(seed, order):
    """Permuting the entries permutes ranks and ties."""
    correct = random_correct(seed, m=6, n=120)
    a, b = standing(correct), standing(correct[list(order)])
    assert [a.ranks[i] for i in order] == list(b.ranks)
    np.testing.assert_array_equal(a.tied[np.ix_(order, order)], b.tied)


def test_copies_tie():
    """The same predictions twice share rank and range."""
    correct = random_correct(3, m=4)
    got = standing(np.concatenate([correct, correct[:1]]))
    assert got.ranks[0] == got.ranks[4]
    assert got.tied[0, 4]


def test_similar_entries_stand_side_by_side():
    """Two families of noisy copies: the order never goes from one to the other and back."""
    rng = np.random.default_rng(0)
    parents = rng.random((2, 400)) < 0.5
    correct = np.stack([parents[i % 2] ^ (rng.random(400) < 0.05) for i in range(8)])
    families = [i % 2 for i in standing(correct).similar]
    assert families in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_entries(m):
    """Boards of one to three entries stand as well."""
    got = standing(random_correct(0, m=m))
    assert len(got.ranks) == m
    assert sorted(got.similar) == list(range(m))


@pytest.mark.slow
def test_imagenet_v2(shared):
    """The 67 real models: any of the four best may be first, and 6 of 66 neighbours are told apart.

    Holm's step-down in both families (scipy's exact tests) gives 6 as well, in one of the two 7.
    """
    got = standing(imagenet_v2(shared).correct)
    assert [(r.place, r.low, r.high) for r in got.ranks[:5]] == [
        *((1, 1, 4), (2, 1, 4), (2, 1, 4), (4, 1, 4), (5, 5, 8)),
    ]
    assert got.neighbours_apart == 6
