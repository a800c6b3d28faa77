"""Answers in words on the page: what was said, how it was asked, ranked with whom; no text of theirs acts."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.plain_text import visible
from imagenet_hard.leaderboard.site.build import build_site, site_files
from imagenet_hard.leaderboard.site.columns import fields_of, filters_of, page_columns
from imagenet_hard.leaderboard.site.from_entries import read_site
from imagenet_hard.leaderboard.site.from_results import read_results
from imagenet_hard.leaderboard.site.said import LONGEST, OF_EACH_KIND
from imagenet_hard.leaderboard.site.table import markdown
from tests.leaderboard.boards import Board, change, standard

TOY = "Some-Lab__Toy-VL"
NASTY = {
    1: "<img src=x onerror=alert(1)>",
    2: "**[a dog](javascript:alert(2))** | `@all`",
    4: "a\u202edog\u200b\x1b[31m\nnext line",
    5: "e" + "\u0301" * 40,
    7: "</script><script>alert(3)</script>",
    8: "x" * 5000,
}


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path / "board")


def test_they_are_ranked_with_classifiers(board: Board) -> None:
    """By top-1 over the same images, with a column and a choice of how they were asked."""
    (before,) = read_site(board.entries).boards
    assert "asked" not in [each.name for each in fields_of(before)]
    assert "asked" not in [each.key for each in (*page_columns(before), *filters_of(before))]
    board.submit_words(said=NASTY, settings={"temperature": 1, "max_tokens": 64})
    (made,) = read_site(board.entries).boards
    row = next(e for e in made.entries if e.id == TOY)
    assert (len(made.entries), row.top1.n_correct, row.top5, row.calibration) == (4, 20, None, None)
    assert row.asked == "open 1, temperature 1"
    assert row.words.kinds["class"] == board.n - len(NASTY)
    assert [each.key for each in page_columns(made)].count("asked") == 1
    assert next(each for each in filters_of(made) if each.key == "asked").options(made.entries) == (
        ("open 1, temperature 1", "open 1, temperature 1"),
    )
    assert "| Asked |" in markdown([made])
    assert "| Asked |" not in markdown([before])


def test_a_choice_of_names_is_a_board_of_its_own(board: Board) -> None:
    """It stands behind the benchmark's, whatever it holds, and says what guessing gets."""
    for name in "ABCDE":
        board.submit_words(name, protocol="choices")
    board.submit_words(protocol="list")
    main, other = read_site(board.entries).boards
    assert (main.title, len(main.entries)) == ("ImageNet-Hard", 4)
    assert (other.title, len(other.entries)) == ("ImageNet-Hard (choice of 5 names)", 5)
    assert "guessing gets 20 %" in other.note
    assert main.slug != other.slug
    results = sorted((board.root / "results").glob("words-*.json"))
    assert sorted(len(each.entries) for each in read_results(results).boards) == [1, 5]


def test_the_page_and_its_downloads(board: Board) -> None:
    """A sample whose every character is seen, and all answers as they came."""
    board.submit_words(said=NASTY)
    files = dict(site_files(read_site(board.entries)))
    page = files[f"entries/{TOY}.html"].decode()
    assert "What it said" in page
    for raw in ("<img src=x", "<script>alert", "\u202e", "\u200b", "\x1b", "\u0301" * 3):
        assert raw not in page
    assert "x" * (LONGEST + 1) not in page
    assert "of 60 answers, " in page
    assert "Words carry no probabilities" in page
    lines = files[f"downloads/entries/{TOY}-answers.jsonl"].decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == list(board.gold.ids)
    assert {i: rows[i]["answer"] for i in NASTY} == NASTY
    assert sum(row["right"] for row in rows) == 20
    assert rows[1]["class"] is None
    assert lines[0].isascii()
    record = json.loads(files[f"downloads/entries/{TOY}.json"])
    facts = dict(row for group in record["provenance"] for row in group["rows"])
    assert (record["asked"], facts["Protocol"], facts["Endpoint"]) == (
        "open 1",
        "open, version 1",
        "http://localhost:8000/v1",
    )
    name = next(name for name in files if name.endswith("-top1.parquet"))
    classes = pq.read_table(pa.BufferReader(files[name]))[TOY].to_pylist()
    assert [i for i, each in enumerate(classes) if each == -1] == sorted(NASTY)


def test_a_few_of_each_kind(board: Board) -> None:
    """The right ones first; the images are those that a hash draws, for all models the same."""
    board.submit_words("One", said=NASTY)
    board.submit_words("Two", said=NASTY)
    (made,) = read_site(board.entries).boards
    one, two = (next(e for e in made.entries if e.name == name).said.sample for name in ("One", "Two"))
    assert one == two
    assert [each.right for each in one] == sorted((each.right for each in one), reverse=True)
    assert sum(each.right for each in one) == OF_EACH_KIND


def test_what_another_matcher_read_is_read_anew(board: Board) -> None:
    """And the page says so, with what it was."""
    folder = board.submit_words()
    change(folder, "result", "answers", "matcher", to={"version": 1, "sha256": "0" * 64})
    (made,) = read_site(board.entries).boards
    row = next(e for e in made.entries if e.id == TOY)
    assert (row.read_anew, row.words.matcher.version) == (
        "matcher 1 (000000000000), by which 20 were right",
        read_entry(board.submit_words("New")).words.matcher.version,
    )
    page = dict(site_files(read_site(board.entries)))[f"entries/{TOY}.html"].decode()
    assert "when they were submitted it was matcher 1 (000000000000), by which 20 were right" in page


def test_results_without_a_class_say_nothing_of_labels(board: Board) -> None:
    """An answer that names none is not taken for class 999, which another result may have right."""
    labels = board.gold.labels[0]
    paths = [board.in_words({0: "blorp"}), board.in_words({0: "n15075141"})]  # toilet tissue, 999
    assert 999 not in labels
    ((first, second),) = [each.entries for each in read_results(paths).boards]
    assert first.top1.n_correct == second.top1.n_correct == 19
    assert visible("a\x00b") == "a\\x00b"


def test_in_a_browser(board: Board, tmp_path: Path, visit) -> None:
    """Nothing of a stranger's runs; two entries compared name what has no class."""
    board.submit_words(said=NASTY)
    build_site(read_site(board.entries), tmp_path / "site")
    watched = visit(tmp_path / "site")
    page = watched.open(f"entries/{TOY}.html")
    assert page.locator("#said").inner_text() == "What it said"
    assert page.locator("td.said img, td.said a, td.said script").count() == 0
    page.select_option("#rival", index=1)
    page.wait_for_selector("#flips-result table")
    assert "undefined" not in page.locator("#flips-result").inner_text()
    assert "(no class)" in page.locator("#flips-result").inner_text()
    page = watched.open("index.html")
    page.select_option("#asked", "open 1")
    assert page.locator("#table tbody tr:visible").count() == 1
