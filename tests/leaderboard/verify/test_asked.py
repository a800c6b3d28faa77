"""Entries of answers in words: what honest ones get, and attacks on them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.records import read_record
from imagenet_hard.evaluation.generative import score
from imagenet_hard.evaluation.generative.score import MatcherInfo
from imagenet_hard.evaluation.result import Result, read_answers_of, result_json
from imagenet_hard.imagenet.classes import distinct_names
from imagenet_hard.leaderboard.board import accept, read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.eval_results import result_path
from imagenet_hard.leaderboard.submit import make_submission
from imagenet_hard.leaderboard.verify.report import Report, markdown_report
from imagenet_hard.leaderboard.verify.run import verify
from imagenet_hard.leaderboard.words import WORDS_FILE
from tests.leaderboard.boards import WHEN, Board, change, entry_value, standard

ASKED = ("result", "answers", "asked")
OLDER = {"version": 1, "sha256": "0" * 64}


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def check(board: Board, folder: Path, **options: Any) -> Report:
    (report,) = verify([folder], golds=board.golds, trusted=True, **options)
    return report


def outcome(report: Report, name: str) -> tuple[str, str]:
    return next((c.outcome, c.detail) for c in report.checks if c.name == name)


def test_an_honest_entry_is_read_again(board: Board) -> None:
    """By the board's own validator, in a process of its own: 20 of 60, and no check that needs scores."""
    folder = board.submit_words()
    entry = read_entry(folder)
    assert (entry.claim.n_correct, entry.claim.n_top5, entry.probabilities) == (20, None, False)
    assert sorted(p.name for p in folder.iterdir()) == [WORDS_FILE, "entry.json"]
    (report,) = verify([folder], golds=board.golds, base=board.entries)
    assert (report.tier, report.top1.n_correct, report.top5, report.flags) == ("re-scored", 20, None, ())
    assert outcome(report, "matcher") == ("passed", f"matcher {score.VERSION}")
    assert outcome(report, "probabilities")[0] == outcome(report, "calibration")[0] == "skipped"
    assert [each.entry.id for each in read_board(board.root)].count(entry.id) == 1


def test_the_protocol_stands_in_the_name(board: Board) -> None:
    """But for the usual one, so that an entry each is possible; a choice of names is ranked apart."""
    names = {each: board.in_words(protocol=each) for each in ("open", "list", "choices")}
    made = {
        each: make_submission(path, board.golds, name="VL", org="Lab").entry for each, path in names.items()
    }
    assert {each: (entry.name, entry.choices) for each, entry in made.items()} == {
        "open": ("VL", 0),
        "list": ("VL + list", 0),
        "choices": ("VL + choices", 5),
    }
    assert (
        make_submission(names["list"], board.golds, name="VL by list", org="Lab").entry.name == "VL by list"
    )
    with pytest.raises(
        ValueError, match="nobody takes a score with the protocol 'choices' for one with 'open'"
    ):
        made["choices"].model_validate({**made["choices"].model_dump(), "name": "VL", "id": "Lab__VL"})
    assert result_path(made["list"]) == ".eval_results/imagenet-hard_asked_list_1.yaml"
    with pytest.raises(UsageError, match="chose among 5 names, the right one with them: that is no score of"):
        result_path(made["choices"])


def test_what_cannot_be_an_entry(board: Board) -> None:
    """Answers of which nothing is known, too long ones, those that another release's matcher read."""
    path = board.in_words()
    result = read_record(path, Result)
    elsewhere = result.model_copy(update={"answers": result.answers.model_copy(update={"asked": None})})
    path.write_text(result_json(elsewhere))
    with pytest.raises(UsageError, match="nothing is known of how the model was asked"):
        make_submission(path, board.golds, name="VL", org="Lab")
    older = result.answers.model_copy(update={"matcher": MatcherInfo(**OLDER)})
    path.write_text(result_json(result.model_copy(update={"answers": older})))
    with pytest.raises(ResultError, match=r"read by matcher 1 .*: run imagenet-hard-eval as before"):
        make_submission(path, board.golds, name="VL", org="Lab")
    long = board.in_words({4: "well, " * 3000})
    with pytest.raises(ResultError, match="the answer to 'image-12' has 18,000 characters"):
        make_submission(long, board.golds, name="VL", org="Lab")


