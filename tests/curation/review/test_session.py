"""A review without a page: order, filters, decisions on disk at once, undo, restart."""

from __future__ import annotations

import errno
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagenet_hard.base.errors import ImageNetHardError, ResultError, UsageError
from imagenet_hard.curation.records import Survivor
from imagenet_hard.curation.review.decisions import append_decision, read_decisions
from imagenet_hard.curation.review.merge import merge
from imagenet_hard.curation.review.session import Progress, ReviewFilter, ReviewSession

NOON = datetime(2023, 4, 12, 12, 0, 0, 999_999, tzinfo=UTC)
ALL, UNDECIDED = ReviewFilter(), ReviewFilter(undecided_only=True)
SURVIVORS = [
    Survivor(f"{source}/{i}", source, (i,), f"{i:064x}") for i in range(3) for source in ("val", "sketch")
]
IDS = [each.id for each in SURVIVORS]


def session(folder: Path, **options) -> ReviewSession:
    options = {"reviewer": "ann", "now": lambda: NOON, **options}
    return ReviewSession(SURVIVORS, folder / "ann.csv", **options)


def said(folder: Path) -> list[str]:
    return [f"{row.id} {row}" for row in read_decisions(folder / "ann.csv")]


def test_a_new_review_starts_at_the_first_image_and_writes_nothing(tmp_path):
    """Looking leaves no file behind."""
    review = session(tmp_path)
    assert (review.start(), review.sources) == ("val/0", ["val", "sketch"])
    assert review.progress() == Progress(6, {"keep": 0, "drop": 0, "relabel": 0}, undecided=6)
    assert not (tmp_path / "ann.csv").exists()


def test_a_decision_is_on_disk_when_it_returns(tmp_path):
    """With reviewer, whole seconds of UTC, and the hash of what was seen; the reason on one line."""
    review = session(tmp_path)
    row = review.decide("val/1", "drop", "ambiguous: \n two\tdogs \ud800")
    assert read_decisions(tmp_path / "ann.csv") == [row] == [review.decision("val/1")]
    assert (row.reason, row.stamp, row.image_sha256) == (
        "ambiguous: two dogs ?",
        "2023-04-12T12:00:00Z",
        f"{1:064x}",
    )


def test_a_restart_continues_where_it_was(tmp_path):
    """At the next undecided image from the last one decided, round to the beginning."""
    review = session(tmp_path)
    review.decide("val/1", "keep")
    assert session(tmp_path).start() == "sketch/1"
    review.decide("sketch/2", "relabel", labels=[7, 3])
    again = session(tmp_path)
    assert again.start() == "val/0"
    assert again.decision("sketch/2").labels == (3, 7)
    assert again.progress() == Progress(6, {"keep": 1, "drop": 0, "relabel": 1}, undecided=4)
    for id in IDS:
        again.decide(id, "keep")
    assert session(tmp_path).start() == IDS[-1]


def test_undo_restores_what_was_said_before(tmp_path):
    """By further rows with rising times, also within one second; the file keeps the history."""
    review = session(tmp_path)
    review.decide("val/0", "keep", "a note")
    review.decide("val/0", "relabel", labels=[5])
    assert str(review.undo()) == "keep"
    assert review.decision("val/0").reason == "a note"
    assert str(review.undo()) == "undecided"
    assert review.decision("val/0") is None
    assert review.undo() is None
    assert said(tmp_path) == ["val/0 keep", "val/0 relabel 5", "val/0 keep", "val/0 undecided"]
    assert [row.time.second for row in read_decisions(tmp_path / "ann.csv")] == [0, 1, 2, 3]
    assert session(tmp_path).start() == "val/0"


def test_filters_and_steps(tmp_path):
    """By source, by undecided, both; None at the ends; by 0 goes round."""
    review = session(tmp_path)
    review.decide("val/1", "keep")
    assert review.matching(ReviewFilter("val")) == ["val/0", "val/1", "val/2"]
    assert review.matching(ReviewFilter("val", undecided_only=True)) == ["val/0", "val/2"]
    assert review.step("val/0", 1, ReviewFilter("val", undecided_only=True)) == "val/2"
    assert review.step("val/2", -1, UNDECIDED) == "sketch/1"
    assert review.step("val/0", -1, ALL) is None
    assert review.step("sketch/2", 1, ALL) is None
    assert review.step("val/1", 0, ALL) == "val/1"
    assert review.step("val/1", 0, UNDECIDED) == "sketch/1"
    assert review.step("sketch/2", 0, ReviewFilter("val")) == "val/0"
    assert review.step("val/0", 0, ReviewFilter("elsewhere")) is None


def test_find(tmp_path):
    """The exact id first; else a part of it, case aside, the next one after here, going round."""
    review = session(tmp_path)
    assert review.find("val/2", "val/0") == "val/2"
    assert review.find(" SKETCH ", "val/1") == "sketch/1"
    assert review.find("l/0", "val/2") == "val/0"
    assert review.find("nowhere", "val/0") is None
    assert review.find("  ", "val/0") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "keep"), "there is no image 'nowhere'"),
        (("val/0", "drop"), "choose a reason"),
        (("val/0", "drop", " \n "), "choose a reason"),
        (("val/0", "relabel"), "choose one label or more"),
        (("val/2", "relabel", "", [2]), "these are the labels that the image has"),
        (("val/0", "keep", "x" * 1001), "the reason has 1001 characters: expected 1000 at most"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path, arguments, message):
    """Wrong calls write no row."""
    with pytest.raises(UsageError, match=message):
        session(tmp_path).decide(*arguments)
    assert not (tmp_path / "ann.csv").exists()


