"""Answers of a model that was run again: what agrees, what does not, and what a check of a part finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import Predictions
from imagenet_hard.leaderboard.verify.agreement import (
    MAY_MISS,
    agreeing,
    chance_to_miss,
    compare,
    may_differ,
    smallest_check,
)

N = 2000
TOLERANCE = 0.01


def answered(logits: np.ndarray) -> Predictions:
    """Predictions from float64 logits (n, 1000)."""
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    top5 = np.argsort(-log_p, axis=1)[:, :5]
    logprob5 = np.take_along_axis(log_p, top5, axis=1).astype(np.float32)
    ids = tuple(f"{i:05}" for i in range(len(logits)))
    return Predictions(ids, top5.astype(np.int16), logprob5, logprob5[:, 0] - logprob5[:, 1])


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (N, 1000))


@pytest.fixture(scope="module")
def labels() -> list[tuple[int, ...]]:
    return [(i % 1000,) for i in range(N)]


def test_rounding_agrees_and_ties_may_change_places(
    logits: np.ndarray, labels: list[tuple[int, ...]]
) -> None:
    """Noise far within the tolerance reorders close pairs, which agree; a sixth come fifth does not."""
    noise = np.random.default_rng(1).uniform(-1e-3, 1e-3, logits.shape)
    one, other = answered(logits), answered(logits + noise)
    moved = (one.top5 != other.top5).any(axis=1)
    sixth = np.array([set(a) != set(b) for a, b in zip(one.top5, other.top5, strict=True)])
    assert moved.sum() - sixth.sum() > 5
    for a, b in ((one, other), (other, one)):
        assert np.array_equal(agreeing(a, b, TOLERANCE), ~sixth)
        assert agreeing(a, b, 2 * TOLERANCE).all()
    assert f"{N} of {N} images agree" in compare(one, other, labels, 2 * TOLERANCE)


def test_each_change_is_seen(logits: np.ndarray) -> None:
    """A class in any place, two places exchanged, any log probability: of one image, that image differs."""
    p = answered(logits)
    for place in range(5):
        top5, logprob5 = p.top5.copy(), p.logprob5.copy()
        top5[3, place] = next(c for c in range(1000) if c not in p.top5[3])
        assert not agreeing(replace(p, top5=top5), p, TOLERANCE)[3]
        logprob5[3, place] += 0.02
        assert not agreeing(replace(p, logprob5=logprob5), p, TOLERANCE)[3]
        assert agreeing(replace(p, logprob5=logprob5), p, TOLERANCE).sum() == N - 1
    swapped = p.top5.copy()
    swapped[3, [0, 1]] = swapped[3, [1, 0]]
    assert not agreeing(replace(p, top5=swapped), p, TOLERANCE)[3]


def test_a_few_may_differ(logits: np.ndarray, labels: list[tuple[int, ...]]) -> None:
    """One image in a thousand, and no more."""
    p = answered(logits)
    for changed, fails in ((2, False), (3, True)):
        logprob5 = p.logprob5.copy()
        logprob5[:changed] -= 1
        made_up = replace(p, logprob5=logprob5)
        if fails:
            with pytest.raises(ResultError, match="1997 of 2000 images agree .* expected at least 1998"):
                compare(made_up, p, labels, TOLERANCE)
        else:
            assert "1998 of 2000 images agree" in compare(made_up, p, labels, TOLERANCE)


def test_near_ties_that_all_fall_one_way(logits: np.ndarray, labels: list[tuple[int, ...]]) -> None:
    """Within a wide tolerance one may choose: who chooses by the labels is found by a fair coin's odds."""
    p = answered(logits)
    close = np.flatnonzero(p.logprob5[:, 0] - p.logprob5[:, 1] < 0.4)[:40]
    truth = [tuple(p.top5[i, [1]]) if i in close else tuple(p.top5[i, [0]]) for i in range(N)]
    top5 = p.top5.copy()
    top5[close, 0], top5[close, 1] = p.top5[close, 1], p.top5[close, 0]
    chosen = replace(p, top5=top5)
    assert agreeing(chosen, p, 0.5).all()
    with pytest.raises(
        ResultError, match="by top-1 the entry alone is right on 40 images .* on 0: near-ties"
    ):
        compare(chosen, p, truth, 0.5)
    fair = [labels if i % 2 else tuple(p.top5[i, [0]]) for i, labels in enumerate(truth)]
    assert "2000 of 2000" in compare(chosen, p, fair, 0.5)


def test_confidences_that_are_moved_together(logits: np.ndarray) -> None:
    """Each within the tolerance, but wrong answers all less sure than they were: a forged calibration."""
    p = answered(logits)
    truth = [(int(p.top5[i, 0]),) if i % 2 else (999,) for i in range(N)]
    logprob5 = p.logprob5.copy()
    logprob5[::2] -= 0.2
    with pytest.raises(ResultError, match="log confidences of its wrong answers are off by -0.2000"):
        compare(replace(p, logprob5=logprob5), p, truth, 0.5)


@pytest.mark.parametrize("total", [20, 867, 10_980])
def test_what_a_spot_check_finds(total: int) -> None:
    """The chance by counting drawings, against the formula; the smallest check keeps the promise."""
    n = smallest_check(total)
    assert chance_to_miss(n, total) <= MAY_MISS
    assert n == 1 or chance_to_miss(n - 1, total) > MAY_MISS
    generator = np.random.default_rng(3)
    for size, share in ((max(2, n // 4), 0.01), (max(2, n // 4), 0.05)):
        changed = int(np.ceil(share * total))
        seen = generator.hypergeometric(changed, total - changed, size, 20_000)
        missed = float((seen <= may_differ(size)).mean())
        assert missed == pytest.approx(chance_to_miss(size, total, share), abs=0.02)
