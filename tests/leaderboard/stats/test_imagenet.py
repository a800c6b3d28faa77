"""Correlation and effective robustness against scipy, on made-up scores and on those of a test bed."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from scipy.stats import linregress

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.entry import ReportedTop1
from imagenet_hard.leaderboard.site.imagenet import ranked
from imagenet_hard.leaderboard.stats.imagenet import Line, correlate, fit, rank_differences
from tests.leaderboard.site.boards import PAPER, made_up


def test_the_line_of_the_test_bed_by_hand():
    """ResNet-50 on ImageNet-Sketch with the line that imagenet-testbed fitted to its standard models."""
    line = Line(slope=1.0709154135668684, intercept=-2.370072912552283, n=0)
    odds = np.exp(-2.370072912552283) * (0.7613 / 0.2387) ** 1.0709154135668684
    assert line.expected(0.7613) == pytest.approx(odds / (1 + odds))
    assert line.expected(0.7613) == pytest.approx(0.24453, abs=1e-5)


@pytest.mark.parametrize("setting", ["imagenetv2-matched-frequency", "imagenet-sketch", "imagenet-r"])
def test_published_models(shared, setting):
    """Line and residuals of some 330 models are those of scipy's regression of the logits."""
    with (shared / "data/published/robustness_top1s.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val"] and row[setting]]
    x = np.array([float(row["val"]) / 100 for row in rows])
    y = np.array([float(row[setting]) / 100 for row in rows])
    line, expected = fit(x, y), linregress(logit(x), logit(y))
    assert line is not None
    assert line.n == len(rows) > 300
    assert (line.slope, line.intercept) == pytest.approx((expected.slope, expected.intercept))
    residuals = [b - line.expected(a) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(residuals, y - expit(expected.slope * logit(x) + expected.intercept))
    assert abs(np.mean(residuals)) < 0.02


def test_no_line_through_too_little():
    """Two models, one ImageNet accuracy, shares without a logit."""
    assert fit([0.5, 0.6], [0.2, 0.3]) is None
    assert fit([0.5] * 4, [0.1, 0.2, 0.3, 0.4]) is None
    assert fit([0.5, 0.6, 0.7], [0.0, 0.3, 0.4]) is None


def test_rank_differences_by_hand():
    """As in timm's results: second on ImageNet and first here is +1."""
    assert rank_differences([0.8, 0.7, 0.6, 0.6], [0.2, 0.3, 0.1, 0.1]).tolist() == [-1, 1, 0, 0]


def test_entries_that_chose_the_images_bend_no_line():
    """They get a residual, and those without a reported accuracy nothing."""

    some = made_up(m=1, n=100).entries[0]

    def entry(percent, right, curation=False):
        imagenet = None if percent is None else ReportedTop1(percent=percent, source=PAPER)
        return replace(some, imagenet=imagenet, top1=Rate.of(right, 100), used_in_curation=curation)

    def against(*models):
        return ranked(models, [some.rank] * len(models))

    fair = [entry(70, 20), entry(80, 30), entry(85, 41)]
    plain, more = against(*fair), against(*fair, entry(75, 1, curation=True), entry(None, 50))
    assert [e.effective_robustness for e in more[:3]] == [e.effective_robustness for e in plain]
    assert more[3].effective_robustness < -0.15
    assert [e.rank_diff for e in more] == [1, 0, 0, -1, None]
    assert more[4].effective_robustness is None
    assert {(e.rank_diff, e.effective_robustness) for e in against(*fair[:2])} == {(None, None)}


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
