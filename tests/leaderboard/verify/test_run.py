"""Attacks on the board, each shown to fail; and what honest entries get."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.predictions import read_predictions
from imagenet_hard.leaderboard.answers import PREDICTIONS_FILE, TOP5_FILE, Answers, write_answers
from imagenet_hard.leaderboard.entry import ENTRY_FILE
from imagenet_hard.leaderboard.submit import make_submission, write_submission
from imagenet_hard.leaderboard.verify.report import Report
from imagenet_hard.leaderboard.verify.run import verify
from tests.leaderboard.boards import (
    Board,
    change,
    cheated,
    entry_value,
    put_predictions,
    standard,
    without_result,
)

NOW = datetime(2026, 2, 1, 12, 30, 15, 999, tzinfo=UTC)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def check(board: Board, folder: Path | None = None, **options: Any) -> Report:
    """The report on one entry."""
    (report,) = verify([folder or board.first], golds=board.golds, now=NOW, **options)
    return report


def failure(report: Report) -> tuple[str, str]:
    """The check that failed, and why; the report has no tier then."""
    (failed,) = [c for c in report.checks if c.outcome == "failed"]
    assert report.tier is None
    assert report.failed
    return failed.name, failed.detail


def stored(folder: Path) -> Predictions:
    return read_predictions(folder / PREDICTIONS_FILE)


@pytest.mark.usefixtures("own_process")
def test_an_honest_entry_is_rescored(board: Board) -> None:
    """Every check says when and by which version; the score is the claim's, computed again."""
    report = check(board)
    assert not report.failed
    assert report.tier == "re-scored"
    assert report.top1 is not None
    assert report.top1.n_correct == entry_value(board.first)["claim"]["n_correct"]
    assert {c.when for c in report.checks} == {NOW.replace(microsecond=0)}
    outcomes = {c.name: c.outcome for c in report.checks}
    assert list(outcomes) == [
        *("folder", "schema", "benchmark", "date", "predictions", "hash", "ids", "score", "metrics"),
        *(
            "probabilities",
            "curation",
            "training data",
            "plausible score",
            "unsolved images",
            "near-copies",
            "canaries",
        ),
        *("calibration", "look-alikes"),
    ]
    assert set(outcomes.values()) == {"passed", "skipped"}


def test_several_entries_are_compared_with_each_other(board: Board) -> None:
    """With --all the others are peers; nothing honest is flagged."""
    reports = verify(sorted(board.entries.iterdir()), golds=board.golds)
    assert [r.tier for r in reports] == ["re-scored"] * 3
    assert not any(r.flags for r in reports)


def inflate_typed_score(folder: Path, board: Board) -> None:
    without_result(folder, claim={"n_correct": board.n, "n_top5": board.n, "n_total": board.n})


def other_fingerprint(folder: Path, board: Board) -> None:
    for place in (("benchmark",), ("result", "benchmark")):
        change(folder, *place, "fingerprint", to="0" * 64)


def other_size(folder: Path, board: Board) -> None:
    value = entry_value(folder)
    without_result(folder, benchmark=value["benchmark"] | {"n": 61}, claim=value["claim"] | {"n_total": 61})


def missing_ids(folder: Path, board: Board) -> None:
    p = stored(folder)
    put_predictions(folder, Predictions(p.ids[:-3], p.top5[:-3], p.logprob5[:-3], p.margin[:-3]))


def unknown_ids(folder: Path, board: Board) -> None:
    p = stored(folder)
    put_predictions(folder, replace(p, ids=(*p.ids[:-1], "zzz")))


def stale_hash(folder: Path, board: Board) -> None:
    shutil.copy(board.entries / "Some-Lab__ResNet-50" / PREDICTIONS_FILE, folder)


def labels_copied_without_a_new_claim(folder: Path, board: Board) -> None:
    put_predictions(folder, cheated(stored(folder), board.gold, np.arange(board.n)))
    without_result(folder)


def impossible_margin(folder: Path, board: Board) -> None:
    p = stored(folder)
    put_predictions(folder, replace(p, margin=p.margin + 1))
    without_result(folder)


def impossible_rest(folder: Path, board: Board) -> None:
    p = stored(folder)
    logprob5 = np.tile(np.array([-3, -9, -9, -9, -9], np.float32), (board.n, 1))
    put_predictions(folder, replace(p, logprob5=logprob5, margin=np.full(board.n, 6, np.float32)))
    without_result(folder)


def link_to_secret(folder: Path, board: Board) -> None:
    (folder / ENTRY_FILE).unlink()
    (folder / ENTRY_FILE).symlink_to("/etc/passwd")


def folder_is_a_link(folder: Path, board: Board) -> None:
    folder.rename(board.root / "elsewhere")
    folder.symlink_to(board.root / "elsewhere")


