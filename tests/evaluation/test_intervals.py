"""Wilson, McNemar and the paired bootstrap, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.proportion import proportion_confint

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.intervals import mcnemar, paired_bootstrap, wilson

counts = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_is_statsmodels(count: tuple[int, int], confidence: float) -> None:
    """The interval is the one that statsmodels calls wilson."""
    k, n = count
    expected = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    assert wilson(k, n, confidence) == pytest.approx(expected, abs=1e-12)


@given(counts)
def test_wilson_holds_the_share_and_mirrors(count: tuple[int, int]) -> None:
    """The share lies inside, inside [0, 1], and wrong answers have the mirrored interval."""
    k, n = count
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_wilson_of_the_final_table() -> None:
    """ViT-B/32 in the paper: 18.52 % of 10,980 images, by hand."""
    low, high = wilson(2033, 10_980)
    assert (round(100 * low, 2), round(100 * high, 2)) == (17.8, 19.25)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (1, 0), (-1, 3), (4, 3)])
def test_wilson_of_nothing_raises(k: int, n: int) -> None:
    """No images or impossible counts have no interval."""
    with pytest.raises(UsageError, match=f"no interval for {k} of {n}"):
        wilson(k, n)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_exact(only_a: int, only_b: int) -> None:
    """The p value is statsmodels' exact McNemar and scipy's binomial test, and has no side."""
    p = mcnemar(only_a, only_b)
    assert p == mcnemar(only_b, only_a)
    assert p == pytest.approx(float(reference([[7, only_a], [only_b, 9]], exact=True).pvalue), rel=1e-9)
    if only_a + only_b:
        assert p == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


def test_mcnemar_golden() -> None:
    """1 against 9: 2 * (1 + 10) / 1024."""
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == 1.0
    with pytest.raises(UsageError, match="cannot be negative: got -1 and 2"):
        mcnemar(-1, 2)


def test_bootstrap_is_scipys() -> None:
    """Drawing counts gives the interval that scipy finds by resampling images."""
    only_a, only_b, n = 60, 35, 500
    difference = np.repeat([1, -1, 0], [only_a, only_b, n - only_a - only_b])
    reference = stats.bootstrap(
        (difference,), np.mean, n_resamples=10_000, method="percentile", random_state=1, batch=500
    ).confidence_interval
    low, high = paired_bootstrap(only_a, only_b, n)
    # Both ends carry Monte-Carlo noise of about one image in 500.
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=2.5 / n)


def test_bootstrap_is_seeded() -> None:
    """The same seed gives the same interval; equal models give an interval of no width."""
    assert paired_bootstrap(9, 4, 100, seed=3) == paired_bootstrap(9, 4, 100, seed=3)
    assert paired_bootstrap(0, 0, 100) == (0.0, 0.0)
    with pytest.raises(UsageError, match=r"no bootstrap for 3 \+ 4 of 6 images"):
        paired_bootstrap(3, 4, 6)
