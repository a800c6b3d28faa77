"""Estimates from a few images, against plain loops, scipy, and all samples of small populations."""

from __future__ import annotations

from itertools import permutations, product
from math import comb, log, log1p, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import hypergeom, norm

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.estimation import (
    FLOOR,
    MOST,
    allocate,
    confidence_sequence,
    difficulty_of,
    images_needed,
    strata_of,
    stratified,
    stratified_variance,
)
from imagenet_hard.evaluation.intervals import wilson


def test_difficulty_weighs_models_by_their_accuracy_squared():
    """Against a loop; where no model gets anything right, all images are as hard."""
    correct = np.random.default_rng(0).random((5, 40)) < np.array([0.9, 0.6, 0.3, 0.1, 0])[:, None]
    weights = [float(np.mean(row)) ** 2 for row in correct]
    by_loop = [sum(w for w, row in zip(weights, correct, strict=True) if row[i]) for i in range(40)]
    assert np.allclose(difficulty_of(correct), np.array(by_loop) / sum(weights))
    assert not difficulty_of(np.zeros((3, 4), bool)).any()


@given(st.lists(st.floats(0, 1), min_size=12, max_size=120), st.integers(2, 12))
def test_strata_are_full_and_in_the_order_of_difficulty(difficulty, strata):
    """However many images are equally hard."""
    shares = np.array(difficulty)
    place = strata_of(shares, np.arange(len(shares)), strata)
    assert sorted(set(place.tolist())) == list(range(strata))
    assert (np.diff(place[np.lexsort((np.arange(len(shares)), shares))]) >= 0).all()


def test_strata_have_about_the_same_spread_each():
    """What makes equal draws the best ones: size times spread is alike."""
    shares = np.random.default_rng(0).beta(0.5, 0.5, 20_000)
    place = strata_of(shares, np.arange(20_000))
    spread = np.bincount(place, weights=np.sqrt(shares * (1 - shares)) + FLOOR)
    assert spread.max() / spread.min() < 1.01
    assert np.bincount(place).max() / np.bincount(place).min() > 2


def test_fewer_images_than_strata():
    with pytest.raises(UsageError, match="3 images cannot be put into 12 strata: score all"):
        strata_of(np.zeros(3), np.arange(3))


