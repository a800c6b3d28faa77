"""Covers against the plain greedy loop and against the exact solver."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imagenet_hard.study.cover import greedy_cover, minimum_cover

matrices = st.tuples(st.integers(1, 40), st.integers(1, 12)).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


def plain(correct: np.ndarray) -> tuple[list[int], list[int]]:
    """The notebook's way: count every column again at each step."""
    left, zooms, gains = np.ones(len(correct), bool), [], []
    while (gain := correct[left].sum(axis=0)).size and gain.max() > 0:
        best = int(gain.argmax())
        zooms.append(best)
        gains.append(int(gain[best]))
        left &= ~correct[:, best]
    return zooms, gains


def greedy(correct: np.ndarray):
    return greedy_cover(np.packbits(correct.T, axis=1))


@given(matrices)
def test_greedy_equals_the_plain_loop(correct):
    """Same zooms in the same order, same gains; together they solve every solvable image."""
    cover = greedy(correct)
    assert (list(cover.zooms), list(cover.gained)) == plain(correct)
    assert sum(cover.gained) == cover.n_solvable == correct.any(axis=1).sum()
    assert correct[:, list(cover.zooms)].any(axis=1).sum() == cover.n_solvable


@settings(deadline=None)  # the first call imports the solver
@given(matrices)
def test_the_smallest_cover_is_a_cover_and_no_larger(correct):
    """It solves all, and greedy needs at most ln(n) + 1 times as many (Chvatal 1979)."""
    cover, optimum = greedy(correct), minimum_cover(correct)
    assert correct[:, list(optimum.zooms)].any(axis=1).sum() == cover.n_solvable
    assert len(optimum.zooms) == optimum.at_least <= len(cover.zooms)
    if cover.n_solvable:
        assert len(cover.zooms) <= (np.log(cover.n_solvable) + 1) * len(optimum.zooms)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_smallest_cover_by_trying_all(seed):
    """No smaller set of zooms solves all: every one of them is tried."""
    correct = np.random.default_rng(seed).random((12, 7)) < 0.3
    optimum, solvable = minimum_cover(correct), correct.any(axis=1).sum()
    for smaller in itertools.combinations(range(7), max(0, len(optimum.zooms) - 1)):
        assert not solvable or correct[:, list(smaller)].any(axis=1).sum() < solvable


def test_greedy_can_miss_the_optimum():
    """The textbook case: greedy takes the large zoom first and needs three, two would do."""
    correct = np.zeros((6, 3), bool)
    correct[:3, 0] = correct[3:, 1] = True
    correct[[0, 1, 3, 4], 2] = True
    assert greedy(correct).zooms == (2, 0, 1)
    assert minimum_cover(correct).zooms == (0, 1)


def test_equal_gains_go_to_the_lowest_number():
    """Whatever the order in which gains were last counted."""
    correct = np.eye(5, dtype=bool)[:, [4, 3, 2, 1, 0]]
    assert greedy(correct).zooms == (0, 1, 2, 3, 4)


def test_nothing_to_cover():
    """No zoom, no optimum, and all of nothing is solved."""
    nothing = np.zeros((4, 3), bool)
    assert greedy(nothing).zooms == minimum_cover(nothing).zooms == ()
    assert greedy(nothing).share(3) == 1.0


def test_share_counts_the_first_zooms():
    """2 of 3 solvable images after one zoom, all after two."""
    cover = greedy(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], bool))
    assert [cover.share(n) for n in (0, 1, 2, 36)] == [0.0, pytest.approx(2 / 3), 1.0, 1.0]


def test_a_search_that_ends_early_says_so():
    """A cover, and a bound that leaves open whether there is a smaller one."""
    correct = np.random.default_rng(0).random((400, 120)) < 0.04
    found = minimum_cover(correct, nodes=1)
    assert found.at_least < len(found.zooms)
    assert correct[:, list(found.zooms)].any(axis=1).sum() == correct.any(axis=1).sum()
