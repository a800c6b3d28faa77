"""What may be printed, and values cut to the length of a message."""

from __future__ import annotations

from imagenet_hard.base.text import printable, shorten, shorten_list, span
from imagenet_hard.evaluation.metrics import Rate


def test_what_is_not_seen_is_replaced() -> None:
    """Tabs, line ends and turned reading order never reach a terminal."""
    assert printable("tab\tnewline\n\u202e") == r"tab\tnewline\n\u202e"


def test_shorten() -> None:
    """Long values are cut in messages."""
    assert shorten("ab") == "'ab'"
    assert len(shorten("a" * 1000)) == 80


def test_a_list_names_ten_and_counts_the_rest() -> None:
    """Ten are all shown; of more, the number of those left out."""
    ten = [str(i) for i in range(10)]
    assert shorten_list(ten) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert shorten_list([*ten, "10", "11"]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


def test_an_interval_in_percent() -> None:
    """Wilson's of 8 in 10."""
    assert span(Rate.of(8, 10)) == "49.02–94.33"
