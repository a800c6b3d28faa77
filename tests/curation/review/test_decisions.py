"""Reviewers' CSVs: what goes in comes out, what is wrong is named by line, and how several become one."""

from __future__ import annotations

import errno
import math
import os
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from imagenet_hard.base.errors import ImageNetHardError, ResultError
from imagenet_hard.curation.records import Decision, Survivor
from imagenet_hard.curation.review.decisions import COLUMNS, DecisionRow, append_decision, read_decisions
from imagenet_hard.curation.review.merge import Agreement, _agreement, decision_files, merge

SHA = "ab" * 32
NOON = datetime(2023, 4, 12, 12, 0, 0, tzinfo=UTC)
HEADER = ",".join(COLUMNS)
SURVIVORS = {id: Survivor(id, "imagenet", (1,), SHA) for id in ("a", "b", "c", "d")}
ON_FOLDER = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def row(id: str = "a", action: str = "keep", reviewer: str = "ann", after: int = 0, **fields) -> DecisionRow:
    """A valid row; ``after``: seconds after noon."""
    values = {
        "reason": "ambiguous" if action == "drop" else "",
        "labels": (3,) if action == "relabel" else (),
        "image_sha256": SHA,
        **fields,
    }
    return DecisionRow(
        id=id, action=action, reviewer=reviewer, time=NOON + timedelta(seconds=after), **values
    )


def file(folder: Path, name: str, *rows: DecisionRow) -> Path:
    for each in rows:
        append_decision(folder / name, each)
    return folder / name


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LABELS = st.lists(st.integers(0, 999), min_size=1, max_size=5, unique=True).map(lambda x: tuple(sorted(x)))


@st.composite
def rows(draw, ids, seconds) -> DecisionRow:
    action = draw(st.sampled_from(("keep", "drop", "relabel", "undecided")))
    return row(
        draw(ids),
        action,
        draw(st.sampled_from(("ann", "Bob-2", "c.d_e"))),
        draw(seconds),
        reason=draw(TEXT.filter(bool) if action == "drop" else TEXT),
        labels=draw(LABELS) if action == "relabel" else (),
    )


@ON_FOLDER
@given(st.lists(rows(TEXT.filter(bool), st.integers(-(10**10), 10**10)), min_size=1, max_size=6))
def test_what_goes_in_comes_out(tmp_path, written):
    """Any text in ids and reasons survives: quotes, commas, line ends, NUL."""
    path = tmp_path / "ann.csv"
    path.unlink(missing_ok=True)
    assert read_decisions(file(tmp_path, "ann.csv", *written)) == written


def test_the_file_as_it_is_on_disk(tmp_path):
    """The columns, ISO times, labels separated by blanks."""
    path = file(tmp_path / "decisions", "ann.csv", row(), row("b", "relabel", after=61, labels=(3, 40)))
    assert path.read_text() == (
        "id,action,reason,labels,reviewer,time,image_sha256\n"
        f"a,keep,,,ann,2023-04-12T12:00:00Z,{SHA}\n"
        f"b,relabel,,3 40,ann,2023-04-12T12:01:01Z,{SHA}\n"
    )
    assert decision_files(tmp_path) == [path]
    assert decision_files(tmp_path / "elsewhere") == []


