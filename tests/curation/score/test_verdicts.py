"""Verdicts: the argmax over the variant's classes, any label counts, ties go to the lower index."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.curation.score.verdicts import deficits


def plainly(logits: np.ndarray, labels: set[int], mask: np.ndarray | None) -> int:
    """The class that a loop over the allowed classes finds best, the first among equals."""
    best = -1
    for c in range(1000):
        if (mask is None or mask[c]) and (best < 0 or logits[c] > logits[best]):
            best = c
    return best


@given(
    seed=st.integers(0, 10_000),
    levels=st.integers(1, 5),
    never=st.sampled_from([0.0, 0.5, 0.999, 1.0]),
    labels=st.sets(st.integers(0, 999), min_size=1, max_size=4),
    masked=st.booleans(),
)
def test_the_sign_of_the_deficit_is_the_verdict(seed, levels, never, labels, masked):
    """Below 0 if and only if a plain loop's prediction is among the labels, with ties and -inf everywhere."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, levels, 1000).astype(np.float32)
    logits[rng.random(1000) < never] = -np.inf
    mask = None
    if masked:
        mask = rng.random(1000) < 0.3
        mask[list(labels)] = True
    expected = plainly(logits, labels, mask)
    (deficit,), (predicted,) = deficits(logits[None], [tuple(sorted(labels))], [mask])
    assert predicted == expected
    assert (deficit < 0) == (expected in labels)
    assert deficit != 0


def test_the_deficit_is_a_difference_of_logits():
    """Best wrong minus best right; the mask takes classes out of both."""
    logits = np.zeros((2, 1000), np.float32)
    logits[:, 3], logits[:, 5], logits[:, 8] = 1.0, 4.0, 9.0
    mask = np.ones(1000, np.bool_)
    mask[8] = False
    found, predicted = deficits(logits, [(3, 5), (3, 5)], [None, mask])
    np.testing.assert_allclose(found, [5.0, -4.0])
    np.testing.assert_array_equal(predicted, [8, 5])
    assert found.dtype == np.float32
    assert predicted.dtype == np.int16


def test_the_logits_stay_as_they_are():
    """Masking works on a copy."""
    logits = np.ones((1, 1000), np.float32)
    mask = np.zeros(1000, np.bool_)
    mask[1] = True
    deficits(logits, [(1,)], [mask])
    assert (logits == 1).all()
