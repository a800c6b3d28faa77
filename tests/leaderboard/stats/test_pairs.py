"""Entries by pairs, against scipy, statsmodels and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.multitest import multipletests

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.intervals import mcnemar
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.pairs import error_consistency, holm, side_by_side


def board(m: int = 8, n: int = 2100, seed: int = 0) -> np.ndarray:
    """bool (m, n): entries of rising strength on images of different difficulty."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=n)
    strength = np.linspace(-1, 1, m)
    return rng.random((m, n)) < 1 / (1 + np.exp(difficulty[None] - strength[:, None]))


BOARDS = st.builds(board, m=st.integers(1, 9), n=st.integers(1, 2500), seed=st.integers(0, 999))


@given(BOARDS)
@settings(max_examples=25, deadline=None)
def test_counts_are_those_of_the_plain_matrix(correct):
    """Packed and in blocks, or not."""
    packed = Correctness.of(correct)
    np.testing.assert_array_equal(packed.counts(), correct.sum(axis=1))
    np.testing.assert_array_equal(packed.both(), correct.astype(int) @ correct.T.astype(int))
    np.testing.assert_array_equal(packed.only(), correct.astype(int) @ (~correct).T.astype(int))


def test_bits_that_do_not_fit_are_refused():
    """Another number of images, or none."""
    with pytest.raises(UsageError, match=r"bits of shape \(2, 3\) for 30 images: expected \(entries, 4\)"):
        Correctness(np.zeros((2, 3), np.uint8), 30)
    with pytest.raises(UsageError, match="at least one image"):
        Correctness(np.zeros((2, 0), np.uint8), 0)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30))
@settings(deadline=None)
def test_mcnemar_is_the_exact_test(pairs):
    """As scipy's binomial test, pair by pair or all at once."""
    a, b = np.array(pairs).T
    expected = [stats.binomtest(x, x + y, 0.5).pvalue if x + y else 1.0 for x, y in pairs]
    np.testing.assert_allclose(mcnemar(a, b), expected, rtol=1e-9)
    np.testing.assert_allclose(mcnemar(a, b), [mcnemar(x, y) for x, y in pairs], rtol=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([1, 2, 15]))
@settings(deadline=None)
def test_holm_is_its_definition(seed, n, digits):
    """Each adjusted p-value by the formula, one after the other; ties, zeros and ones among them."""
    p = np.round(np.random.default_rng(seed).random(n) ** 3, digits)
    rising = sorted(p)
    expected = [max(min(1, (n - k) * rising[k]) for k in range(sum(q <= one for q in p))) for one in p]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_statsmodels(seed):
    """Whose function takes a tenth of a second a call: few calls of many p-values, with ties and ends."""
    p = np.round(np.random.default_rng(seed).random(400) ** 3, 15 if seed % 2 else 2)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12, atol=1e-15)


def test_kappa_is_sklearns():
    """Of right and wrong; NaN where both are always right."""
    correct = board(5, 700)
    correct[4] = True
    kappa = error_consistency(Correctness.of(correct))
    for i in range(4):
        for j in range(4):
            assert kappa[i, j] == pytest.approx(cohen_kappa_score(correct[i], correct[j]))
    assert np.isnan(kappa[4, 4])


def test_similar_entries_stand_side_by_side():
    """Two families of noisy copies: the order never goes from one to the other and back."""
    rng = np.random.default_rng(0)
    parents = rng.random((2, 400)) < 0.5
    correct = np.stack([parents[i % 2] ^ (rng.random(400) < 0.05) for i in range(8)])
    families = [i % 2 for i in side_by_side(error_consistency(Correctness.of(correct)))]
    assert families in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4)