def a_file_rides_along(folder: Path, board: Board) -> None:
    (folder / "setup.py").write_text("print('hello')")


def a_pipe(folder: Path, board: Board) -> None:
    (folder / PREDICTIONS_FILE).unlink()
    os.mkfifo(folder / PREDICTIONS_FILE)


def no_predictions(folder: Path, board: Board) -> None:
    (folder / PREDICTIONS_FILE).unlink()


def csv_for_parquet(folder: Path, board: Board) -> None:
    answers = Answers.of(stored(folder))
    (folder / PREDICTIONS_FILE).unlink()
    write_answers(folder, Answers(answers.ids, answers.top5))


def nan_probabilities(folder: Path, board: Board) -> None:
    spoil(folder, "logprob5", [float("nan")] * 5)


def infinite_margin(folder: Path, board: Board) -> None:
    spoil(folder, "margin", float("inf"))


def repeated_class(folder: Path, board: Board) -> None:
    spoil(folder, "top5", [1, 1, 2, 3, 4])


def class_1000(folder: Path, board: Board) -> None:
    spoil(folder, "top5", [1000, 1, 2, 3, 4])


def repeated_id(folder: Path, board: Board) -> None:
    spoil(folder, "id", pq.read_table(folder / PREDICTIONS_FILE)["id"][1].as_py())


def broken_parquet(folder: Path, board: Board) -> None:
    data = (folder / PREDICTIONS_FILE).read_bytes()
    (folder / PREDICTIONS_FILE).write_bytes(data[:100] + b"\xff" * 50 + data[150:])


def spoil(folder: Path, column: str, value: Any) -> None:
    """Write Parquet that no writer of ours would, with ``value`` in the first row."""
    table = pq.read_table(folder / PREDICTIONS_FILE)
    values = [value, *table[column].to_pylist()[1:]]
    index = table.column_names.index(column)
    pq.write_table(
        table.set_column(index, table.field(index), pa.array(values, table.field(index).type)),
        folder / PREDICTIONS_FILE,
    )


@pytest.mark.parametrize(
    ("attack", "name", "why"),
    [
        (inflate_typed_score, "score", "top-1 is claimed to be 60 of 60 images: predictions get"),
        (other_fingerprint, "benchmark", "000000000000... is of no benchmark"),
        (other_size, "benchmark", "benchmark.n is 61: imagenet-hard has 60 images"),
        (missing_ids, "ids", "3 missing"),
        (unknown_ids, "ids", "1 missing ('image-9', ...) and 1 unknown ('zzz', ...)"),
        (stale_hash, "hash", "the predictions hash to"),
        (labels_copied_without_a_new_claim, "score", "predictions get"),
        (impossible_margin, "probabilities", "the margin is not the difference"),
        (impossible_rest, "probabilities", "likelier than the fifth"),
        (link_to_secret, "folder", "'entry.json' is not a regular file"),
        (folder_is_a_link, "folder", "is not a folder"),
        (a_file_rides_along, "folder", "nothing else"),
        (a_pipe, "folder", "not a regular file"),
        (no_predictions, "folder", "expected entry.json and predictions.parquet"),
        (csv_for_parquet, "predictions", "it is not there"),
        (nan_probabilities, "predictions", "column logprob5"),
        (infinite_margin, "predictions", "column margin"),
        (repeated_class, "predictions", "five different classes"),
        (class_1000, "predictions", "classes 0..999"),
        (repeated_id, "predictions", "appears twice"),
        (broken_parquet, "predictions", ""),
    ],
)
def test_an_attack_fails(board: Board, attack: Callable[[Path, Board], None], name: str, why: str) -> None:
    """Each ends in one failed check that names the reason, and no tier."""
    attack(board.first, board)
    failed, detail = failure(check(board))
    assert failed == name, detail
    assert why in detail


def test_typed_metrics_are_not_believed(board: Board) -> None:
    """Per-class, per-origin and who was right: any number that predictions and labels contradict."""
    metrics = entry_value(board.first)["result"]["metrics"]
    origins = metrics["origins"]
    change(board.first, "result", "metrics", "origins", "names", to=[f"{n} " for n in origins["names"]])
    renamed = {f"{name} ": rate for name, rate in metrics["per_origin"].items()}
    change(board.first, "result", "metrics", "per_origin", to=renamed)
    assert failure(check(board))[0] == "metrics"


def test_a_result_whose_images_were_swapped(board: Board) -> None:
    """The same count of right answers on other images is found."""
    value = entry_value(board.first)
    bits = value["result"]["metrics"]["correct_bits"]
    swapped = bits[:-4][::-1] + bits[-4:]
    change(board.first, "result", "metrics", "correct_bits", to=swapped)
    assert failure(check(board))[0] in ("schema", "metrics")


