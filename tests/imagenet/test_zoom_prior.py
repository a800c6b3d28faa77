"""Measured chances of the zooms."""

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.zoom import PAPER_SCALES, Zoom, ZoomGrid
from imagenet_hard.imagenet.zoom_prior import likeliest_zooms, measured_chances


def test_every_zoom_has_a_chance():
    """Nine for each of the paper's scales, in [0, 1]."""
    assert sorted(measured_chances()) == list(PAPER_SCALES)
    assert all(len(each) == 9 and all(0 <= x <= 1 for x in each) for each in measured_chances().values())


def test_the_likeliest_come_first():
    """The list goes down, holds each zoom once, and a shorter one is the beginning of a longer."""
    zooms = likeliest_zooms(324)
    chances = [measured_chances()[zoom.scale][3 * zoom.row + zoom.column] for zoom in zooms]
    assert chances == sorted(chances, reverse=True)
    assert set(zooms) == set(ZoomGrid())
    assert likeliest_zooms(36) == zooms[:36]
    assert zooms[0] == Zoom(256, 1, 1)


@pytest.mark.parametrize("n", [0, 325])
def test_other_numbers_are_refused(n):
    """With what is there."""
    with pytest.raises(UsageError, match="expected 1 to 324"):
        likeliest_zooms(n)
