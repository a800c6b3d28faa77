"""What other labels do to a score, and how sure that is."""

import numpy as np
import pytest

from imagenet_hard.leaderboard.stats.moved import moved


def test_moved_by_resampling_images() -> None:
    """Against a bootstrap that draws the images themselves."""
    rng = np.random.default_rng(0)
    before, kept = rng.random(300) < 0.4, rng.random(300) < 0.95
    later = before ^ (rng.random(300) < 0.1)
    got = moved(before, later[kept], kept)
    assert got.difference == pytest.approx(later[kept].mean() - before.mean())
    draws = rng.integers(0, 300, (20_000, 300))
    differences = (later & kept)[draws].sum(axis=1) / kept[draws].sum(axis=1) - before[draws].mean(axis=1)
    assert (got.low, got.high) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.004)
