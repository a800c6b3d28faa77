"""The order of zooms: complete, best first, and following what the run sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.curation.score.order import HEAD, ZoomOrder, prior
from imagenet_hard.imagenet.zoom import Zoom, ZoomGrid

PAPER = ZoomGrid()
COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 323)),
    st.integers(0, 100).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    max_size=30,
)


@given(COUNTS)
def test_every_zoom_of_every_classifier_comes_once(counts):
    """Whatever has been seen: nothing is left out and nothing comes twice."""
    order = ZoomOrder({"a": PAPER, "b": PAPER}, counts)
    for steps in (order.steps(), order.everything()):
        found = [(name, zoom) for name, block in steps for zoom in block]
        assert len(found) == len(set(found)) == 648


def test_the_standard_view_is_first():
    """Most images are solved by it, so it is tried alone."""
    first = next(ZoomOrder({"a": PAPER}).steps())
    assert first == ("a", [PAPER.standard])


def test_a_given_list_comes_first_and_nothing_is_left_out():
    """A study's cover is tried in its order, whatever the rates; then all other zooms, each once."""
    cover = [Zoom(896, 0, 2), Zoom(10, 1, 1), Zoom(256, 1, 1)]
    order = ZoomOrder({"a": PAPER, "b": ZoomGrid.for_size(448)}, first=cover)
    steps = list(order.steps())
    assert [zoom for name, block in steps[:2] if name == "a" for zoom in block] == [299, 4, 112]
    found = [(name, zoom) for name, block in steps for zoom in block]
    assert len(found) == len(set(found)) == 648
    with pytest.raises(UsageError, match="scale 257, anchor .* is not in the grid"):
        ZoomOrder({"a": PAPER}, first=[Zoom(257, 1, 1)])


def test_the_rest_goes_scale_by_scale():
    """After the best zooms of each, one scale of every classifier before the next scale."""
    order = ZoomOrder({"a": PAPER, "b": PAPER})
    steps = list(order.steps())
    sizes = np.cumsum([len(block) for _, block in steps])
    rest = steps[int(np.searchsorted(sizes, 2 * HEAD)) + 1 :]
    scales = [PAPER.scale_of(block[0]) for _, block in rest]
    changes = sum(a != b for a, b in itertools.pairwise(scales))
    assert changes + 1 == len(set(scales))
    assert all(len({PAPER.scale_of(zoom) for zoom in block}) == 1 for _, block in rest)


def test_what_solves_moves_to_the_front():
    """A zoom that solves much more often than expected is tried first by the next images."""
    order = ZoomOrder({"a": PAPER})
    for _ in range(2000):
        order.note("a", 300, True)
    assert next(order.steps()) == ("a", [300])
    assert order.counts("a", 300) == (2000, 2000)
    assert order.rates("a")[300] == pytest.approx(2000 / 2050, abs=0.01)


def test_the_prior_is_a_chance_for_each_zoom():
    """The data file is whole: 324 numbers in (0, 1), the standard view the largest."""
    rates = prior(PAPER)
    assert rates.shape == (324,)
    assert ((rates > 0) & (rates < 1)).all()
    assert rates.argmax() == PAPER.standard


def test_another_grid_takes_the_nearest_scale():
    """At 448 pixels a scale of 512 shows what 256 shows at 224."""
    grid = ZoomGrid.for_size(448)
    assert prior(grid).argmax() == grid.standard
