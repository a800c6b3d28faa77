"""How models are asked: the same words for everybody, and names that the matcher reads as their class."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.generative.matcher import match
from imagenet_hard.evaluation.generative.prompts import (
    PROMPTS,
    choices,
    parse_concurrency,
    parse_price,
    parse_request,
    prompt,
    question,
)
from imagenet_hard.imagenet import classes


def test_protocols_are_pinned():
    """A change of a protocol without a new version would make two figures look like one."""
    assert {name: (each.version, each.sha256[:16]) for name, each in PROMPTS.items()} == PINNED


PINNED = {
    "open": (1, "e205d1ffd1774344"),
    "choices": (1, "bfcbfe72f418e2c4"),
    "list": (1, "1745bafc3518abb3"),
}


def test_every_name_that_is_given_is_read_as_its_class():
    for index, name in enumerate(classes.distinct_names()):
        assert index in match(name).classes, name
        assert index in match(f'"{name}"').classes, name


def test_the_list_has_all_names_once():
    text = question(PROMPTS["list"], "x", [3])
    assert text.split("\n")[1:] == list(classes.distinct_names())
    assert text == question(PROMPTS["list"], "other", [7])
    assert question(PROMPTS["open"], "x", [3]) == PROMPTS["open"].text


@given(st.text(max_size=20), st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True))
def test_one_label_is_among_the_choices(id, labels):
    drawn = choices(5, id, labels)
    assert len(set(drawn)) == 5
    assert len(set(drawn) & set(labels)) == 1
    assert drawn == choices(5, id, sorted(labels, reverse=True))


def test_choices_are_near_and_in_any_place():
    """A golden retriever among retrievers, in each of the five places for some image."""
    places = set()
    for i in range(60):
        drawn = choices(5, f"{i}.jpg", [207])
        assert set(drawn) == {205, 206, 207, 208, 209}
        places.add(drawn.index(207))
    assert places == set(range(5))
    text = question(PROMPTS["choices"], "0.jpg", [207])
    assert [match(name).classes for name in re.findall('"(.*?)"', text)] == [
        (index,) for index in choices(5, "0.jpg", [207])
    ]


def test_what_is_typed_is_checked():
    with pytest.raises(UsageError, match="protocol 'quiz': expected one of open, choices, list"):
        prompt("quiz")
    assert parse_request('{"max_tokens": null}') == {"max_tokens": None}
    assert (parse_concurrency("auto"), parse_concurrency("8")) == (None, 8)
    assert parse_price("2.5,10") == (2.5, 10.0)
    for parse, wrong in (
        *((parse_request, each) for each in ("[]", "{", "[" * 100_000, "1")),
        *((parse_concurrency, each) for each in ("0", "-1", "many", "9999", "")),
        *((parse_price, each) for each in ("1", "1,2,3", "a,b", "-1,2", "nan,1", "inf,1")),
    ):
        with pytest.raises(ValueError, match=r"expected|could not convert|Expecting"):
            parse(wrong)