def test_a_file_that_a_spreadsheet_saved_is_read_and_continued(tmp_path):
    """A byte-order mark, CRLF, blank lines, labels in any order, no line end at the end."""
    path = tmp_path / "ann.csv"
    path.write_bytes(f"\ufeff{HEADER}\r\n\r\na,relabel,,40 3,ann,2023-04-12T12:00:00Z,{SHA}".encode())
    append_decision(path, row("b"))
    assert read_decisions(path) == [row("a", "relabel", labels=(3, 40)), row("b")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"a,keep,,,ann,2023-04-12T12:00:00Z,{SHA},x", ":3: got 8 cells, expected 7 ('id,action,"),
        ("a,keep,,,ann,2023-04-", ":3: got 6 cells, expected 7"),
        (f",keep,,,ann,2023-04-12T12:00:00Z,{SHA}", ":3: id is '': expected the id of an image"),
        (
            f"a,burn,,,ann,2023-04-12T12:00:00Z,{SHA}",
            ":3: action is 'burn': expected one of keep, drop, relabel, undecided",
        ),
        (
            f"a,relabel,,3 1000,ann,2023-04-12T12:00:00Z,{SHA}",
            ":3: labels is (3, 1000): expected class indices",
        ),
        (f"a,relabel,,3 3,ann,2023-04-12T12:00:00Z,{SHA}", ":3: labels is (3, 3): expected class indices"),
        (f"a,relabel,,cat,ann,2023-04-12T12:00:00Z,{SHA}", ":3: labels is 'cat': expected class indices"),
        (f"a,relabel,,-1,ann,2023-04-12T12:00:00Z,{SHA}", ":3: labels is '-1': expected class indices"),
        (f'a,relabel,,"3,4",ann,2023-04-12T12:00:00Z,{SHA}', ":3: labels is '3,4': expected class indices"),
        (f"a,relabel,,,ann,2023-04-12T12:00:00Z,{SHA}", "one or more class indices, because the action is"),
        (f"a,keep,,3,ann,2023-04-12T12:00:00Z,{SHA}", ":3: labels is (3,): expected none"),
        (f"a,drop,,,ann,2023-04-12T12:00:00Z,{SHA}", ":3: reason is '': expected why the image is dropped"),
        (
            f"a,keep,,,../ann,2023-04-12T12:00:00Z,{SHA}",
            ":3: reviewer is '../ann': expected up to 64 letters",
        ),
        (f"a,keep,,,ann,12/04/2023 12:00,{SHA}", ":3: time is '12/04/2023 12:00': expected UTC such as"),
        (f"a,keep,,,ann,2023-02-30T12:00:00Z,{SHA}", ":3: time is '2023-02-30T12:00:00Z': expected UTC"),
        ("a,keep,,,ann,2023-04-12T12:00:00Z,beef", ":3: image_sha256 is 'beef': expected 64 hexadecimal"),
        (f'"a"b,keep,,,ann,2023-04-12T12:00:00Z,{SHA}', ":3: not CSV: "),
        ('"a,keep', ":3: not CSV: unexpected end of data"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path, line, message):
    """File and line, what stands there, what was expected."""
    path = tmp_path / "ann.csv"
    path.write_text(f"{HEADER}\nb,keep,,,ann,2023-04-12T12:00:00Z,{SHA}\n{line}")
    with pytest.raises(ResultError) as error:
        read_decisions(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_the_line_is_right_after_a_field_of_several_lines(tmp_path):
    """A quoted line end inside a reason counts as a line of the file."""
    path = file(tmp_path, "ann.csv", row(reason="one\ntwo"))
    with path.open("a") as out:
        out.write("x\n")
    with pytest.raises(ResultError, match=r"ann.csv:4: got 1 cell"):
        read_decisions(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: got the header '', expected id,action,"),
        (b"id;action\n", ":1: got the header 'id;action', expected id,action,"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_something_else(tmp_path, content, message):
    """Another header, another encoding, nothing at all."""
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ResultError, match=message):
        read_decisions(tmp_path / "x.csv")


def test_a_file_that_is_not_there(tmp_path):
    """An explicit file has to exist."""
    with pytest.raises(ResultError, match="it is not there"):
        read_decisions(tmp_path / "x.csv")


def test_a_naive_time_is_refused():
    """A time without a zone could be anybody's noon."""
    with pytest.raises(ResultError, match=r"time is '2023-04-12 12:00:00': expected UTC in whole seconds"):
        DecisionRow("a", "keep", "", (), "ann", NOON.replace(tzinfo=None), SHA)


def test_a_row_that_cannot_be_flushed_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """A full disk: the error names the image, and the next row stands on a line of its own."""
    path = file(tmp_path, "ann.csv", row())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ResultError, match=r"the decision about 'b' cannot be written to .*No space left"):
            append_decision(path, row("b"))
    assert path.read_bytes() == before
    append_decision(path, row("b"))
    assert [each.id for each in read_decisions(path)] == ["a", "b"]


def test_every_row_is_on_disk_when_append_returns(tmp_path, monkeypatch):
    """fsync is called on the file after the row has been written."""
    path = file(tmp_path, "ann.csv", row())
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(path.read_text().count("\n")))
    append_decision(path, row("b"))
    assert seen == [3]


