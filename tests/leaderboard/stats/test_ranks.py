"""The board's ranks: laws, a plain computation, what spam does, and how often a range holds the truth."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from imagenet_hard.leaderboard.stats.correctness import Correctness
from imagenet_hard.leaderboard.stats.ranks import ranks, resampled, told_apart
from tests.leaderboard.stats.test_pairs import BOARDS, board

NAMES = ("place", "low", "high")


def p_values(correct: np.ndarray) -> np.ndarray:
    """float (m, m): exact McNemar by statsmodels, pair by pair; 1 for the same entry."""
    m, n = correct.shape
    p = np.ones((m, m))
    counts = correct.astype(np.int64) @ correct.T.astype(np.int64)
    for i in range(m):
        for j in range(i):
            both, a, b = counts[i, j], counts[i, i], counts[j, j]
            cells = [[both, a - both], [b - both, n - a - b + both]]
            p[i, j] = p[j, i] = mcnemar(cells, exact=True).pvalue
    return p


def holm_apart(p: np.ndarray) -> np.ndarray:
    """bool (m, m): rejected by Holm in the families of both entries, step after step."""
    m = len(p)
    apart = np.zeros((m, m), bool)
    for i in range(m):
        rising = sorted((p[i, j], j) for j in range(m) if j != i)
        for k, (value, j) in enumerate(rising):
            if value > 0.05 / (m - 1 - k):
                break
            apart[i, j] = True
    return apart & apart.T


def step_down(correct: np.ndarray, p: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """bool (m, m): the step-down written out plainly, one hypothesis and one resample after the other."""
    m, n = correct.shape
    counts = correct.sum(axis=1)
    apart = np.zeros((m, m), bool)
    for i in range(m):
        left = [j for j in range(m) if j != i and (correct[i] != correct[j]).any()]
        while left:
            z = []
            for j in left:
                differences = correct[i].astype(float) - correct[j]
                sd = differences.std() * np.sqrt(n)
                z.append(abs(draws[i] - draws[j] - (counts[i] - counts[j])) / sd)
            critical = np.sort(np.max(z, axis=0))[int(np.ceil(0.95 * (draws.shape[1] - 1)))]
            level = max(2 * norm.sf(critical), 0.05 / len(left)) if len(left) > 1 else 0.05
            gone = [j for j in left if p[i, j] <= min(level, 0.05)]
            if not gone:
                break
            apart[i, gone] = True
            left = [j for j in left if j not in gone]
    return apart & apart.T


def widened(counts: np.ndarray, apart: np.ndarray) -> list[tuple[int, int, int]]:
    """(place, low, high) of each entry, by the words of the page."""
    m = len(counts)
    own = [
        (
            1 + sum(apart[i, j] and counts[j] > counts[i] for j in range(m)),
            m - sum(apart[i, j] and counts[j] < counts[i] for j in range(m)),
        )
        for i in range(m)
    ]
    return [
        (
            1 + sum(other > mine for other in counts),
            min(own[j][0] for j in range(m) if counts[j] <= mine),
            max(own[j][1] for j in range(m) if counts[j] >= mine),
        )
        for mine in counts
    ]


@pytest.mark.parametrize(("m", "n", "seed"), [(7, 900, 0), (9, 400, 1), (6, 60, 2), (2, 30, 3)])
def test_ranks_are_those_of_a_plain_computation(m, n, seed):
    """Tests by statsmodels, the step-down and the widening as loops, on the same resampled images."""
    correct = board(m, n, seed)
    p = p_values(correct)
    draws = resampled(Correctness.of(correct), 200, 5) + correct.sum(axis=1)[:, None]
    apart = step_down(correct, p, draws)
    found = ranks(Correctness.of(correct), resamples=200, seed=5)
    np.testing.assert_array_equal(found.apart, apart)
    assert list(zip(*(getattr(found, name).tolist() for name in NAMES), strict=True)) == widened(
        correct.sum(axis=1), apart
    )


def test_resampled_images_are_drawn_with_replacement():
    """A loop over the same draws; every entry meets the same ones."""
    correct = board(5, 300)
    rng = np.random.default_rng(3)
    draws = [rng.integers(0, 300, 300) for _ in range(40)]
    expected = [[row[draw].sum() - row.sum() for draw in draws] for row in correct]
    np.testing.assert_array_equal(resampled(Correctness.of(correct), 40, 3), expected)


@given(BOARDS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_ranks_do_not_depend_on_the_order_of_entries(correct, random):
    """Shuffled entries keep their places and ranges."""
    order = list(range(len(correct)))
    random.shuffle(order)
    plain = ranks(Correctness.of(correct), resamples=50)
    shuffled = ranks(Correctness.of(correct[order]), resamples=50)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(plain, name)[order], getattr(shuffled, name), err_msg=name)
    np.testing.assert_array_equal(plain.apart[np.ix_(order, order)], shuffled.apart)


@given(BOARDS)
@settings(max_examples=20, deadline=None)
def test_ranks_obey_their_laws(correct):
    """Place and both ends rise as the score falls, equals share all three, the place lies in the range."""
    doubled = np.concatenate([correct, correct[:1]])
    found = ranks(Correctness.of(doubled), resamples=50)
    counts = doubled.sum(axis=1)
    order = np.argsort(-counts, kind="stable")
    for name in NAMES:
        values = getattr(found, name)
        assert values[0] == values[-1]
        steps = np.diff(values[order])
        assert (steps >= 0).all()
        assert (steps[np.diff(counts[order]) == 0] == 0).all()
    assert (found.place == 1 + (counts[None, :] > counts[:, None]).sum(axis=1)).all()
    assert ((found.low >= 1) & (found.low <= found.place)).all()
    assert ((found.place <= found.high) & (found.high <= len(doubled))).all()
    assert not found.apart[0, -1]
    assert not found.apart.diagonal().any()
    np.testing.assert_array_equal(found.apart, found.apart.T)


@pytest.mark.parametrize("n", [1, 4, 5, 6, 20])
def test_one_comparison_is_the_exact_test(n):
    """Two entries, one right everywhere and one nowhere: apart from 6 images on, where p is below 5 %."""
    correct = np.array([[True] * n, [False] * n])
    assert told_apart(Correctness.of(correct))[0, 1] == (2 * 0.5**n <= 0.05)


def noisy(row: np.ndarray, share: float, k: int) -> np.ndarray:
    """bool (k, n): copies of an entry with a share of its right answers spoilt."""
    rng = np.random.default_rng(9)
    return row & (rng.random((k, len(row))) >= share)


def test_spam_far_away_changes_nothing():
    """300 poor entries below the others leave every other range as it is."""
    correct = board(12, 2000)
    poor = noisy(correct[0], 0.5, 300)
    before = ranks(Correctness.of(correct), resamples=300)
    after = ranks(Correctness.of(np.concatenate([correct, poor])), resamples=300)
    np.testing.assert_array_equal(after.apart[:12, :12], before.apart)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(after, name)[1:12], getattr(before, name)[1:])


@pytest.mark.parametrize(("spoilt", "most"), [(0.0, 0), (0.01, 1)])
def test_copies_of_the_best_lift_hardly_anybody(spoilt, most):
    """200 copies of the best cost no pair as they are, and one at most when slightly spoilt."""
    correct = board(12, 2000)
    copies = noisy(correct[11], spoilt, 200)
    before = told_apart(Correctness.of(correct), resamples=300)
    after = told_apart(Correctness.of(np.concatenate([correct, copies])), resamples=300)[:12, :12]
    assert not (after & ~before).any()
    assert (before & ~after).sum() / 2 <= most


def test_a_range_holds_the_true_rank():
    """Images drawn 60 times from a population whose ranks are known, some of them shared: 95 % hold."""
    population = board(12, 4000, seed=4)
    population[3] = np.roll(population[4], 1)  # as good as the next, on other images
    truth = population.sum(axis=1)
    best = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
    worst = 12 - (truth[None, :] < truth[:, None]).sum(axis=1)
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        found = ranks(Correctness.of(population[:, rng.integers(0, 4000, 800)]), resamples=200)
        held.append((found.low <= best) & (found.high >= worst))
    assert np.mean(held, axis=0).min() >= 0.95
    assert np.mean(held) >= 0.97


def test_real_models_on_imagenet_v2(shared):
    """67 published models: at least what Holm tells apart, and junk that changes nothing."""
    folder = shared / "data/predictions/imagenetv2-matched-frequency"
    top5 = pq.read_table(folder / "top5.parquet").drop_columns("id")
    labels = pq.read_table(folder / "labels.parquet")["label"].to_numpy()
    first = [np.asarray(column.combine_chunks().flatten()).reshape(-1, 5)[:, 0] for column in top5.columns]
    correct = np.stack(first) == labels
    names = top5.column_names
    counts = correct.sum(axis=1)
    assert counts[names.index("resnet50")] == 6333
    p = p_values(correct)
    found = ranks(Correctness.of(correct), resamples=500)
    by_holm = holm_apart(p)
    for i in range(0, 67, 13):
        others = np.delete(np.arange(67), i)
        assert not by_holm[i, others][~multipletests(p[i, others], method="holm")[0]].any()
    assert found.apart[by_holm].all()
    assert not found.apart[p > 0.05].any()
    assert by_holm.sum() <= found.apart.sum() <= 1.02 * by_holm.sum()
    assert [tuple(getattr(found, name)[i] for name in NAMES) for i in np.argsort(-counts)[:5]] == [
        *((1, 1, 4), (2, 1, 4), (2, 1, 4), (4, 1, 4), (5, 5, 8)),
    ]
    senet = names.index("senet154")
    junk = noisy(correct[names.index("alexnet")], 0.05, 100)
    after = ranks(Correctness.of(np.concatenate([correct, junk])), resamples=500)
    np.testing.assert_array_equal(after.apart[:67, :67], found.apart)
    assert (found.low[senet], after.low[senet], after.high[senet]) == (5, 5, found.high[senet])