@given(st.integers(0, 300), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_allocation_is_even_where_there_is_room(n, sizes):
    """Sums to what was asked for; a stratum with less than another has been drawn whole, or is one behind."""
    drawn = allocate(n, sizes)
    assert drawn.sum() == min(n, sum(sizes))
    assert (drawn <= sizes).all()
    assert all(d == size or d >= drawn.max() - 1 for d, size in zip(drawn, sizes, strict=True))


def test_the_estimate_is_right_on_average_over_all_samples():
    """All populations of 4 and 5 images, all samples of 2 and 3: unbiased, by the hypergeometric law."""
    sizes, drawn = np.array([4, 5]), np.array([2, 3])
    for right in product(range(5), range(6)):
        laws = [hypergeom(m, k, d) for m, k, d in zip(sizes, right, drawn, strict=True)]
        mean = sum(
            laws[0].pmf(a) * laws[1].pmf(b) * stratified([a, b], drawn, sizes)[0]
            for a in range(3)
            for b in range(4)
            if laws[0].pmf(a) * laws[1].pmf(b) > 0
        )
        assert mean == pytest.approx(sum(right) / 9)


def test_the_interval_holds_over_all_samples_of_all_populations():
    """Exact, for 10 of 20 and 10 of 40 images: above 95 % on average, nowhere below 84 %."""
    sizes, drawn = np.array([20, 40]), np.array([10, 10])
    a, b = np.meshgrid(np.arange(11), np.arange(11), indexing="ij")
    possible = np.stack([a, b], axis=-1)
    _, low, high = stratified(possible, drawn, sizes)
    held = []
    for one, two in product(range(21), range(41)):
        chance = np.outer(hypergeom.pmf(range(11), 20, one, 10), hypergeom.pmf(range(11), 40, two, 10))
        truth = (one + two) / 60
        held.append(chance[(low <= truth + 1e-9) & (truth <= high + 1e-9)].sum())
    assert 0.95 < np.mean(held) < 0.985
    assert min(held) > 0.84


def test_the_interval_against_its_definition():
    """Wilson's, solved from its score equation by scipy, for the effective number of images."""
    right, drawn, sizes = [3, 7, 9], [10, 10, 10], [50, 100, 200]
    share, low, high = stratified(right, drawn, sizes)
    variance = whole = 0.0
    for x, n, size in zip(right, drawn, sizes, strict=True):
        p = (x + 0.5) / (n + 1)
        whole += size / 350 * p
        variance += (size / 350) ** 2 * (1 - n / size) * p * (1 - p) / n
    estimate = (50 * 0.3 + 100 * 0.7 + 200 * 0.9) / 350
    heaviest = max(s / 350 * (1 - n / s) / n for n, s in zip(drawn, sizes, strict=True))
    least = max(estimate * (1 - estimate) / variance, 1 / heaviest)
    effective = min(whole * (1 - whole) / variance, least)
    z = norm.ppf(0.975)

    def score(p):
        return (estimate - p) ** 2 - z * z * p * (1 - p) / effective

    assert share == pytest.approx(estimate)
    assert low == pytest.approx(brentq(score, 0, estimate))
    assert high == pytest.approx(brentq(score, estimate, 1))


def test_one_endless_stratum_is_a_plain_sample():
    """Wilson's interval of the counts, however few are right."""
    for right in (0, 1, 600, 1000):
        share, *ends = stratified([right], [1000], [10**12])
        assert ends == pytest.approx(wilson(right, 1000), abs=1e-8)
        assert share == right / 1000


counts = st.integers(1, 12).flatmap(
    lambda size: st.integers(1, size).flatmap(
        lambda drawn: st.tuples(st.integers(0, drawn), st.just(drawn), st.just(size))
    )
)


@given(st.lists(counts, min_size=1, max_size=6))
def test_laws_of_the_estimate(strata):
    """In [0, 1], around the estimate; wrong for right mirrors it; what is seen is certain, and all exact."""
    right, drawn, sizes = (np.array(each) for each in zip(*strata, strict=True))
    share, low, high = stratified(right, drawn, sizes)
    assert 0 <= low <= share <= high <= 1
    assert low >= right.sum() / sizes.sum() - 1e-12
    assert high <= 1 - (drawn - right).sum() / sizes.sum() + 1e-12
    turned = stratified(drawn - right, drawn, sizes)
    assert turned == pytest.approx((1 - share, 1 - high, 1 - low))
    if (drawn == sizes).all():
        assert low == pytest.approx(high) == pytest.approx(right.sum() / sizes.sum())


@pytest.mark.parametrize("case", [([3], [2], [9]), ([-1], [2], [9]), ([1], [10], [9]), ([0], [0], [9])])
def test_counts_that_cannot_be(case):
    with pytest.raises(UsageError, match="0 <= right <= drawn <= images"):
        stratified(*case)


def by_loop(values, sizes, guess, m, target, confidence):
    """The two log capitals against the mean ``m`` after all rounds, draw by draw, from the definition."""
    total, seen = sum(sizes), [0.0] * len(sizes)
    level = log(2 / (1 - confidence))
    first = sum((s / total) ** 2 * max(g * (1 - g), 0.05) for s, g in zip(sizes, guess, strict=True))
    spreads, up, down = [first], 0.0, 0.0
    for t, row in enumerate(values):
        left = [max(s - t, 0) / total for s in sizes]
        bet = (
            target / np.mean(spreads)
            if target
            else sqrt(2 * level / (np.mean(spreads) * (t + 1) * log(t + 2)))
        )
        bet = min(bet, MOST / max(left))
        spread, before = 0.0, sum(seen) / total
        for h, y in enumerate(row):
            if t < sizes[h]:
                g, b = (seen[h] + guess[h]) / (t + 1), bet * left[h]
                up += log1p(b * (y - g)) + b * g
                down += log1p(-b * (y - g)) - b * g
                spread += left[h] ** 2 * (y - g) ** 2
                seen[h] += y
        up -= bet * (m - before)  # the sum over strata of b times the mean of what is left
        down += bet * (m - before)
        spreads.append(spread)
    return up, down


@pytest.mark.parametrize("target", [None, 0.2])
def test_the_sequence_against_its_definition(target):
    """The ends are where scipy finds the capital to be 10, draw by draw; a stratum runs out on the way."""
    sizes, guess, rng = [4, 60, 90], [0.2, 0.5, 0.9], np.random.default_rng(3)
    values = (rng.random((40, 3)) < guess).astype(float)
    low, high = confidence_sequence(values, sizes, guess, target=target, confidence=0.8)
    for rounds in (20, 40):

        def capital(m, side, rounds=rounds):
            return by_loop(values[:rounds], sizes, guess, m, target, 0.8)[side] - log(10)

        up, down = brentq(capital, -9, 9, args=(0,)), brentq(capital, -9, 9, args=(1,))
        wrong = sum((values[: min(rounds, size), h] == 0).sum() for h, size in enumerate(sizes))
        assert 0 < up < down < 1
        assert low[rounds - 1] == pytest.approx(up)
        assert high[rounds - 1] == pytest.approx(min(down, 1 - wrong / 154))


@pytest.mark.parametrize("confidence", [0.5, 0.8])
def test_the_sequence_holds_at_all_times_over_all_orders(confidence):
    """Every population of 5 and 3 images, in every order: the truth ever falls outside as rarely as stated.

    A wrong guess of the strata costs width, never that.
    """
    for guess in ([0.5, 0.5], [0.0, 1.0]):
        ever = []
        for a, b in product(range(6), range(4)):
            orders = list(
                product(
                    set(permutations([1] * a + [0] * (5 - a))), set(permutations([1] * b + [0] * (3 - b)))
                )
            )
            assert len(orders) == comb(5, a) * comb(3, b)
            missed = 0
            for one, two in orders:
                values = np.column_stack([one, [*two, 0, 0]])
                low, high = confidence_sequence(values, [5, 3], guess, target=0.3, confidence=confidence)
                truth = (a + b) / 8
                missed += bool(((truth < low - 1e-9) | (truth > high + 1e-9)).any())
                assert low[-1] == pytest.approx(truth)
                assert high[-1] == pytest.approx(truth)
            ever.append(missed / len(orders))
        assert max(ever) <= 1 - confidence
    assert max(ever) > 0 or confidence > 0.5  # it is not empty caution alone


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_past_of_a_sequence_stays(seed, rounds):
    """Later values change no earlier end, and wrong for right mirrors them."""
    rng = np.random.default_rng(seed)
    values, sizes, guess = rng.integers(0, 2, (40, 3)), [40, 70, 55], rng.random(3)
    low, high = confidence_sequence(values, sizes, guess)
    short = confidence_sequence(values[:rounds], sizes, guess)
    assert np.allclose(short, (low[:rounds], high[:rounds]))
    assert np.allclose(confidence_sequence(1 - values, sizes, 1 - guess), (1 - high, 1 - low))
    assert (low >= 0).all()
    assert (high <= 1).all()


def test_power_is_what_is_asked_for():
    """Drawn 20,000 times from two models: 80 % of the samples of that size tell them apart."""
    rng, n = np.random.default_rng(0), 50_000
    difference = rng.choice([1, -1, 0], size=n, p=[0.08, 0.05, 0.87])
    mean, variance = difference.mean(), difference.var()
    needed = images_needed(mean, variance, n)
    a, b = (difference == 1).sum(), (difference == -1).sum()
    draws = rng.multivariate_hypergeometric([a, b, n - a - b], needed, size=20_000)
    shares = (draws[:, 0] - draws[:, 1]) / needed
    error = np.sqrt(((draws[:, 0] + draws[:, 1]) / needed - shares**2) / needed * (1 - needed / n))
    assert 0.78 < (np.abs(shares / error) > norm.ppf(0.975)).mean() < 0.82
    assert images_needed(0.0, 0.1, n) is None
    assert images_needed(1e-4, 0.1, n) < n


def test_the_variance_of_a_stratified_mean():
    """That of 4,000 stratified samples, and less than that of random ones."""
    rng = np.random.default_rng(0)
    place = np.repeat([0, 1, 2], [2000, 3000, 5000])
    values = (rng.random(10_000) < np.array([0.1, 0.5, 0.9])[place]).astype(float)
    sizes, right = np.bincount(place), np.bincount(place, weights=values).astype(int)
    seen = rng.hypergeometric(right, sizes - right, 20, size=(4000, 3))
    means = (seen / 20 * sizes / 10_000).sum(axis=1)
    assert stratified_variance(values, place) / 60 == pytest.approx(means.var(), rel=0.1)
    assert stratified_variance(values, place) < 0.75 * values.var()
