"""Training data as entries state them: what is read, what is refused, by what a board filters."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imagenet_hard.base.errors import UsageError
from imagenet_hard.leaderboard.training import (
    GROUPS,
    KNOWN_SETS,
    Training,
    TrainingSet,
    training_of,
    training_set,
)


@pytest.mark.parametrize(
    ("typed", "name", "images"),
    [
        ("ImageNet-21k", "ImageNet-21k", None),
        ("in22k", "ImageNet-21k", None),
        ("imagenet1k=128116", "ImageNet-1k", 128_116),
        ("laion-2b=2.3B", "LAION-2B", 2_300_000_000),
        ("Photos of ours = 1,500k", "Photos of ours", 1_500_000),
        ("a=b=7", "a=b", 7),
    ],
)
def test_a_set_as_it_is_typed(typed, name, images):
    """Known ones in any of their spellings, others as they stand; numbers with k, M and B."""
    assert training_set(typed) == TrainingSet(name=name, images=images)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("Photos=many", "no number of images"),
        ("Photos=0", "greater than or equal to 1"),
        ("ImageNet-1k=14M", "ImageNet-1k has about 1,281,167"),
        ("a<b", "without < and >"),
        ("x" * 101, "at most 100"),
        ("", "at least 1"),
        ("see www.example.org", "Markdown makes a link"),
    ],
)
def test_a_set_that_is_refused(typed, said):
    with pytest.raises(UsageError, match=said):
        training_set(typed)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "no data set"),
        ({"distilled_from": ["a"]}, "no data set"),
        ({"trained_on": [{"name": "imagenet 1K"}]}, "is written 'ImageNet-1k'"),
        ({"trained_on": [{"name": "a"}, {"name": "a", "images": 3}]}, "trained_on has 'a' twice"),
        ({"trained_on": [{"name": "a"}], "distilled_from": ["b", "b"]}, "a model twice"),
        ({"trained_on": [{"name": f"s{i}"} for i in range(21)]}, "at most 20"),
        ({"trained_on": [{"name": "a", "images": 2**63}]}, "less than"),
        ({"trained_on": [{"name": "a", "role": "x"}]}, "Extra inputs"),
        ({"trained_on": [{"name": "Im\u0430geNet-1k"}]}, "letters beyond ASCII"),
        ({"trained_on": [{"name": "a"}], "said_by": "rumour"}, "'submitter' or 'tag'"),
    ],
)
def test_a_record_that_is_refused(value, said):
    """One spelling of each known set, none twice, a bound on all."""
    with pytest.raises(ValidationError, match=said):
        Training.model_validate(value)


@pytest.mark.parametrize(
    ("options", "group", "words"),
    [
        ((["in1k"], [], []), "ImageNet-1k only", "ImageNet-1k (1.3 M)"),
        ((["in1k"], ["in1k"], []), "ImageNet-1k only", None),
        (
            (["in1k"], [], ["RegNetY-16GF"]),
            "ImageNet-1k, distilled",
            "ImageNet-1k (1.3 M); distilled from RegNetY-16GF",
        ),
        ((["in21k"], ["in1k"], []), "ImageNet-21k", None),
        ((["in12k"], [], ["a"]), "ImageNet-21k", None),
        ((["WIT-400M"], ["in1k"], []), "web-scale", "WIT-400M (400 M); fine-tuned on ImageNet-1k (1.3 M)"),
        ((["laion2b=50M"], [], []), "other", "LAION-2B (50.0 M)"),
        ((["ours=100M"], [], []), "web-scale", "ours (100 M)"),
        ((["ours", "in1k"], [], []), "other", "ours, ImageNet-1k (1.3 M)"),
        (([], ["in1k"], []), "ImageNet-1k only", "fine-tuned on ImageNet-1k (1.3 M)"),
    ],
)
def test_group_and_words(options, group, words):
    """The largest or least usual set decides; 100 million images are web-scale, by name or by size."""
    made = training_of(*options)
    assert made is not None
    assert made.group == group
    assert made.group in GROUPS
    if words is not None:
        assert str(made) == words


def test_nothing_typed_is_nothing_said():
    assert training_of() is None
    with pytest.raises(UsageError, match="the training data: no data set"):
        training_of(distilled_from=["a"])


def test_each_known_set_has_one_spelling():
    """No spelling leads to two sets, and each name to itself."""
    for name in KNOWN_SETS:
        assert training_set(name.upper()).name == name
    also = [each for known in KNOWN_SETS.values() for each in known.also]
    assert len(set(also)) == len(also)
