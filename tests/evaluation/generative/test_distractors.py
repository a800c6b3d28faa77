"""Distractors that known models fall for: counted as a loop counts them, and never a label of the image."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard import evaluate
from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.base.types import Predictions
from imagenet_hard.cli.main import group, run
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.evaluation.generative.distractors import (
    KEPT,
    Distractors,
    distractors_of,
    nearest,
    read_distractors,
    write_distractors,
)
from imagenet_hard.evaluation.generative.prompts import PROMPTS, choices, question
from imagenet_hard.imagenet import classes
from tests.evaluation.generative.chat_server import Chat, serving
from tests.evaluation.generative.test_asking import picture

ABOUT = {"benchmark": "toy", "fingerprint": "0" * 64}


def made(top5: list[list[list[int]]], labels: list[list[int]]) -> Distractors:
    """Of the classes that each model says of each image."""
    ids = tuple(f"{i:03}" for i in range(len(labels)))
    n = len(ids)
    each = [
        Predictions(ids, np.array(one, np.int16), np.zeros((n, 5), np.float32), np.zeros(n, np.float32))
        for one in top5
    ]
    return distractors_of(each, labels, [f"toy:{i}" for i in range(len(each))], **ABOUT)


def table(rows: dict[int, tuple[int, ...]]) -> Distractors:
    return Distractors(models=("toy:a",), confused=tuple(rows.get(i, ()) for i in range(1000)), **ABOUT)


def test_a_table_counts_as_a_loop_does():
    rng = np.random.default_rng(0)
    labels = [sorted({int(each) for each in rng.integers(0, 4, 2)}) for _ in range(40)]
    top5 = [[[int(c) for c in rng.choice(30, 5, replace=False)] for _ in labels] for _ in range(3)]
    counts: Counter[tuple[int, int]] = Counter()
    for one in top5:
        for wanted, said in zip(labels, one, strict=True):
            for place, index in enumerate(said, start=1):
                for label in wanted:
                    if index not in wanted:
                        counts[label, index] += 60 // place
    found = made(top5, labels)
    for label in range(4):
        order = sorted(
            (index for index in range(30) if counts[label, index]),
            key=lambda index: (-counts[label, index], nearest(label).index(index)),
        )
        assert list(found.confused[label]) == order[:KEPT]
    assert not any(found.confused[4:])


def test_answers_in_words_are_counted_too():
    """They have one class, or none."""
    words = Predictions.in_words(("a", "b"), np.array([5, -1]))
    found = distractors_of([words], [[3], [3]], ["api:toy"], **ABOUT)
    assert found.confused[3] == (5,)


@given(
    st.text(max_size=20),
    st.lists(st.integers(0, 999), min_size=1, max_size=9, unique=True),
    st.lists(st.integers(0, 999), max_size=KEPT, unique=True),
)
def test_no_label_and_no_twin_of_one_is_drawn(id, labels, row):
    """And the first of the row that may be drawn are, then WordNet's nearest."""
    of = table({label: tuple(index for index in row if index != label) for label in labels})
    drawn = choices(5, id, labels, of)
    (label,) = set(drawn) & set(labels)
    names = classes.names()
    free = [i for i in (*row, *nearest(label)) if names[i] not in {names[j] for j in labels}]
    assert set(drawn) == {label, *list(dict.fromkeys(free))[:4]}


def test_twins_of_names_are_never_beside_each_other():
    for label, twin in ((657, 744), (744, 657), (836, 837), (837, 836)):
        assert twin not in choices(5, "x", [label], table({label: (twin, 1, 2, 3, 4)}))


def test_without_a_table_the_words_are_those_of_before():
    """The nearest in WordNet, whatever else there is: answers of runs before stay good."""
    assert choices(3, "cat.jpg", [281]) == choices(3, "cat.jpg", [281], None)
    assert "0123" not in question(PROMPTS["choices"], "0.jpg", [207])
    assert question(PROMPTS["open"], "x", [3], table({3: (5,)})) == PROMPTS["open"].text


