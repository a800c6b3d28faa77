"""ECE and Brier, against torchmetrics and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import brier_score_loss

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.calibration import Calibration, calibrate


def test_ece_is_torchmetrics() -> None:
    """15 equal bins of the top-1 confidence give torchmetrics' calibration error."""
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500).astype(np.float32), rng.random(500) < 0.4
    expected = binary_calibration_error(
        torch.from_numpy(confidence), torch.from_numpy(correct).int(), n_bins=15
    )
    assert calibrate(confidence, correct).ece == pytest.approx(float(expected), abs=1e-6)


def test_brier_is_scikit_learns() -> None:
    """The top-label Brier score is the binary one of 'the prediction is right'."""
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(300), rng.random(300) < 0.5
    expected = brier_score_loss(correct, confidence)
    assert calibrate(confidence, correct).brier == pytest.approx(expected, abs=1e-12)


def test_golden() -> None:
    """Four images by hand: two in the first bin, one in each of the last two."""
    found = calibrate(np.array([0.04, 0.06, 0.9, 1.0]), np.array([False, True, True, False]))
    assert found.n_total == (2, *[0] * 12, 1, 1)
    assert found.ece == pytest.approx((abs(1 - 0.1) + abs(1 - 0.9) + abs(0 - 1.0)) / 4)
    assert found.brier == pytest.approx((0.04**2 + 0.94**2 + 0.1**2 + 1) / 4)


def test_edges_belong_to_the_bin_below() -> None:
    """Bins are open below and closed above, and 0 lies in the first (Guo et al. 2017)."""
    found = calibrate(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 1.0]), np.zeros(4, dtype=bool))
    assert found.n_total == (2, 1, *[0] * 12, 1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_order_does_not_matter(rows: list[tuple[float, bool]]) -> None:
    """Sorting the images changes nothing beyond rounding, and both scores lie in [0, 1]."""
    shuffled = sorted(rows)
    one, two = (calibrate(*map(np.array, zip(*each, strict=True))) for each in (rows, shuffled))
    assert one.n_total == two.n_total
    assert one.n_correct == two.n_correct
    assert (one.ece, one.brier) == pytest.approx((two.ece, two.brier), abs=1e-12)
    assert 0 <= one.ece <= 1


def test_a_sure_and_right_model_is_calibrated() -> None:
    """Confidence 1 and always right: both scores are 0."""
    found = calibrate(np.ones(7, dtype=np.float32), np.ones(7, dtype=bool))
    assert (found.ece, found.brier) == (0, 0)


def test_nothing_raises() -> None:
    """No images, unequal lengths and impossible confidences are errors, not zeros."""
    with pytest.raises(UsageError, match=r"got \(0,\) and \(0,\)"):
        calibrate(np.zeros(0), np.zeros(0, dtype=bool))
    with pytest.raises(UsageError, match=r"got \(2,\) and \(3,\)"):
        calibrate(np.zeros(2), np.zeros(3, dtype=bool))
    for bad in (1.5, float("nan")):
        with pytest.raises(UsageError, match=r"confidences must lie in \[0, 1\]"):
            calibrate(np.array([0.5, bad]), np.zeros(2, dtype=bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ece": 0.5}, "its bins give"),
        ({"n_correct": [9] * 15}, "more right predictions than images"),
        ({"n_total": [0] * 15, "n_correct": [0] * 15}, "all bins are empty"),
        ({"n_total": [1]}, "at least 15 items"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    """A stored calibration has to follow from its own bins."""
    good = calibrate(np.array([0.3, 0.8]), np.array([True, False])).model_dump()
    with pytest.raises(ValidationError, match=message):
        Calibration(**{**good, **change})
