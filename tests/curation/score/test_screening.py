"""The tolerance of a screening: cautious at first, then a multiple of the worst that was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import ResultError
from imagenet_hard.curation.score.screening import AUDIT, CALIBRATION, SAFETY, Tolerance

PAIRS = st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), max_size=40)


def test_nothing_is_skipped_before_enough_has_been_compared():
    """However far from right."""
    tolerance = Tolerance(compared=CALIBRATION - 1, largest=0.1)
    assert tolerance.needs_exact(1e9)
    tolerance.compare(1.0, 1.0)
    assert not tolerance.needs_exact(1e9)


@given(PAIRS)
def test_the_tolerance_never_shrinks(pairs):
    """It is SAFETY times the largest difference, in whatever order they come."""
    tolerance = Tolerance(compared=CALIBRATION)
    last = 0.0
    for screened, exact in pairs:
        tolerance.compare(screened, exact)
        assert tolerance.value >= last
        last = tolerance.value
    assert last == pytest.approx(SAFETY * max([abs(a - b) for a, b in pairs], default=0.0))


def test_some_skipped_crops_are_compared_all_the_same():
    """One in AUDIT."""
    tolerance = Tolerance(compared=CALIBRATION, largest=0.1)
    assert sum(tolerance.needs_exact(5.0) for _ in range(10 * AUDIT)) == 10


def test_it_survives_a_restart():
    """What is dumped is loaded; nothing is a fresh one; damage is named."""
    tolerance = Tolerance(400, 0.75, 12)
    assert Tolerance.load(tolerance.dump()) == tolerance
    assert Tolerance.load(None) == Tolerance()
    with pytest.raises(ResultError, match="screening tolerance is damaged: got 'x'"):
        Tolerance.load("x")