def test_agreement_gives_a_decision_and_difference_a_conflict(tmp_path):
    """Same action and labels: agreed; reasons without notes are joined; the rest is listed."""
    ann = file(
        tmp_path,
        "ann.csv",
        row("a", "drop", reason="ambiguous: dog or wolf"),
        row("b", "relabel", labels=(3, 4), reason="two fish"),
        row("c", "relabel", labels=(3,)),
    )
    bob = file(
        tmp_path,
        "bob.csv",
        row("a", "drop", "bob", reason="wrong label"),
        row("b", "relabel", "bob", labels=(3, 4)),
        row("c", "relabel", "bob", labels=(4,)),
    )
    merged = merge([bob, ann], SURVIVORS)
    assert merged.decisions == {
        "a": Decision("a", "drop", "ambiguous; wrong label", (), ("ann", "bob")),
        "b": Decision("b", "relabel", "two fish", (3, 4), ("ann", "bob")),
    }
    assert [(c.id, [str(r) for r in c.said]) for c in merged.conflicts] == [("c", ["relabel 3", "relabel 4"])]
    assert merged.undecided == ("d",)
    assert merged.reviewers == {"ann": 3, "bob": 3}
    assert merged.agreement == (Agreement("ann", "bob", 3, 1.0, 1.0),)


def test_one_changes_ones_mind(tmp_path):
    """The last row counts, whatever its time; "undecided" takes back."""
    path = file(
        tmp_path,
        "ann.csv",
        row("a", "keep", after=9),
        row("a", "drop", after=5),
        row("b", "keep"),
        row("b", "undecided", after=1),
    )
    merged = merge([path], SURVIVORS)
    assert {id: d.action for id, d in merged.decisions.items()} == {"a": "drop"}
    assert merged.undecided == ("b", "c", "d")


def test_the_adjudicator_settles(tmp_path):
    """Its rows win, also over agreement, and it is no reviewer whose agreement counts."""
    ann = file(tmp_path, "ann.csv", row("a", "keep"), row("b", "keep"), row("c", "keep"))
    bob = file(tmp_path, "bob.csv", row("a", "drop", "bob"), row("b", "keep", "bob"), row("c", "drop", "bob"))
    chief = file(tmp_path, "chief.csv", row("a", "drop", "chief"), row("b", "drop", "chief"))
    merged = merge([ann, bob, chief], SURVIVORS, chief)
    assert {id: (d.action, d.reviewers) for id, d in merged.decisions.items()} == {
        "a": ("drop", ("chief",)),
        "b": ("drop", ("chief",)),
    }
    assert [each.id for each in merged.conflicts] == ["c"]
    assert merged.adjudicated == ("a", "b")
    assert merged.reviewers == {"ann": 3, "bob": 3}
    assert len(merged.agreement) == 1


def test_an_adjudication_at_odds_with_itself(tmp_path):
    """Two judges in one file who differ settle nothing."""
    chief = file(tmp_path, "chief.csv", row("a", "keep", "chief"), row("a", "drop", "boss"))
    with pytest.raises(
        ResultError, match=r"chief.csv does not settle 'a': boss says drop but chief says keep"
    ):
        merge([], SURVIVORS, chief)


def test_decisions_about_unknown_images(tmp_path):
    """All of them are counted, the first ten are named with their places."""
    path = file(tmp_path, "ann.csv", row("a"), *(row(f"x{i}") for i in range(12)))
    with pytest.raises(ResultError) as error:
        merge([path], SURVIVORS)
    assert "12 decisions are about images that are not survivors" in str(error.value)
    assert f"{path}:3: 'x0'; " in str(error.value)
    assert "'x9'; and 2 more. Give the --work" in str(error.value)


def test_decisions_about_an_image_that_changed(tmp_path):
    """Another sha256 than the survivor's is refused, until a later row has the right one."""
    path = file(tmp_path, "ann.csv", row("a", image_sha256="cd" * 32))
    with pytest.raises(ResultError, match=r"1 decisions are about images that have changed.*ann.csv:2: 'a'"):
        merge([path], SURVIVORS)
    append_decision(path, row("a", after=1))
    assert merge([path], SURVIVORS).decisions["a"].action == "keep"


def test_one_reviewer_says_two_things_at_the_same_time(tmp_path):
    """In one file or in two copies: both places are named."""
    one = file(tmp_path, "1.csv", row("b"), row("a", "keep"))
    two = file(tmp_path, "2.csv", row("a", "drop"))
    with pytest.raises(ResultError) as error:
        merge([one, two], SURVIVORS)
    assert str(error.value).startswith(f"{two}:2: ann says drop about 'a', but keep at the same time")
    assert f"(2023-04-12T12:00:00Z) in {one}:3: delete the row" in str(error.value)


