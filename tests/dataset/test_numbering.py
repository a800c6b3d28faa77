"""Numbers that may be no class indices are warned of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.dataset.numbering import own_numbering


@given(st.sets(st.integers(0, 30)))
def test_numbers_that_may_be_a_subsets_own(numbers: set[int]) -> None:
    """From 0 or 1 to k without a gap, from ten on."""
    k = len(numbers)
    expected = k >= 10 and sorted(numbers) in ([*range(k)], [*range(1, k + 1)])
    assert (own_numbering(numbers) is not None) == expected


def test_all_classes_are_no_subset() -> None:
    """0 to 999 are the class indices; 1 to 999 may count from 1."""
    assert own_numbering(range(1000)) is None
    assert "1 is goldfish and 999 is toilet paper. If they count from 1" in str(own_numbering(range(1, 1000)))
    assert "0 is tench and 9 is ostrich. If they number the classes of a subset" in str(
        own_numbering(range(10))
    )
