"""A model behind an endpoint, scored: by the command and in Python, with what it says kept and counted."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import numpy as np
import pytest

from imagenet_hard import compare, evaluate, read_result
from imagenet_hard.base.errors import ClassifierError, ResultError, UnknownModelError, UsageError
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.cli import main as cli
from imagenet_hard.dataset.benchmark import Benchmark, Source, StreamingBenchmark
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.evaluation.draw import difficulties, write_difficulties
from imagenet_hard.evaluation.export import Evaluator, export
from imagenet_hard.evaluation.generative import run, score
from imagenet_hard.evaluation.generative.answers import RawAnswers
from imagenet_hard.evaluation.generative.score import this_matcher
from imagenet_hard.evaluation.result import Result, read_answers_of, result_json
from imagenet_hard.evaluation.run import evaluate_all
from imagenet_hard.evaluation.table import comparison_tables, results_csv, results_table
from imagenet_hard.imagenet import classes
from imagenet_hard.leaderboard.site.from_results import read_results
from imagenet_hard.leaderboard.site.provenance import provenance
from imagenet_hard.leaderboard.submit import make_submission
from tests.evaluation.generative.chat_server import Chat, Reply, completion, serving
from tests.evaluation.generative.test_asking import examples

SAMPLE = load_dataset("sample")
HASHES = [hashlib.sha256(example.image).hexdigest() for example in SAMPLE]
NAMES = [classes.names()[labels[0]] for labels in SAMPLE.labels]
SAID = [
    *NAMES[:12],
    "a dog",
    "tench or goldfish",
    "I can't help with that.",
    "",
    "blorp",
    "tench",
    "x",
    "lion",
]
"""Of the 20 images 12 right."""


@contextmanager
def endpoint(said=SAID, **about):
    with serving(Chat(dict(zip(HASHES, said, strict=True)), **about)) as chat:
        yield chat


@pytest.fixture
def scored(tmp_path):
    """A result, its path, and what the endpoint was asked."""
    with endpoint() as chat:
        result = evaluate("api:toy", "sample", base_url=chat.url, out=tmp_path, price=(2, 10))
    (path,) = tmp_path.glob("sample/*.json")
    return result, path, chat


def test_counts_by_hand(scored):
    result, path, chat = scored
    assert (result.metrics.n_correct, result.metrics.n_total) == (12, 20)
    assert result.answers.kinds == {
        **{"class": 14, "general": 1, "ambiguous": 1, "refusal": 1, "empty": 1, "unmatched": 2},
    }
    assert result.answers.kinds_by_origin == {"": result.answers.kinds}
    asked = result.answers.asked
    assert (asked.prompt_tokens, asked.completion_tokens) == (2000, 40)
    assert asked.cost == pytest.approx(2000 * 2e-6 + 40 * 10e-6)
    assert (asked.models, asked.endpoint, asked.encoded_anew) == ({"toy-1": 20}, chat.url, 0)
    assert asked.settings == {"temperature": 0, "max_tokens": 64}
    assert (result.metrics.top5, result.metrics.calibration, result.metrics.near_ties) == (None, None, None)
    assert (result.benchmark.fingerprint, result.model.backend) == (SAMPLE.fingerprint(), "api")
    for absent in ("top5", "calibration", "near_ties", "precision", "batch_size"):
        assert f'"{absent}"' not in path.read_text()
    assert len(chat.requests) == 20
    assert {type(request["max_tokens"]) for request in chat.requests} == {int}


def test_files_are_read_again_and_belong_together(scored):
    result, path, _ = scored
    read, predictions = read_result(path)
    assert read == result
    raw, _ = read_answers_of(path, read)
    assert sorted(zip(raw.ids, raw.answers, strict=True)) == sorted(zip(SAMPLE.ids, SAID, strict=True))
    right = [
        int(c) in labels for c, labels in zip(predictions.top5[:, 0], _by_id(predictions.ids), strict=True)
    ]
    assert right == read.metrics.correct().tolist()
    assert sum(predictions.top5[:, 0] == -1) == 6
    answers = path.with_name(path.stem + ".answers.jsonl")
    text = answers.read_text()
    answers.write_text(text.replace("a dog", "a cat"))
    with pytest.raises(ResultError, match=r"answers.jsonl hashes to .*names other answers"):
        read_result(path)
    row = json.loads(text.splitlines()[0])
    for wrong in (1000, -1, "7", 1.0, True, [1]):
        rows = [json.dumps(row | {"class": wrong}), *text.splitlines()[1:]]
        answers.write_text("\n".join(rows))
        with pytest.raises(ResultError, match="expected 0 to 999, or null"):
            read_result(path)
    other = (row["class"] + 1) % 1000 if row["class"] is not None else 0
    answers.write_text("\n".join([json.dumps(row | {"class": other}), *text.splitlines()[1:]]))
    with pytest.raises(ResultError, match="the predictions hash to"):
        read_result(path)


def _by_id(ids):
    return [dict(zip(SAMPLE.ids, SAMPLE.labels, strict=True))[id] for id in ids]


def test_counts_that_do_not_fit_are_refused(scored):
    result, _, _ = scored
    data = json.loads(result_json(result))
    for change, said in (
        (lambda d: d["answers"]["kinds"].update({"class": 15}), "answers.kinds counts other images"),
        (lambda d: d["answers"].update(shared=13), "more right answers"),
        (lambda d: d.pop("answers"), "metrics.top5: this key is missing"),
        (lambda d: d["protocol"].update(precision="fp32"), "protocol.precision: answers in words have none"),
        (lambda d: d["metrics"].update(near_ties={"epsilon": 1, "n": 0}), "there together, or none of them"),
    ):
        changed = json.loads(json.dumps(data))
        change(changed)
        with pytest.raises(ValueError, match=said):
            Result.model_validate(changed)


def test_nothing_is_asked_twice(tmp_path):
    """Not by another part of the benchmark, not by a run that goes on, not by one that is finished."""
    with endpoint() as chat:
        about = {"base_url": chat.url, "out": tmp_path}
        evaluate("api:toy", "sample", limit=5, **about)
        assert len(chat.requests) == 5
        first = evaluate("api:toy", "sample", **about)
        assert (len(chat.requests), first.runtime.n_scored, first.runtime.n_resumed) == (20, 15, 5)
        assert evaluate("api:toy", "sample", **about) == first
        evaluate("api:toy", "sample", sample=3, **about)
        assert len(chat.requests) == 20
        evaluate("api:toy", "sample", limit=5, request={"seed": 1}, **about)
        evaluate("api:toy", "sample", limit=5, protocol="list", **about)
        evaluate("api:other", "sample", limit=5, **about)
        assert len(chat.requests) == 35  # another way to ask is another result
        assert chat.requests[-1]["model"] == "other"
        assert chat.requests[20]["seed"] == 1
    assert len(list(tmp_path.glob("sample*/*.json"))) == 6


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with endpoint() as chat:
        assert evaluate("api:toy", "sample", base_url=chat.url).metrics.n_correct == 12
    assert list(tmp_path.iterdir()) == []


def test_another_matcher_reads_the_answers_again(scored, tmp_path, monkeypatch):
    """Without a call, even where the store of answers is gone."""
    result, path, chat = scored
    for file in tmp_path.rglob("*.sqlite*"):
        file.unlink()
    newer = this_matcher().model_copy(update={"version": 99, "sha256": "9" * 64})
    monkeypatch.setattr(score, "this_matcher", lambda: newer)
    monkeypatch.setattr(run, "this_matcher", lambda: newer)
    again = evaluate("api:toy", "sample", base_url=chat.url, out=tmp_path)  # nobody is there any more
    assert again.answers.matcher == newer
    assert again.metrics == result.metrics
    assert read_result(path)[0] == again


def test_estimates(tmp_path):
    """As of any other model; images that a smaller draw has asked about are not asked about again."""
    images = examples(60)
    greys = Benchmark(
        Source("greys", "object"),
        [each.id for each in images],
        [(0,)] * 60,
        [""] * 60,
        lambda i: images[i].image,
    )
    correct = np.array([[i % 2 == 0 for i in range(60)], [i % 3 == 0 for i in range(60)]])
    table = tmp_path / "table.json"
    whole = {"benchmark": "greys", "fingerprint": greys.fingerprint()}
    write_difficulties(table, difficulties(correct, greys.ids, ["a", "b"], **whole))
    with serving(Chat()) as chat:  # it always says tench, which is class 0
        about = {"base_url": chat.url, "out": tmp_path / "out", "difficulty": table}
        result = evaluate("api:toy", greys, estimate=24, **about)
        assert (result.estimate.drawn, result.estimate.images, result.estimate.top1) == (24, 60, 1)
        assert len(chat.requests) == result.metrics.n_total == 24
        until = evaluate("api:toy", greys, until=30.0, **about)
        assert until.estimate.half_width <= 30
        assert len(chat.requests) == max(until.estimate.drawn, 24)
        assert chat.repeated() == {}
        assert evaluate("api:toy", greys, until=30.0, **about) == until
    drawn, narrow = (next((tmp_path / "out").glob(f"greys-estimate-{n}*/*.json")) for n in ("24", "until"))
    assert (read_result(drawn)[0], read_result(narrow)[0]) == (result, until)
    with pytest.raises(UsageError, match="is an estimate from 24 of 60 images"):
        make_submission(drawn, tmp_path, name="toy", org="o")


def test_a_stream_is_asked_about_as_it_arrives(tmp_path):
    def rows():
        return ((each.id, lambda each=each: each) for each in SAMPLE)

    with endpoint() as chat:
        about = {"base_url": chat.url, "out": tmp_path}
        result = evaluate("api:toy", StreamingBenchmark(SAMPLE.about, rows), **about)
        assert evaluate("api:toy", StreamingBenchmark(SAMPLE.about, rows), **about) == result
        assert len(chat.requests) == 20
    assert result.metrics.n_correct == 12


def test_names_that_classes_share_count_for_either(tmp_path):
    """An answer "missile" to a missile of the second kind."""
    raw = RawAnswers(("a", "b", "c"), ("missile", "missile", "missile"))
    reading = score.read_answers(raw, [(744,), (657,), (3,)])
    assert reading.predictions.top5[:, 0].tolist() == [744, 657, 657]
    assert reading.right.tolist() == [True, True, False]
    assert reading.shared == 2
    assert reading.predictions.top5.dtype == np.int16


def test_tables_and_comparisons(scored, tmp_path):
    result, path, _ = scored
    with endpoint([*NAMES[:10], *["nothing that I know"] * 10]) as chat:
        other = evaluate("api:other", "sample", base_url=chat.url, out=tmp_path, protocol="list")
    table = results_table([result, other])
    assert "top-1 only; 1 general, 1 ambiguous, 1 refusal, 1 empty, 2 unmatched" in table.rows[0][-1]
    assert [row[table.header.index("top-5 %")] for row in table.rows] == ["", ""]
    assert [row[table.header.index("protocol")] for row in table.rows] == ["open 1", "list 1"]
    assert results_csv([result]).splitlines()[1].split(",")[10] == ""
    comparison = compare(path, next(tmp_path.glob("sample/api-other*.json")))
    assert (comparison.cells.only_a, comparison.cells.only_b, comparison.cells.both_right) == (2, 0, 10)
    assert {flip.b_name for flip in comparison.flips} == {"(no class)"}
    assert "-1 (no class)" in str([t.rows for t in comparison_tables(comparison)])


def test_a_page_of_results_shows_it_as_what_it_is(scored):
    """Ranked by top-1; no top-5 and no calibration; how it was asked among the facts."""
    result, path, _ = scored
    ((row,),) = [board.entries for board in read_results([path]).boards]
    assert (row.top1, row.top5, row.calibration) == (result.metrics.top1, None, None)
    facts = {title: value for group in provenance(row) for title, value in group.rows}
    assert facts["Figures"] == "top-1 only: words have no scores"
    assert (facts["Answers: unmatched"], facts["Answers: refusal"]) == ("2", "1")
    assert facts["Protocol"] == "open, version 1"
    assert "Precision" not in facts


def test_no_form_of_others_holds_it(scored):
    for form, evaluator in (
        ("timm", None),
        ("clip-benchmark", None),
        ("every-eval-ever", Evaluator("me", "third_party")),
    ):
        with pytest.raises(
            UsageError, match="api:toy answers in words: .* has no place for how it was asked"
        ):
            export([scored[0]], form, evaluator)


@pytest.mark.usefixtures("small_networks")
def test_a_comparison_with_a_classifier(scored, tmp_path):
    result, path, _ = scored
    lite = evaluate("efficientnet_lite0", "sample", out=tmp_path)
    comparison = compare(path, next(tmp_path.glob("sample/bundled*.json")))
    assert comparison.n_total == 20
    assert comparison.a.top1 == result.metrics.top1
    table = results_table([result, lite])
    assert {row[table.header.index("top-5 %")] == "" for row in table.rows} == {True, False}


def test_every_origin_is_counted(tmp_path):
    origins = ["x"] * 10 + ["y"] * 10
    mixed = Benchmark(SAMPLE.about, SAMPLE.ids, SAMPLE.labels, origins, lambda i: SAMPLE[i].image)
    with endpoint() as chat:
        result = evaluate("api:toy", mixed, base_url=chat.url)
    assert {name: rate.n_correct for name, rate in result.metrics.per_origin.items()} == {"x": 10, "y": 2}
    assert result.answers.kinds_by_origin["x"]["class"] == 10
    assert result.answers.kinds_by_origin["y"]["unmatched"] == 2


def test_filtered_and_long_answers_are_counted(tmp_path, caplog):
    filtered = Reply({"error": {"message": "no", "code": "content_filter"}}, 400)
    cut = completion("<think>It may be a")
    cut["choices"][0]["finish_reason"] = "length"

    def fault(n, image, request):
        return filtered if image == HASHES[3] else Reply(cut) if image == HASHES[4] else None

    with endpoint(NAMES, fault=fault) as chat:
        result = evaluate("api:toy", "sample", base_url=chat.url, out=tmp_path)
    assert (result.metrics.n_correct, result.answers.kinds["refusal"], result.answers.truncated) == (18, 1, 1)
    assert "1 answer was too long and cut" in caplog.text
    (path,) = tmp_path.glob("sample/*.json")
    assert read_result(path)[0] == result
    assert result.answers.asked.prompt_tokens is None  # the endpoint did not count those of one


def test_bad_input_is_told_before_any_call(tmp_path):
    with endpoint() as chat:
        for model, options, said in (
            ("api:", {}, "names no model: expected api:MODEL"),
            ("api: x", {}, "names no model"),
            ("api:toy", {"protocol": "quiz"}, "expected one of open, choices, list"),
            ("api:toy", {"precision": "bf16"}, "precision: for models that run here"),
            ("api:toy", {"tta": "zoom", "weights": "x"}, "tta, weights: for models that run here"),
            ("api:toy", {"metrics": ["x"]}, "metric"),
            ("api:toy", {"exif": True}, "exif"),
            ("api:toy", {"concurrency": 0}, "concurrency 0: expected"),
            ("api:toy", {"request": {"messages": []}}, "'messages' is set by the protocol"),
            ("api:toy", {"base_url": "localhost"}, "expected one as http://localhost:8000/v1"),
            ("api:toy", {"key_env": "NO_SUCH_KEY"}, "set the environment variable NO_SUCH_KEY"),
            ("vit_b_32", {}, "base_url: only with a model behind an endpoint, api:MODEL"),
        ):
            with pytest.raises(UsageError, match=said):
                evaluate(model, "sample", **{"base_url": chat.url, "out": tmp_path, **options})
        assert chat.requests == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no key for https://api.openai.com/v1: set .*OPENAI_API_KEY"):
        evaluate("api:toy", "sample")
    with pytest.raises(UnknownModelError, match="answers in words, and has no scores"):
        load_classifier("api:toy")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_key_is_written_nowhere(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    with endpoint() as chat:
        result = evaluate("api:toy", "sample", base_url=chat.url, out=tmp_path, key_env="MY_KEY")
        assert {each["authorization"] for each in chat.headers} == {"Bearer sk-secret-123"}
        fault = Reply({"error": {"message": "bad key sk-secret-123"}}, 401)
        chat.fault = lambda n, image, request: fault
        with pytest.raises(ClassifierError) as caught:
            evaluate("api:new", "sample", base_url=chat.url, out=tmp_path, key_env="MY_KEY")
    everything = [
        str(caught.value),
        caplog.text,
        repr(result),
        *(path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()),
    ]
    assert not any("sk-secret-123" in text for text in everything)


def test_one_failure_ends_no_other(tmp_path):
    with endpoint() as chat:
        found = dict(
            evaluate_all(["api:toy", "api:", "no_such_model"], "sample", base_url=chat.url, out=tmp_path)
        )
    assert found["api:toy"].metrics.n_correct == 12
    assert isinstance(found["api:"], UsageError)
    assert isinstance(found["no_such_model"], UnknownModelError)


def command(*args: str) -> int:
    return cli.run(cli.group, ["eval", *args], "imagenet-hard")


def test_the_command(tmp_path, capsys, caplog):
    with endpoint() as chat:
        args = ["-m", "api:toy", "-d", "sample", "--base-url", chat.url, "-o", str(tmp_path)]
        args += ["--protocol", "open", "--concurrency", "auto", "--price", "2,10", "--request", '{"seed": 3}']
        assert command(*args) == 0
        assert "top-1 only" in capsys.readouterr().out
        assert {request["seed"] for request in chat.requests} == {3}
        assert command(*args, "--json") == 0
        (shown,) = json.loads(capsys.readouterr().out)
        assert shown["answers"]["asked"]["price"] == [2, 10]
        assert len(chat.requests) == 20
        for more, said in (
            (["--protocol", "quiz"], "'quiz' is not one of 'open', 'choices', 'list'"),
            (["--concurrency", "lots"], "expected auto, or a number from 1"),
            (["--request", "{"], "--request"),
            (["--price", "cheap"], "--price"),
            (["--precision", "bf16"], "precision: for models that run here"),
        ):
            assert command(*args, *more) == 2
            assert said in capsys.readouterr().err
    assert "about 2,000 + 40 tokens" in caplog.text
    assert "2,000 + 40 tokens, 0.00 US dollars for all answers" in caplog.text