def test_the_same_row_twice_is_no_contradiction(tmp_path):
    """A copy of a file changes nothing."""
    one, two = file(tmp_path, "1.csv", row("a")), file(tmp_path, "2.csv", row("a"))
    assert merge([one, two, one], SURVIVORS) == merge([one], SURVIVORS)


def test_a_row_added_by_hand_below_counts_whatever_its_time(tmp_path):
    """A reviewer's local time may lie behind UTC; also in one and the same second, and with a copy beside."""
    for after in (-18_000, 0, 18_000):
        path = file(tmp_path, "ann.csv", row("a", "keep"), row("b"), row("a", "drop", after=after))
        assert merge([path], SURVIVORS).decisions["a"].action == "drop"
        copy = file(tmp_path, "ann-before.csv", row("a", "keep"), row("b"))
        for files in ([path, copy], [copy, path]):
            assert merge(files, SURVIVORS).decisions["a"].action == "drop"
        path.unlink()
        copy.unlink()


def test_the_later_of_two_files_counts_where_none_goes_on_from_the_other(tmp_path):
    """One reviewer on two machines."""
    one = file(tmp_path, "1.csv", row("a", "keep", after=5))
    two = file(tmp_path, "2.csv", row("a", "keep", after=9), row("a", "drop", after=2))
    assert merge([one, two], SURVIVORS).decisions["a"].action == "keep"
    three = file(tmp_path, "3.csv", row("a", "keep", after=1), row("a", "drop", after=6))
    assert merge([three, one], SURVIVORS).decisions["a"].action == "drop"


@ON_FOLDER
@given(st.data())
def test_the_order_of_rows_counts_and_that_of_files_does_not(tmp_path, data):
    """In a file a reviewer's last row about an image; files in any order give the same, or fail alike."""
    some = rows(st.sampled_from(tuple(SURVIVORS)), st.integers(0, 3))
    parts = data.draw(st.lists(st.lists(some, min_size=1, max_size=6), max_size=3))
    for old in tmp_path.glob("*.csv"):
        old.unlink()
    files = [file(tmp_path, f"{number}.csv", *part) for number, part in enumerate(parts)]

    def outcome(paths: list[Path]) -> object:
        try:
            return merge(paths, SURVIVORS)
        except ImageNetHardError as error:
            return type(error)

    merged = outcome(files)
    assert outcome(data.draw(st.permutations(files))) == merged
    if len(parts) == 1:
        last = {(each.reviewer, each.id): each for each in parts[0]}
        said = {
            id: [r for (_, i), r in last.items() if i == id and r.action != "undecided"] for id in SURVIVORS
        }
        for id, decision in merged.decisions.items():
            assert {(decision.action, decision.labels)} == {(r.action, r.labels) for r in said[id]}
        assert set(merged.undecided) == {id for id, found in said.items() if not found}
    if not isinstance(merged, type):
        ids = [*merged.decisions, *(c.id for c in merged.conflicts), *merged.undecided]
        assert sorted(ids) == sorted(SURVIVORS)


ACTIONS = st.sampled_from(("keep", "drop", "relabel"))


@given(st.lists(st.tuples(ACTIONS, ACTIONS), max_size=40))
def test_kappa_is_scikit_learns(pairs):
    """An independent reference; where it says NaN we say None."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    got = _agreement("ann", "bob", pairs).kappa
    if not pairs:
        assert got is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of the undefined case
        expected = cohen_kappa_score(first, second)
    assert (got is None) == math.isnan(expected)
    if got is not None:
        assert got == pytest.approx(expected)
        assert _agreement("bob", "ann", [(b, a) for a, b in pairs]).kappa == got


def test_kappa_by_hand():
    """50 items, 35 equal: 0.7 observed, 0.5 by chance (a textbook's table: 20, 5, 10, 15)."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    pairs = list(zip(first, second, strict=True))
    assert _agreement("ann", "bob", pairs).kappa == pytest.approx(0.4)


def test_reviewers_without_images_in_common(tmp_path):
    """No agreement can be said: None, never NaN."""
    ann, bob = file(tmp_path, "ann.csv", row("a")), file(tmp_path, "bob.csv", row("b", reviewer="bob"))
    assert merge([ann, bob], SURVIVORS).agreement == (Agreement("ann", "bob", 0, None, None),)
