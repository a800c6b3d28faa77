"""The score of answers in words, counted by hand, kept, and computed again."""

from __future__ import annotations

import json

import pytest
from scipy.stats import binomtest

from imagenet_hard import compare
from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import BenchmarkInfo
from imagenet_hard.cli import main as cli
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.matched_answers import (
    check_recomputed,
    matched_tables,
    read_matched,
    score_answers,
    write_matched,
)
from imagenet_hard.evaluation.generative.matcher import VERSION
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.evaluation.table import results_table
from imagenet_hard.imagenet import classes

ANSWERS = {  # id: (labels, origin, answer); right are a, b and h
    "a": ((207,), "x", "a golden retriever"),
    "b": ((3, 657), "x", "missile"),
    "c": ((207,), "x", "It is a dog."),
    "d": ((207,), "x", "a cat"),
    "e": ((291,), "y", "lion or tiger"),
    "f": ((291,), "y", "I can't help with that."),
    "g": ((291,), "y", ""),
    "h": ((1, 291), "y", "A lion cub"),
    "i": ((291,), "y", "giraffe"),
    "j": ((291,), "y", "tiger"),
}
BENCHMARK = BenchmarkInfo(name="toy", source="folder", n=10, fingerprint="0" * 64)
IDS = sorted(ANSWERS, reverse=True)  # another order than the answers'
GOLD = (IDS, [ANSWERS[i][0] for i in IDS], [ANSWERS[i][1] for i in IDS])
RAW = RawAnswers(tuple(ANSWERS), tuple(answer for *_, answer in ANSWERS.values()))


@pytest.fixture
def record():
    return score_answers(RAW, *GOLD, BENCHMARK, name="model")


def test_counts_by_hand(record):
    interval = binomtest(3, 10).proportion_ci(method="wilson")
    assert (record.top1.n_correct, record.top1.n_total) == (3, 10)
    assert (record.top1.low, record.top1.high) == pytest.approx((interval.low, interval.high))
    assert record.kinds == {
        **{"class": 4, "general": 2, "ambiguous": 1, "refusal": 1, "empty": 1, "unmatched": 1},
    }
    assert record.shared == 1
    assert {origin: each.top1.n_correct for origin, each in record.by_origin.items()} == {"x": 2, "y": 1}
    assert record.by_origin["x"].kinds["general"] == 2
    assert record.metrics == "top-1 only"
    # `wn "golden retriever" -hypen`: a dog is 8 steps below entity, a golden retriever 12.
    assert record.depth_credit == pytest.approx((3 + 8 / 12) / 10)


def test_a_record_is_computed_again(tmp_path, record):
    path = write_matched(tmp_path, "m", record, RAW)
    read, raw = read_matched(path)
    assert (read, raw) == (record, RAW)
    check_recomputed(read, raw, *GOLD)
    with pytest.raises(ResultError, match="top1 is .*: the answers give"):
        check_recomputed(read.model_copy(update={"top1": read.by_origin["x"].top1}), raw, *GOLD)
    with pytest.raises(ResultError, match="depth_credit is 0.5: the answers give"):
        check_recomputed(read.model_copy(update={"depth_credit": 0.5}), raw, *GOLD)
    other = read.matcher.model_copy(update={"sha256": "f" * 64})
    with pytest.raises(ResultError, match=rf"made by matcher {VERSION} .*match the answers again"):
        check_recomputed(read.model_copy(update={"matcher": other}), raw, *GOLD)


def test_changed_answers_are_found(tmp_path, record):
    path = write_matched(tmp_path, "m", record, RawAnswers(RAW.ids, ("lion",) * 10))
    with pytest.raises(ResultError, match="m.answers.parquet hashes to"):
        read_matched(path)
    with pytest.raises(
        ResultError, match="not a record of answers: expected a name that ends in .matched.json"
    ):
        read_matched(tmp_path / "m.json")


def test_one_table_with_a_row_for_each_origin(record):
    (table,) = matched_tables(record)
    assert [row[:3] for row in table.rows] == [
        ["all", "10", "30.00"],
        ["x", "4", "50.00"],
        ["y", "6", "16.67"],
    ]