@pytest.mark.parametrize("name", ["", "../ann", "ann/bob", ".hidden", "a b", "x" * 65, "ann\n"])
def test_a_name_that_cannot_be_a_files(tmp_path, name):
    """Nothing is written outside the folder."""
    with pytest.raises(UsageError, match="the reviewer's name is .* because it is the name of a file too"):
        session(tmp_path, reviewer=name)


def test_nothing_to_review(tmp_path):
    """No survivors, or no conflicts."""
    with pytest.raises(UsageError, match="there is no image to review"):
        ReviewSession([], tmp_path / "ann.csv", "ann")
    with pytest.raises(UsageError, match="there is no image to review"):
        session(tmp_path, only=[])


def test_only_some_images(tmp_path):
    """The others' earlier decisions stay known, but are not walked through or counted."""
    session(tmp_path).decide("val/0", "keep")
    review = session(tmp_path, only=["val/1", "sketch/2"])
    assert (review.start(), review.sources) == ("val/1", ["val", "sketch"])
    assert review.progress().total == 2
    assert review.step("val/1", 1, ALL) == "sketch/2"


def test_somebody_elses_file(tmp_path):
    """A file belongs to one reviewer."""
    session(tmp_path).decide("val/0", "keep")
    with pytest.raises(ResultError, match=r"ann.csv:2: this row is by 'ann', but the file belongs to 'bob'"):
        session(tmp_path, reviewer="bob")


def test_decisions_of_another_run(tmp_path):
    """An id that is no survivor is named with its line."""
    session(tmp_path).decide("val/0", "keep")
    with pytest.raises(ResultError, match=r"ann.csv:2: 'val/0' is not a survivor of this run"):
        ReviewSession(SURVIVORS[1:], tmp_path / "ann.csv", "ann")


def test_an_image_that_changed_is_undecided_again(tmp_path):
    """And can be decided anew, which `merge` then takes."""
    session(tmp_path).decide("val/0", "keep")
    changed = [replace(SURVIVORS[0], image_sha256="f" * 64), *SURVIVORS[1:]]
    review = ReviewSession(changed, tmp_path / "ann.csv", "ann")
    assert review.decision("val/0") is None
    review.decide("val/0", "drop", "ambiguous")
    merged = merge([tmp_path / "ann.csv"], {each.id: each for each in changed})
    assert merged.decisions["val/0"].action == "drop"


def test_a_full_disk_decides_nothing(tmp_path, monkeypatch):
    """Neither a decision nor its undo is remembered if it isn't on disk."""
    review = session(tmp_path)
    review.decide("val/0", "keep")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultError, match="cannot be written"):
            review.decide("val/0", "drop", "ambiguous")
        with pytest.raises(ResultError, match="cannot be written"):
            review.undo()
    assert said(tmp_path) == ["val/0 keep"]
    assert str(review.decision("val/0")) == "keep"
    assert str(review.undo()) == "undecided"


def test_a_second_page_on_the_same_file_is_seen(tmp_path):
    """Rows that another process has appended come before ours, in time as well."""
    one, two = session(tmp_path), session(tmp_path)
    one.decide("val/0", "keep")
    two.decide("val/0", "drop", "ambiguous")
    one.decide("val/1", "keep")
    assert str(one.decision("val/0")) == "drop"
    assert str(session(tmp_path).decision("val/0")) == "drop"


def test_an_edited_file_that_broke_is_told_before_anything_is_written(tmp_path):
    """Nothing is appended to a file that cannot be read."""
    review = session(tmp_path)
    review.decide("val/0", "keep")
    with (tmp_path / "ann.csv").open("a") as file:
        file.write("oops\n")
    with pytest.raises(ResultError, match=r"ann.csv:3: got 1 cell, expected 7"):
        review.decide("val/1", "keep")
    assert (tmp_path / "ann.csv").read_text().endswith("oops\n")


def test_a_row_of_the_future_is_still_superseded(tmp_path):
    """A clock that was set back doesn't bring back an old decision."""
    review = session(tmp_path)
    row = review.decide("val/0", "keep")
    later = replace(row, time=row.time.replace(year=2033))
    append_decision(tmp_path / "ann.csv", later)
    review.decide("val/0", "drop", "ambiguous")
    assert str(session(tmp_path).decision("val/0")) == "drop"


ACTS = st.one_of(
    st.just("undo"), st.tuples(st.sampled_from(IDS), st.sampled_from(("keep", "drop", "relabel", "restart")))
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTS, max_size=15))
def test_the_file_always_tells_the_sessions_state(tmp_path, acts):
    """Whatever is done: a restart and `merge` see what the session says, and the numbers add up."""
    (tmp_path / "ann.csv").unlink(missing_ok=True)
    review = session(tmp_path)
    for act in acts:
        if act == "undo":
            review.undo()
        elif act[1] == "restart":
            review = session(tmp_path)
        else:
            try:
                review.decide(act[0], act[1], "other: x", [9] if act[1] == "relabel" else [])
            except ImageNetHardError as error:
                raise AssertionError(error) from error
    now = {id: review.decision(id) for id in IDS}
    assert {id: session(tmp_path).decision(id) for id in IDS} == now
    if (tmp_path / "ann.csv").exists():
        merged = merge([tmp_path / "ann.csv"], {each.id: each for each in SURVIVORS})
        assert {id: d.action for id, d in merged.decisions.items()} == {
            id: row.action for id, row in now.items() if row
        }
    counts = Counter(row.action if row else "undecided" for row in now.values())
    decided = {action: counts[action] for action in ("keep", "drop", "relabel")}
    assert review.progress() == Progress(6, decided, counts["undecided"])
