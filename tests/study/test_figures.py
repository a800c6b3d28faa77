"""Accuracies of a correctness matrix: laws, and a case counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.zoom import ZoomGrid
from imagenet_hard.study.figures import CENTRE, zoom_accuracy

GRID = ZoomGrid((140, 224, 256, 336))


def correct(seed: int, n: int, p: float) -> np.ndarray:
    return np.random.default_rng(seed).random((n, len(GRID))) < p


@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.floats(0, 0.3))
def test_laws(seed, n, p):
    """Best is at least everything else, and each group is what its columns say."""
    matrix = correct(seed, n, p)
    a = zoom_accuracy(matrix, GRID)
    best = a.best.n_correct
    assert best == matrix.any(axis=1).sum()
    assert all(rate.n_correct <= best for rate in (a.one_crop, *a.anchors, *a.scales, *a.best_of_9))
    assert a.one_crop == a.scales[GRID.scales.index(256)]
    assert all(one.n_correct <= nine.n_correct for one, nine in zip(a.scales, a.best_of_9, strict=True))
    assert a.scales == tuple(zoom_accuracy(matrix[:, [*range(36)]], GRID).scales)
    assert sum(group.alone.n_correct for group in a.groups) <= best
    assert best <= sum(group.solved.n_correct for group in a.groups)
    for group in a.groups:
        inside = np.array([group.name == side(zoom.scale) for zoom in GRID])
        assert group.solved.n_correct == matrix[:, inside].any(axis=1).sum()
        alone = matrix.any(axis=1) & ~matrix[:, ~inside].any(axis=1)
        assert group.alone.n_correct == alone.sum()


def side(scale: int) -> str:
    return "zoom-in" if scale > 224 else "zoom-out" if scale < 224 else "224"


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_images_does_not_matter(seed):
    """Nor does doubling all of them change a share."""
    matrix = correct(seed, 20, 0.1)
    shuffled = np.random.default_rng(seed).permutation(matrix)
    assert zoom_accuracy(shuffled, GRID) == zoom_accuracy(matrix, GRID)
    twice = zoom_accuracy(np.concatenate([matrix, matrix]), GRID)
    assert twice.best.accuracy == zoom_accuracy(matrix, GRID).best.accuracy


def test_counted_by_hand():
    """Three images: one right in the centre of 256, one at the first anchor of 140 only, one never."""
    matrix = np.zeros((3, len(GRID)), bool)
    matrix[0, 2 * 9 + CENTRE] = True
    matrix[1, 0] = True
    a = zoom_accuracy(matrix, GRID)
    assert (a.one_crop.n_correct, a.best.n_correct) == (1, 2)
    assert [rate.n_correct for rate in a.anchors] == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert [rate.n_correct for rate in a.scales] == [0, 0, 1, 0]
    assert [rate.n_correct for rate in a.best_of_9] == [1, 0, 1, 0]
    assert [(g.name, g.solved.n_correct, g.alone.n_correct) for g in a.groups] == [
        ("zoom-in", 1, 1),
        ("zoom-out", 1, 1),
        ("224", 0, 0),
    ]
    assert a.centre_bias == pytest.approx(1 / 3 - 1 / 24)


@pytest.mark.parametrize("shape", [(0, 36), (3, 35), (36,)])
def test_other_shapes_are_refused(shape):
    """With the shape that was expected."""
    with pytest.raises(UsageError, match=r"expected \(images, 36\), one image or more"):
        zoom_accuracy(np.zeros(shape, bool), GRID)


def test_the_standard_view_is_needed():
    """A grid without scale 256 has no 1-crop accuracy."""
    with pytest.raises(UsageError, match="lack 256"):
        zoom_accuracy(np.zeros((1, 9), bool), ZoomGrid((100,)))