def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / WORDS_FILE).read_text().splitlines()]


def put_answers(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the answers, and every hash of them that the entry names."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / WORDS_FILE).write_text(text)
    digest = hashlib.sha256(b"imagenet-hard raw answers 2\n")
    for row in rows:
        for key in ("id", "answer", "finish_reason"):
            data = row[key].encode()
            digest.update(len(data).to_bytes(8, "little") + data)
    change(folder, "predictions_sha256", to=digest.hexdigest())
    change(folder, "result", "answers", "answers_sha256", to=digest.hexdigest())


def edited(folder: Path, board: Board) -> None:
    (folder / WORDS_FILE).write_text((folder / WORDS_FILE).read_text().replace("tench", "lion"))


def edited_to_be_right(folder: Path, board: Board) -> None:
    names = [distinct_names()[labels[0]] for labels in board.gold.labels]
    put_answers(folder, [{**row, "answer": name} for row, name in zip(answers(folder), names, strict=True)])


def too_long(folder: Path, board: Board) -> None:
    first, *rest = answers(folder)
    put_answers(folder, [{**first, "answer": first["answer"] + "!" * 2**14}, *rest])


def missing(folder: Path, board: Board) -> None:
    put_answers(folder, answers(folder)[:-2])


def unknown(folder: Path, board: Board) -> None:
    *rows, last = answers(folder)
    put_answers(folder, [*rows, {**last, "id": "zzz"}])


def twice(folder: Path, board: Board) -> None:
    first, *rest = answers(folder)
    put_answers(folder, [first, first, *rest])


def other_wrong_answers(folder: Path, board: Board) -> None:
    first, second, *rest = answers(folder)
    put_answers(folder, [first, {**second, "answer": "blorp"}, *rest])


def fewer_kept_back(folder: Path, board: Board) -> None:
    change(folder, "result", "answers", "truncated", to=7)


def more_credit(folder: Path, board: Board) -> None:
    change(folder, "result", "answers", "depth_credit", to=0.9)


def other_predictions(folder: Path, board: Board) -> None:
    change(folder, "result", "predictions_sha256", to="1" * 64)


def help_in_the_prompt(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "prompt", "text", to="Is it a tench?")


def another_protocol(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "prompt", "version", to=7)


def another_hash(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "prompt_sha256", to="2" * 64)


def fewer_answers(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "models", to={"toy-vl": board.n - 1})


def backwards(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "first", to=(WHEN + timedelta(days=1)).isoformat())


def no_words_after_all(folder: Path, board: Board) -> None:
    change(folder, "probabilities", to=True)


def markup_in_the_prompt(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "prompt", "text", to="<img src=x onerror=alert(1)>")


def markup_as_the_model(folder: Path, board: Board) -> None:
    change(folder, *ASKED, "models", to={"<script>": board.n})


@pytest.mark.parametrize(
    ("attack", "name", "message"),
    [
        (edited, "hash", "the predictions hash to"),
        (edited_to_be_right, "score", "top-1 is claimed to be 20 of 60 images: predictions get 60"),
        (too_long, "predictions", "characters: an entry's have at most 16,384"),
        (missing, "ids", "2 missing"),
        (unknown, "ids", "1 missing"),
        (twice, "predictions", "the id 'image-0' stands in line 1 already"),
        (other_wrong_answers, "metrics", "result.answers.kinds does not follow"),
        (fewer_kept_back, "metrics", "result.answers.truncated does not follow"),
        (more_credit, "metrics", "result.answers.depth_credit does not follow"),
        (other_predictions, "metrics", "what the answers name hashes to"),
        (help_in_the_prompt, "asked", "its protocol open 1 is none of this release's"),
        (
            another_protocol,
            "asked",
            "its protocol open 7 is none of this release's (open 1, choices 1, list 1)",
        ),
        (another_hash, "asked", "prompt_sha256 is not the hash of the protocol open 1"),
        (fewer_answers, "asked", "counts other answers than the 60"),
        (backwards, "asked", "after the last"),
        (no_words_after_all, "schema", "claim.n_top5 is null"),
        (markup_in_the_prompt, "schema", "has the character '<'"),
        (markup_as_the_model, "schema", "has the character '<'"),
    ],
)
def test_attacks(board: Board, attack: Callable[[Path, Board], None], name: str, message: str) -> None:
    """Each fails the check that it is about, and has no tier."""
    folder = board.submit_words()
    attack(folder, board)
    report = check(board, folder)
    assert report.tier is None
    (failed,) = [c for c in report.checks if c.outcome == "failed"]
    assert (failed.name, message in failed.detail) == (name, True), failed.detail


def test_answers_written_from_the_labels_are_a_matter_for_people(tmp_path: Path) -> None:
    """Consistent in all they say, so nothing fails: what flags a copy of the labels flags it here too."""
    board = Board(tmp_path, n=400)
    for seed in range(4):
        board.submit(f"Model {seed}", seed=seed, skill=3.0)
    names = [distinct_names()[labels[0]] for labels in board.gold.labels]
    folder = board.submit_words(said=dict(enumerate(names)))
    report = check(board, folder, base=board.entries)
    assert report.top1.n_correct == 400
    assert {each.name for each in report.flags} == {"plausible score", "unsolved images"}


@pytest.mark.parametrize(
    "many",
    [
        "{0}, {1}, {2}",
        "{0} or {1}",
        "{0}/{1}/{2}",
        "- {0}\n- {1}",
        '["{0}", "{1}"]',
        "{0}; {1}; {2}",
        "{0} and {1}",
    ],
)
def test_many_names_in_one_answer_name_none(board: Board, many: str) -> None:
    """Whoever lists the label among others is not right."""
    names = distinct_names()
    said = {
        i: many.format(names[labels[0]], names[(labels[0] + 300) % 1000], names[(labels[0] + 600) % 1000])
        for i, labels in enumerate(board.gold.labels)
    }
    entry = read_entry(board.submit_words(said=said))
    assert entry.claim.n_correct <= 3  # some names hold a comma or an "or" themselves
    assert entry.result.answers.kinds["ambiguous"] >= board.n - 6


def test_the_name_that_an_endpoint_reports(board: Board) -> None:
    """A date behind the name is the same model; another name, or several, are for people to look at."""
    same = ["toy-vl", "models/toy-vl-2026-01-15", "Toy-VL-latest", "toy_vl"]
    for reported in same:
        report = check(board, board.submit_words(f"N {same.index(reported)}", models={reported: board.n}))
        assert outcome(report, "reported model") == ("passed", f"the endpoint called it {reported}")
    for reported in ("toy-vl-max", "toy", "gpt-4o", "---"):
        path = board.in_words(models={reported: board.n})
        found = make_submission(path, board.golds, name="Other", org="Lab").report
        assert outcome(found, "reported model")[0] == "flagged", reported
    path = board.in_words(models={"toy-vl": 59, "toy-vl-2026-01-15": 1})
    found = make_submission(path, board.golds, name="Both", org="Lab").report
    assert outcome(found, "reported model") == (
        "flagged",
        "the endpoint called it by several names: toy-vl, toy-vl-2026-01-15",
    )


def test_another_matcher_reads_all_anew(board: Board) -> None:
    """The entry stays, with the score that this release reads; a score that changed is flagged, and said."""
    folder = board.submit_words()
    accept(board.root / "verified", read_entry(folder), check(board, folder))
    change(folder, "result", "answers", "matcher", to=OLDER)
    same = check(board, folder)
    assert outcome(same, "matcher")[0] == "passed"
    assert "matcher 1 (000000000000...) read 20 of them as right" in outcome(same, "matcher")[1]
    # The older one read the first answer, which is right, as nothing.
    value = entry_value(folder)
    metrics = value["result"]["metrics"]
    wrong = dict(metrics, **one_less(board))
    kinds = dict(value["result"]["answers"]["kinds"], unmatched=1)
    kinds["class"] -= 1
    origin = board.gold.origins[0]
    by_origin = value["result"]["answers"]["kinds_by_origin"]
    by_origin[origin]["class"] -= 1
    by_origin[origin]["unmatched"] += 1
    change(folder, "claim", "n_correct", to=19)
    change(folder, "result", "metrics", to=wrong)
    change(folder, "result", "answers", "kinds", to=kinds)
    change(folder, "result", "answers", "kinds_by_origin", to=by_origin)
    report = check(board, folder)
    assert (report.tier, report.top1.n_correct) == ("re-scored", 20)
    assert outcome(report, "matcher") == (
        "flagged",
        f"matcher 1 (000000000000...) read 19 of them as right, matcher {score.VERSION} "
        f"({score.this_matcher().sha256[:12]}...) 20: that is the score",
    )
    left_out: list[str] = []
    found = {each.entry.id: each for each in read_board(board.root, left_out.append)}
    assert (found[folder.name].rescored.top1.n_correct, left_out) == (20, [])
    # What it says of itself is not what decides: the same claim by this release's matcher fails.
    change(folder, "result", "answers", "matcher", to=score.this_matcher().model_dump())
    assert check(board, folder).tier is None


def one_less(board: Board) -> dict[str, Any]:
    """Metrics of the same answers, had the first been read as nothing."""
    path = board.in_words({0: "blorp"})
    metrics: dict[str, Any] = json.loads(path.read_text())["metrics"]
    return metrics


def test_peers_are_those_of_the_same_task(board: Board) -> None:
    """An entry that chose among five names is no measure for others, nor they for it."""
    board.submit_words()
    folder = board.submit_words(protocol="choices")
    report = check(board, folder, base=board.entries)
    assert outcome(report, "near-copies") == ("skipped", "there is no other entry on the benchmark")
    words = check(board, board.entries / "Some-Lab__Toy-VL", base=board.entries)
    assert "Some-Lab__Toy-VL-choices" not in str(words)


def test_a_comment_repeats_no_markup(board: Board) -> None:
    """An id, the only text of theirs that a failure quotes, stays within the block of code."""
    folder = board.submit_words()
    *rows, last = answers(folder)
    put_answers(folder, [*rows, {**last, "id": "zz```\n@all <img src=x> \u202e"}])
    comment = markdown_report([check(board, folder)])
    assert comment.count("```") == 2
    assert "\u202e" not in comment


def test_a_copy_under_another_name_is_flagged(board: Board) -> None:
    """By the hash of the answers."""
    board.submit_words()
    report = check(board, board.submit_words("Another"), base=board.entries)
    assert outcome(report, "near-copies") == (
        "flagged",
        "the predictions are those of Some-Lab__Toy-VL to the last digit",
    )


def test_an_entry_in_words_can_be_replaced(board: Board, tmp_path: Path) -> None:
    """Also one of predictions: the earlier state's file goes."""
    from imagenet_hard.leaderboard.submit import write_submission

    first = make_submission(board.in_words(), board.golds, name="VL", org="Lab")
    write_submission(board.entries, first)
    again = make_submission(board.in_words({1: "blorp"}), board.golds, name="VL", org="Lab")
    assert write_submission(board.entries, again, replace=True)
    folder = board.entries / "Lab__VL"
    assert (read_entry(folder), sorted(p.name for p in folder.iterdir())) == (
        again.entry,
        [WORDS_FILE, "entry.json"],
    )
    assert {f"entries/Lab__VL/{p.name}": p.read_bytes() for p in folder.iterdir()} == again.files()
    shutil.copy(board.first / "predictions.parquet", folder)
    assert "the folder holds" in outcome(check(board, folder), "folder")[1]


def test_the_answers_beside_a_result_are_the_entrys(board: Board) -> None:
    path = board.in_words()
    raw, _ = read_answers_of(path, read_record(path, Result))
    submission = make_submission(path, board.golds, name="VL", org="Lab")
    assert submission.answers.words is not None
    assert submission.answers.words.raw == raw
