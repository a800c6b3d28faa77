"""What the records refuse, and the small functions that numbers and texts go through."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import spreadsheet_cell
from imagenet_hard.base.web import json_text
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.plain_text import Link, https
from imagenet_hard.leaderboard.site.data_files import bits, commonest_wrong, few, group_of, numbers, script
from imagenet_hard.leaderboard.site.pages import axis_for
from tests.leaderboard.site.boards import made_up


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "http://a.org", "data:text/html,x", "//a.org", "https://", "/etc/passwd"),
        *(
            'https://a.org/"><script>',
            "JAVASCRIPT:alert(1)",
            " https://a.org",
            "https://a.org/\u202e",
            "https://[x",
        ),
    ],
)
def test_only_https_becomes_a_link(url):
    """Every other scheme is refused in the record and once more in the template's filter."""
    with pytest.raises(ValidationError, match="https://"):
        Link(label="x", url=url)
    with pytest.raises(ResultError, match="not an https address"):
        https(url)


@pytest.mark.parametrize("field", ["correct", "predicted", "kappa", "tied", "labels", "similar"])
def test_a_board_of_unequal_parts_is_refused(field):
    """Arrays that do not fit the entries and images raise, naming the array."""
    board = made_up(m=3, n=20)
    with pytest.raises(ResultError, match=f"board made-up: {field} has the shape"):
        replace(board, **{field: getattr(board, field)[:-1]})


def test_a_score_that_the_predictions_contradict_is_refused():
    """A typed number never reaches the page."""
    board = made_up(m=3, n=20)
    inflated = replace(board.entries[0], top1=Rate.of(20, 20))
    with pytest.raises(ResultError, match="claims 100.00 %"):
        replace(board, entries=(inflated, *board.entries[1:]))


@given(
    st.recursive(st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_embedded_json_cannot_leave_its_script(value):
    """No character that HTML or JavaScript could act on; the value is the same after parsing."""
    text = json_text(value)
    assert not set(text) & set("<>&\u2028\u2029")
    if not any(0xD800 <= ord(c) < 0xE000 for c in str(value)):
        assert json.loads(text) == value


def test_script_escapes_its_key():
    """A key is data as well."""
    assert "</script>" not in script("a</script>", {"b": "</script>"})


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_bits_round_trip(flags):
    """As the page's script reads them: bit 7 - i % 8 of byte i // 8."""
    packed = base64.b64decode(bits(np.array(flags)))
    assert [bool(packed[i >> 3] >> (7 - (i & 7)) & 1) for i in range(len(flags))] == flags


def test_numbers_are_little_endian():
    """int16 1 and -2."""
    assert base64.b64decode(numbers(np.array([1, -2]), "<i2")) == b"\x01\x00\xfe\xff"


def test_groups_and_commonest_wrong_answers_by_hand():
    """Against a plain loop over the images."""
    board = made_up(m=7, n=120, seed=3)
    wrong, votes = commonest_wrong(board)
    for i in range(board.n):
        answers = [int(p) for p, ok in zip(board.predicted[:, i], board.correct[:, i], strict=True) if not ok]
        best = max(sorted(set(answers)), key=answers.count, default=-1)
        assert (wrong[i], votes[i]) == (best, answers.count(best))
    solved = board.correct.sum(0)
    groups = group_of(board)
    assert few(board) == 1
    assert groups["none"].sum() == (solved == 0).sum()
    assert groups["few"].sum() == (solved == 1).sum()
    assert groups["all"].sum() == (solved == 7).sum()


def test_groups_do_not_overlap_on_a_board_of_one():
    """With one entry an image is solved by none or by all."""
    groups = group_of(made_up(m=1, n=30))
    assert not groups["few"].any()
    assert (groups["none"] ^ groups["all"]).all()


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_axis_holds_what_it_should(counts):
    """Ticks lie in range, all but the lowest tenth are inside, and drawing never leaves the picture."""
    rates = [Rate.of(k, 400) for k in counts]
    axis = axis_for(rates)
    assert all(axis.low <= tick <= axis.high + 1e-9 for tick in axis.ticks)
    assert all(4 <= axis.x(r.low) <= axis.x(r.high) <= 156 for r in rates)
    assert sum(r.low < axis.low for r in rates) <= len(rates) / 10


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", " =1", "\t=1"])
def test_spreadsheets_run_nothing(text):
    """A formula becomes text."""
    assert not spreadsheet_cell(text).startswith(("=", "+", "-", "@", " =", "\t"))
