"""Bits and codes as base64: round trips and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.evaluation.base64_columns import pack_bits, pack_names, unpack_bits, unpack_names


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_bits_come_back(flags: list[bool]) -> None:
    """Packing and unpacking is the identity."""
    assert unpack_bits(pack_bits(np.array(flags)), len(flags)).tolist() == flags


@given(st.lists(st.text(max_size=3), min_size=1, max_size=50))
def test_names_come_back(values: list[str]) -> None:
    """Names and codes give each image its origin again."""
    names, text = pack_names(values)
    assert [names[code] for code in unpack_names(names, text, len(values))] == values


def test_more_than_256_names_take_two_bytes() -> None:
    """Beyond a byte the codes grow, beyond two bytes they are refused."""
    values = [f"{i:05d}" for i in range(300)]
    names, text = pack_names(values)
    assert len(text) == 800
    assert unpack_names(names, text, 300).tolist() == list(range(300))
    with pytest.raises(ValueError, match="65537 distinct names"):
        pack_names([str(i) for i in range(65_537)])


def test_one_name_takes_no_room() -> None:
    """A set of one origin stores no codes."""
    assert pack_names(["", "", ""]) == (("",), "")


@pytest.mark.parametrize(
    ("text", "n", "message"),
    [
        ("!!", 3, "not base64"),
        ("é", 3, "not base64"),
        ("oA==", 9, "1 bytes, expected 2 for 9 bits"),
        ("oA==", 2, "after the last of 2 images"),
    ],
)
def test_bad_bits_are_refused(text: str, n: int, message: str) -> None:
    """What is no bit per image is no column."""
    with pytest.raises(ValueError, match=message):
        unpack_bits(text, n)


@pytest.mark.parametrize(
    ("names", "text", "message"),
    [
        (("a", "b"), "AAEC", "code 2 has no name"),
        (("b", "a"), "AAEB", "not sorted and distinct"),
        (("a", "a"), "AAEB", "not sorted and distinct"),
        ((), "", "not sorted and distinct"),
        (("a", "b"), "AAE=", "2 bytes, expected 3"),
        (("a",), "AAE=", "2 bytes, expected 0"),
    ],
)
def test_bad_codes_are_refused(names: tuple[str, ...], text: str, message: str) -> None:
    """What is no known name per image is no column."""
    with pytest.raises(ValueError, match=message):
        unpack_names(names, text, 3)