@pytest.mark.slow
@pytest.mark.usefixtures("own_process")
def test_a_billion_rows_are_not_read(board: Board) -> None:
    """A few kilobytes that claim or unfold to 10^9 rows end in a report within the limits."""
    table = pa.table(
        {
            "id": pa.array(["a"] * 10),
            "top5": pa.array([[1, 2, 3, 4, 5]] * 10, pa.list_(pa.int16())),
            "logprob5": pa.array([[-1.0] * 5] * 10, pa.list_(pa.float32())),
            "margin": pa.array([0.0] * 10, pa.float32()),
        }
    )
    path = board.first / PREDICTIONS_FILE
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        big = pa.table(
            {name: pa.chunked_array([table[name].chunk(0)] * 100_000) for name in table.column_names}
        ).combine_chunks()  # written faster
        for _ in range(6):
            writer.write_table(big)
    assert path.stat().st_size < 2_000_000
    name, detail = failure(check(board))
    assert name == "predictions"
    assert "6000000 rows: at most" in detail


@pytest.mark.usefixtures("own_process")
def test_a_bomb_within_one_row(board: Board) -> None:
    """One row whose list has 10^7 equal values: the reader's process ends, not this one."""
    values = pa.array(np.zeros(10**7, np.int16))
    table = pa.table(
        {
            "id": pa.array(["a"]),
            "top5": pa.ListArray.from_arrays(pa.array([0, 10**7], pa.int32()), values),
            "logprob5": pa.array([[-1.0] * 5], pa.list_(pa.float32())),
            "margin": pa.array([0.0], pa.float32()),
        }
    )
    pq.write_table(table, board.first / PREDICTIONS_FILE, compression="zstd")
    assert (board.first / PREDICTIONS_FILE).stat().st_size < 100_000
    assert failure(check(board))[0] == "predictions"


def test_no_entry_takes_anothers_place(board: Board, tmp_path: Path) -> None:
    """Other submitter, other model, other capitals; the rightful owner may."""
    submitted = tmp_path / "pr" / board.first.name
    shutil.copytree(board.first, submitted)
    same = check(board, submitted, base=board.entries)
    assert ("ownership", "passed", "the same as on the board") in [
        (c.name, c.outcome, c.detail) for c in same.checks
    ]
    change(submitted, "training_data", to="ImageNet-21k")
    again = check(board, submitted, base=board.entries)
    assert "replaces an entry of the same submitter" in [c.detail for c in again.checks][2]

    change(submitted, "submitter", to="mallory")
    assert failure(check(board, submitted, base=board.entries)) == (
        "ownership",
        "the board has Some-Lab__ViT-B-32 already, with the submitter 'Some Lab': got 'mallory'; "
        "choose another name",
    )
    change(submitted, "submitter", to="Some Lab")
    for place in (("model",), ("result", "model")):
        change(submitted, *place, "name", to="another")
    assert "with the model" in failure(check(board, submitted, base=board.entries))[1]

    shutil.rmtree(submitted)
    lower = submitted.with_name("some-lab__vit-b-32")
    shutil.copytree(board.first, lower)
    for key, value in (("id", lower.name), ("org", "some lab"), ("name", "vit-b/32")):
        change(lower, key, to=value)
    assert "differs in capitals only" in failure(check(board, lower, base=board.entries))[1]


@pytest.mark.parametrize("day", ["1970-01-01", "2011-12-31", "2026-02-03", "9999-12-31"])
def test_dates_from_elsewhere(board: Board, day: str) -> None:
    """Before the images were out, or after tomorrow."""
    change(board.first, "date", to=day)
    assert failure(check(board)) == (
        "date",
        f"date is {day}: expected 2012-01-01, when the images came out, to 2026-02-02",
    )


def test_a_benchmark_may_say_since_when_it_is_out(tmp_path: Path) -> None:
    """Then no entry on it is older."""
    board = Board(tmp_path, since=date(2023, 4, 11))
    folder = board.submit()
    change(folder, "date", to="2023-04-10")
    assert "expected 2023-04-11" in failure(check(board, folder))[1]


@pytest.mark.parametrize(
    ("key", "value"), [("parameters", 10**40), ("parameters", 10**14), ("input_size", [0, 9])]
)
def test_numbers_that_no_model_has(board: Board, key: str, value: object) -> None:
    """Each is refused by the schema."""
    for place in (("model",), ("result", "model")):
        change(board.first, *place, key, to=value)
    assert failure(check(board))[0] == "schema"