def test_a_file_holds_it(tmp_path):
    of = table({3: (5, 7)})
    write_distractors(tmp_path / "table.json", of)
    assert read_distractors(tmp_path / "table.json") == of
    assert table({3: (7, 5)}).sha256 != of.sha256
    with pytest.raises(UsageError, match="distractors: there is no file .*: expected a table that"):
        read_distractors(tmp_path / "none.json")
    for wrong, said in (
        ({"confused": [[]] * 999}, "at least 1000 items"),
        ({"confused": [[0]] + [[]] * 999}, "class 0 has itself"),
        ({"confused": [[1, 1]] + [[]] * 999}, "another class twice"),
        ({"confused": [[1000]] + [[]] * 999}, "less than 1000"),
        ({"models": []}, "at least 1 item"),
    ):
        changed = json.loads(of.model_dump_json()) | wrong
        (tmp_path / "wrong.json").write_text(json.dumps(changed))
        with pytest.raises(ResultError, match=f"(?s){said}.*expected a table"):
            read_distractors(tmp_path / "wrong.json")


def toy() -> Benchmark:
    ids = [f"{i:03}.png" for i in range(6)]
    labels = [(207,)] * 6
    return Benchmark(Source("toy", "object"), ids, labels, [""] * 6, lambda i: picture(i))


def test_a_model_chooses_among_them(tmp_path):
    """The words, the record and the key say so; another table is another result, WordNet a third."""
    write_distractors(tmp_path / "a.json", table({207: (1, 2, 3, 4)}))
    write_distractors(tmp_path / "b.json", table({207: (1, 2, 3, 5)}))
    results = []
    with serving(Chat()) as chat:
        for name in ("a.json", "b.json", None):
            more = {} if name is None else {"distractors": tmp_path / name}
            results.append(
                evaluate(
                    "api:toy", toy(), base_url=chat.url, protocol="choices", out=tmp_path / "out", **more
                )
            )
        names = classes.distinct_names()
        for request, others in ((chat.requests[0], (1, 2, 3, 4)), (chat.requests[6], (1, 2, 3, 5))):
            text = request["messages"][0]["content"][0]["text"]
            assert set(re.findall('"(.*?)"', text)) == {names[i] for i in (207, *others)}
    assert len(chat.requests) == 18
    drawn = [result.answers.asked.distractors for result in results]
    assert drawn[0].sha256 == read_distractors(tmp_path / "a.json").sha256
    assert (drawn[0].benchmark, drawn[0].models, drawn[2]) == ("toy", 1, None)
    assert len({result.run_key for result in results}) == 3
    assert results[0].answers.how == f"choices 1, distractors {drawn[0].sha256[:8]}"
    assert "distractors" not in results[2].model_dump_json(exclude_none=False)
    with pytest.raises(UsageError, match="the protocol 'open' draws none; it is for 'choices'"):
        evaluate("api:toy", toy(), base_url=chat.url, distractors=tmp_path / "a.json")
    with pytest.raises(UsageError, match="distractors: only with a model behind an endpoint"):
        evaluate("resnet18", toy(), distractors=tmp_path / "a.json")


def test_the_command_makes_a_table_of_results(tmp_path, capsys):
    """Of answers of two models in words on a folder; results on other images are refused."""
    for folder, n in (("toy", 3), ("other", 2)):
        place = tmp_path / folder / "n01440764"
        place.mkdir(parents=True)
        for i in range(n):
            (place / f"{i}.png").write_bytes(picture(i))
    with serving(Chat()) as chat:
        for said in ("goldfish", "tench"):
            chat.fault = lambda n, image, request, said=said: _good(said)
            evaluate(f"api:{said}", str(tmp_path / "toy"), base_url=chat.url, out=tmp_path / "out")
    files = sorted(
        str(path) for path in (tmp_path / "out").glob("*/*.json") if not path.name.endswith(".jsonl")
    )
    out = tmp_path / "table.json"
    command = ["distractors", *files, "--out", str(out), "--dataset"]
    assert run(group, [*command, str(tmp_path / "toy")], "imagenet-hard") == 0
    assert "1 classes of toy with what 2 models take them for" in capsys.readouterr().out
    assert read_distractors(out).confused[0] == (1,)
    assert run(group, [*command, str(tmp_path / "other")], "imagenet-hard") != 0
    assert "other images or labels: name the benchmark" in " ".join(capsys.readouterr().err.split())
    assert run(group, command[:-1], "imagenet-hard") == 2
    assert "give --dataset or --gold, one of them" in capsys.readouterr().err


def _good(said: str):
    from tests.evaluation.generative.chat_server import Reply, completion

    return Reply(completion(said))
