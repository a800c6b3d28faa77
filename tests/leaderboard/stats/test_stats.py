"""Statistics of a board against scipy, statsmodels and scikit-learn, and laws that ranks must obey."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.multitest import multipletests

from imagenet_hard.errors import UsageError
from imagenet_hard.evaluation.intervals import mcnemar_exact
from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.correlation import correlate
from imagenet_hard.leaderboard.stats.images import by_group, solved
from imagenet_hard.leaderboard.stats.pairs import better, error_consistency, holm, mcnemar, neighbours_apart
from imagenet_hard.leaderboard.stats.ranks import bootstrap_ranks, ranks


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
    np.testing.assert_array_equal(packed.solved_by(), correct.sum(axis=0))
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
    """As scipy's binomial test, and as ours for one pair."""
    a, b = np.array(pairs).T
    expected = [stats.binomtest(x, x + y, 0.5).pvalue if x + y else 1.0 for x, y in pairs]
    np.testing.assert_allclose(mcnemar(a, b), expected, rtol=1e-9)
    np.testing.assert_allclose(mcnemar(a, b), [mcnemar_exact(x, y) for x, y in pairs], rtol=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
@settings(deadline=None)
def test_holm_is_statsmodels(p):
    """Adjusted p-values."""
    np.testing.assert_allclose(holm(np.array(p)), multipletests(p, method="holm")[1], rtol=1e-12, atol=1e-15)


def test_better_is_what_the_tests_say_pair_by_pair():
    """One pair after the other with scipy and statsmodels."""
    correct = board(7, 900)
    pairs = [(i, j) for i in range(7) for j in range(i + 1, 7)]
    p = []
    for i, j in pairs:
        a, b = int((correct[i] & ~correct[j]).sum()), int((correct[j] & ~correct[i]).sum())
        p.append(stats.binomtest(a, a + b, 0.5).pvalue)
    rejected = multipletests(p, alpha=0.05, method="holm")[0]
    expected = np.zeros((7, 7), np.bool_)
    for (i, j), apart in zip(pairs, rejected, strict=True):
        if apart:
            first = correct[i].sum() > correct[j].sum()
            expected[(i, j) if first else (j, i)] = True
    np.testing.assert_array_equal(better(Correctness.of(correct)), expected)


def test_kappa_is_sklearns():
    """Of right and wrong; NaN where both are always right."""
    correct = board(5, 700)
    correct[4] = True
    kappa = error_consistency(Correctness.of(correct))
    for i in range(4):
        for j in range(4):
            assert kappa[i, j] == pytest.approx(cohen_kappa_score(correct[i], correct[j]))
    assert np.isnan(kappa[4, 4])


@given(BOARDS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_ranks_do_not_depend_on_the_order_of_entries(correct, random):
    """Shuffled entries keep their ranks and ranges."""
    order = list(range(len(correct)))
    random.shuffle(order)
    plain = ranks(Correctness.of(correct), resamples=50)
    shuffled = ranks(Correctness.of(correct[order]), resamples=50)
    for name in ("shared", "low", "high", "boot_low", "boot_high"):
        np.testing.assert_array_equal(getattr(plain, name)[order], getattr(shuffled, name), err_msg=name)


@given(BOARDS)
@settings(max_examples=20, deadline=None)
def test_ranks_obey_their_laws(correct):
    """1 <= low <= high <= m, somebody is first, equals tie, and who is better never has the higher range."""
    doubled = np.concatenate([correct, correct[:1]])
    found = ranks(Correctness.of(doubled), resamples=50)
    m = len(doubled)
    assert found.low.min() == 1
    assert ((found.low >= 1) & (found.low <= found.high) & (found.high <= m)).all()
    assert (found.boot_low <= found.boot_high).all()
    for name in ("shared", "low", "high", "boot_low", "boot_high"):
        assert getattr(found, name)[0] == getattr(found, name)[-1]
    wins = better(Correctness.of(doubled))
    assert not (wins & wins.T).any()
    assert not wins[0, -1]


def test_bootstrap_ranks_by_hand():
    """An entry that is right everywhere is always first, one that never is, last; equals share both."""
    correct = np.array([[1] * 50, [0] * 50, [1] * 50, [1, 0] * 25], np.bool_)
    low, high = bootstrap_ranks(Correctness.of(correct), resamples=200)
    assert low.tolist() == [1, 4, 1, 3]
    assert high.tolist() == [2, 4, 2, 3]


def test_bootstrap_ranks_are_those_of_a_loop():
    """The same draws, scored one resample after the other."""
    correct = board(5, 300)
    rng = np.random.default_rng(3)
    draws = rng.multinomial(300, np.full(300, 1 / 300), size=100)
    best = [[1 + sum(s > t for s in scores) for t in scores] for scores in draws @ correct.T.astype(int)]
    low, _ = bootstrap_ranks(Correctness.of(correct), resamples=100, seed=3)
    np.testing.assert_array_equal(low, np.quantile(best, 0.025, axis=0, method="lower"))


def test_images_and_groups_by_hand():
    """Who solves what; accuracies within groups."""
    correct = Correctness.of(np.array([[1, 1, 0, 0], [1, 0, 0, 1]], np.bool_))
    found = solved(correct)
    assert (found.by.tolist(), found.none, found.all, found.oracle) == ([2, 1, 0, 1], 1, 1, 0.75)
    groups = by_group(correct, ["b", "a", "a", "b"])
    assert groups.names == ("a", "b")
    assert groups.totals.tolist() == [2, 2]
    assert groups.counts.tolist() == [[1, 1], [0, 2]]
    with pytest.raises(UsageError, match="got 1 groups for 4 images"):
        by_group(correct, ["a"])


def test_correlation_is_scipys():
    """All three coefficients; nothing for too few or constant scores; intervals hold the value."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = correlate(x, y)
    assert found.pearson.value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.kendall.value == pytest.approx(stats.kendalltau(x, y).statistic)
    for each in (found.pearson, found.spearman, found.kendall):
        assert -1 <= each.low < each.value < each.high <= 1
    assert correlate([1, 2], [1, 2]) is None
    assert correlate([1, 1, 1], [1, 2, 3]) is None
    with pytest.raises(ValueError, match="3 and 2 scores do not pair"):
        correlate([1, 2, 3], [1, 2])


def test_real_models_on_imagenet_v2(shared):
    """67 published models: few neighbours can be told apart, and many share a rank."""
    folder = shared / "data/predictions/imagenetv2-matched-frequency"
    top5 = pq.read_table(folder / "top5.parquet").to_pydict()
    labels = pq.read_table(folder / "labels.parquet").to_pydict()
    assert top5.pop("id") == labels["id"]
    right = [
        [best[0] == label for best, label in zip(column, labels["label"], strict=True)]
        for column in top5.values()
    ]
    correct = Correctness.of(np.array(right))
    assert (correct.m, correct.n) == (67, 10_000)
    assert correct.counts()[list(top5).index("resnet50")] == 6333
    found = ranks(correct, resamples=200)
    apart = better(correct)
    order = np.argsort(-correct.counts(), kind="stable")
    in_order = (apart | apart.T)[np.ix_(order, order)]
    assert in_order.diagonal(1).sum() <= neighbours_apart(correct) < 20
    assert found.shared[order[0]] == 1
    assert len(set(found.shared.tolist())) < 67