def test_a_fault_of_ours_ends_one_report_alone(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that breaks a check in a way nobody foresaw fails; the others have their reports."""

    def broken(entry: object, *about: object) -> None:
        if entry.id == board.first.name:  # type: ignore[attr-defined]
            raise RecursionError("too deep")

    monkeypatch.setattr("imagenet_hard.leaderboard.verify.examine.check_metrics", broken)
    reports = verify(sorted(board.entries.iterdir()), golds=board.golds, trusted=True)
    assert {r.entry: r.failed for r in reports} == {
        each.name: each == board.first for each in board.entries.iterdir()
    }
    assert "RecursionError: too deep" in next(r for r in reports if r.failed).checks[-1].detail


def test_copied_labels_are_flagged(tmp_path: Path) -> None:
    """With a matching claim nothing fails, but people are told: solved where nobody else solves."""
    board = Board(tmp_path, n=200)
    for seed in range(4):
        board.submit(f"honest {seed}", seed=seed, skill=2.0)
    scored = board.scored(9, skill=2.0)
    copied = replace(scored, predictions=cheated(scored.predictions, board.gold, np.arange(0, 200, 2)))
    submission = make_submission(board.result(copied), board.golds, name="copier", org="x")
    write_submission(board.entries, submission)
    reports = {r.entry: r for r in verify(sorted(board.entries.iterdir()), golds=board.golds)}
    assert [c.name for c in reports["x__copier"].flags] == ["unsolved images"]
    assert not reports["x__copier"].failed
    assert not any(r.flags for name, r in reports.items() if name != "x__copier")


def test_a_copied_file_is_flagged(board: Board) -> None:
    """The predictions of another entry under a name of one's own."""
    copy = board.entries / "Mallory__best"
    shutil.copytree(board.first, copy)
    for key, value in (("id", copy.name), ("org", "Mallory"), ("name", "best"), ("submitter", "m")):
        change(copy, key, to=value)
    report = check(board, copy, base=board.entries)
    assert [(c.name, c.detail) for c in report.flags] == [
        ("near-copies", "the predictions are those of Some-Lab__ViT-B-32 to the last digit")
    ]


def test_undeclared_curators_are_flagged(tmp_path: Path) -> None:
    """A model that chose the images and does not say so, and one that says so and did not."""
    board = Board(tmp_path, curators=("torchvision:vit_b_32/IMAGENET1K_V1",))
    folder = board.submit()
    assert entry_value(folder)["used_in_curation"] is True
    assert not check(board).flags
    change(folder, "used_in_curation", to=False)
    assert [c.detail for c in check(board).flags] == [
        "the model chose the images of this benchmark, and the entry does not say so"
    ]


def test_an_entry_without_probabilities(board: Board) -> None:
    """Classes alone are enough for a score; what needs probabilities is skipped."""
    answers = Answers.of(stored(board.first))
    bare = Answers(answers.ids, answers.top5)
    (board.first / PREDICTIONS_FILE).unlink()
    write_answers(board.first, bare)
    without_result(board.first, probabilities=False, predictions_sha256=bare.sha256)
    report = check(board)
    assert report.tier == "re-scored"
    assert {c.name: c.outcome for c in report.checks}["probabilities"] == "skipped"
    (board.first / TOP5_FILE).write_text("id,top5\n")
    assert failure(check(board))[0] == "predictions"


def test_a_broken_board_does_not_stop_a_submission(
    board: Board, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another's broken entry is left out of comparisons, and that is said."""
    submitted = tmp_path / "pr" / board.first.name
    shutil.copytree(board.first, submitted)
    (board.entries / "Some-Lab__ConvNeXt" / ENTRY_FILE).write_text(json.dumps({"id": "x"}))
    assert not check(board, submitted, base=board.entries).failed
    assert "Some-Lab__ConvNeXt of the board is left out of comparisons" in caplog.text


def test_an_entry_that_is_not_there(board: Board) -> None:
    """A report like any other."""
    assert failure(check(board, board.entries / "no__such"))[0] == "folder"


def test_a_result_from_before_superclasses_is_verified(board: Board) -> None:
    """What it does not hold is not asked for; what it holds has to follow."""
    superclasses = entry_value(board.first)["result"]["metrics"]["per_superclass"]
    (name, rate), *_ = superclasses.items()
    change(board.first, "result", "metrics", "per_superclass", to={})
    assert not check(board).failed
    one_less = {**rate, "n_correct": rate["n_correct"] - 1} if rate["n_correct"] else {**rate, "n_correct": 1}
    made = Rate.of(one_less["n_correct"], one_less["n_total"]).model_dump()
    change(board.first, "result", "metrics", "per_superclass", to={**superclasses, name: made})
    name_of, detail = failure(check(board))
    assert name_of in ("metrics", "schema")
    assert "per_superclass" in detail
