"""The plan of a recipe: what is read, and what it costs."""

from __future__ import annotations

from dataclasses import replace

from imagenet_hard.curation.score.plan import _source_plan
from tests.curation.small import made, recipe


def test_an_image_that_cannot_be_decoded_does_not_end_the_plan():
    """Scoring leaves it undecided and goes on, so the plan names it and goes on."""
    data = made(6)
    broken = replace(data, data=[data.data[0][:90], *data.data[1:]])
    plan = _source_plan(recipe(), broken.source())
    assert plan.n == 6
    assert plan.seconds_per_image > 0
    assert plan.notes == ("1 of 6 images tried cannot be decoded (first imagenet/000)",)
    assert _source_plan(recipe(), data.source()).notes == ()