def command(*args: str) -> int:
    return cli.run(cli.group, ["match", *args], "imagenet-hard")


@pytest.fixture
def sample_answers(tmp_path):
    """The first label's name for every image but the last, which has no answer."""
    benchmark = load_dataset("sample")
    names = [classes.names()[labels[0]] for labels in benchmark.labels]
    path = tmp_path / "vlm.jsonl"
    rows = zip(benchmark.ids, [*names[:-1], None], strict=True)
    path.write_text("".join(json.dumps({"id": id, "answer": answer}) + "\n" for id, answer in rows))
    return path


def test_the_command(tmp_path, capsys, sample_answers):
    assert command(str(sample_answers), "--dataset", "sample", "--out", str(tmp_path), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    record, raw = read_matched(tmp_path / "vlm.matched.json")
    assert shown == record.model_dump(mode="json")
    assert (record.top1.n_correct, record.kinds["empty"], record.name) == (19, 1, "vlm")
    result = read_result(tmp_path / "vlm.json")[0]
    assert (result.metrics.top1, result.answers.kinds) == (record.top1, record.kinds)
    assert (result.answers.answers_sha256, result.answers.asked) == (record.answers_sha256, None)
    assert result.answers.depth_credit == record.depth_credit
    assert compare(tmp_path / "vlm.json", tmp_path / "vlm.json").cells.both_right == 19
    assert "top-1 only; 1 empty" in results_table([result]).rows[0][-1]
    benchmark = load_dataset("sample")
    check_recomputed(record, raw, benchmark.ids, benchmark.labels, benchmark.origins)


def test_no_other_result_is_replaced(tmp_path, capsys, sample_answers):
    """The same answers again are fine; others, of a file that is called the same, are not."""
    out = tmp_path / "out"
    for _ in range(2):
        assert command(str(sample_answers), "-d", "sample", "-o", str(out)) == 0
    before = (out / "vlm.json").read_bytes()
    sample_answers.write_text(sample_answers.read_text().replace("null", '"kite"'))
    assert command(str(sample_answers), "-d", "sample", "-o", str(out), "--name", "second") == 2
    assert "vlm.json is a result of other answers, vlm's: give another --out" in capsys.readouterr().err
    assert (out / "vlm.json").read_bytes() == before


def test_gold_gives_the_same_score(tmp_path, capsys, sample_answers):
    from imagenet_hard.leaderboard.gold import make_gold, write_gold

    write_gold(tmp_path / "golds", make_gold(load_dataset("sample")))
    out = str(tmp_path)
    assert command(str(sample_answers), "-d", "sample", "-o", out, "--json") == 0
    by_dataset = json.loads(capsys.readouterr().out)
    golds = str(tmp_path / "golds")
    assert command(str(sample_answers), "--gold", "sample", "--golds", golds, "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == by_dataset
    assert command(str(sample_answers), "--gold", "other", "--golds", golds, "-o", out) == 1
    assert "0 benchmarks in" in capsys.readouterr().err


def test_wrong_usage_is_told(tmp_path, capsys, sample_answers):
    for args, code, message in (
        ([], 2, "give --dataset or --gold, one of them"),
        (["-d", "sample", "--gold", "x"], 2, "give --dataset or --gold, one of them"),
        (["-d", "sample", "--golds", "x"], 2, "--golds goes with --gold"),
        (["-d", "sample", "--name", ""], 2, "--name: expected 1 to 256 characters"),
        (["-d", "smaple"], 2, "unknown data set 'smaple'"),
    ):
        assert command(str(sample_answers), *args, "-o", str(tmp_path / "out")) == code
        assert message in capsys.readouterr().err
    lines = sample_answers.read_text().splitlines()
    sample_answers.write_text("\n".join([*lines[1:], '{"id": "no such", "answer": ""}']))
    assert command(str(sample_answers), "-d", "sample", "-o", str(tmp_path / "out")) == 1
    assert "1 missing" in (told := capsys.readouterr().err)
    assert "1 unknown ('no such')" in told
    assert not (tmp_path / "out").exists()
