"""Top-1, top-5, groups and classes, against scikit-learn, plain loops and laws."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.types import Predictions, Scored
from imagenet_hard.evaluation.metrics import NEAR_TIE_EPSILON, Metrics, Rate, hits, rates_by
from tests.evaluation.scored import make_scored


def reordered(scored: Scored, order: np.ndarray) -> Scored:
    """The rows ``order`` of a scored benchmark."""
    p = scored.predictions
    return Scored(
        predictions=Predictions(
            tuple(p.ids[i] for i in order), p.top5[order], p.logprob5[order], p.margin[order]
        ),
        labels=tuple(scored.labels[i] for i in order),
        origins=tuple(scored.origins[i] for i in order),
        image_sha256=tuple(scored.image_sha256[i] for i in order),
    )


def test_single_labels_are_scikit_learns() -> None:
    """With one label an image, top-1 and top-5 are accuracy and top-k accuracy."""
    scored, logits = make_scored(200)
    truth = [each[0] for each in scored.labels]
    metrics = Metrics.from_scored(replace(scored, labels=tuple((label,) for label in truth)))
    assert metrics.top1.accuracy == accuracy_score(truth, logits.argmax(axis=1))
    assert metrics.top5.accuracy == top_k_accuracy_score(truth, logits, k=5, labels=range(1000))
    assert 0 < metrics.n_correct < metrics.top5.n_correct < 200


def test_label_sets_are_a_plain_loop() -> None:
    """Any-label scoring, the groups and the classes are what a loop over images counts."""
    scored, _ = make_scored(150, seed=3)
    metrics = Metrics.from_scored(scored)
    right = [int(p[0]) in each for p, each in zip(scored.predictions.top5, scored.labels, strict=True)]
    right5 = [
        bool(set(p.tolist()) & set(each))
        for p, each in zip(scored.predictions.top5, scored.labels, strict=True)
    ]
    assert metrics.correct().tolist() == right
    assert (metrics.n_correct, metrics.top5.n_correct, metrics.n_total) == (sum(right), sum(right5), 150)
    for count in (1, 2, 3):
        rows = [r for r, each in zip(right, scored.labels, strict=True) if len(each) == count]
        assert (metrics.per_label_count[count].n_correct, metrics.per_label_count[count].n_total) == (
            sum(rows),
            len(rows),
        )
    for label in {label for each in scored.labels for label in each}:
        rows = [r for r, each in zip(right, scored.labels, strict=True) if label in each]
        assert (metrics.per_class.n_correct[label], metrics.per_class.n_total[label]) == (
            sum(rows),
            len(rows),
        )
    origins = [metrics.origins.names[code] for code in metrics.origin_codes()]
    assert tuple(origins) == scored.origins


def test_golden() -> None:
    """Three images by hand: right, right by its second label, and right only among the five."""
    top5 = np.array([[1, 2, 3, 4, 5], [7, 8, 9, 10, 11], [20, 21, 22, 23, 24]], dtype=np.int16)
    predictions = Predictions(
        ids=("a", "b", "c"),
        top5=top5,
        logprob5=np.log(np.array([[0.5, 0.1, 0.1, 0.1, 0.1]] * 3)).astype(np.float32),
        margin=np.array([2.0, 0.0005, 0.25], dtype=np.float32),
    )
    scored = Scored(predictions, ((1,), (3, 7), (24, 999)), ("x", "x", "y"), ("", "", ""))
    metrics = Metrics.from_scored(scored)
    assert (metrics.n_correct, metrics.top5.n_correct, metrics.n_total) == (2, 3, 3)
    assert {name: str(rate)[:7] for name, rate in metrics.per_origin.items()} == {
        "x": "100.00 ",
        "y": "0.00 % ",
    }
    assert metrics.correct_bits == "wA=="
    assert metrics.per_class.n_total[999] == 1
    assert metrics.per_class.n_correct[3] == 1
    assert metrics.near_ties.n == 1
    assert metrics.calibration.ece == pytest.approx(2 / 3 - 0.5)
    assert metrics.calibration.brier == pytest.approx(0.25)
    assert Metrics.from_scored(scored, near_tie_epsilon=NEAR_TIE_EPSILON["bf16"]).near_ties.n == 2
    assert Metrics.from_scored(scored, near_tie_epsilon=3).near_ties.n == 3
    assert NEAR_TIE_EPSILON["fp32"] < NEAR_TIE_EPSILON["fp16"] < NEAR_TIE_EPSILON["bf16"]


@settings(max_examples=40)
@given(st.permutations(range(25)), st.integers(0, 3))
def test_order_does_not_matter(order: list[int], seed: int) -> None:
    """Shuffling images, predictions, labels and origins alike changes no count."""
    scored, _ = make_scored(25, seed)
    one, two = Metrics.from_scored(scored), Metrics.from_scored(reordered(scored, np.array(order)))
    for field in ("top1", "top5", "per_origin", "per_label_count", "per_class", "near_ties"):
        assert getattr(one, field) == getattr(two, field)
    assert one.calibration.ece == pytest.approx(two.calibration.ece, abs=1e-12)
    assert two.correct().tolist() == one.correct()[order].tolist()


@settings(max_examples=40)
@given(st.integers(0, 50), st.integers(3, 60))
def test_parts_sum_to_the_whole(seed: int, n: int) -> None:
    """Scoring each origin alone and adding up gives the whole, for every count."""
    scored, _ = make_scored(n, seed)
    whole = Metrics.from_scored(scored)
    parts = []
    for name, rate in whole.per_origin.items():
        rows = np.array([i for i, each in enumerate(scored.origins) if each == name])
        parts.append(Metrics.from_scored(reordered(scored, rows)))
        assert parts[-1].top1 == rate
    for count in (
        lambda m: m.n_correct,
        lambda m: m.n_total,
        lambda m: m.top5.n_correct,
        lambda m: m.near_ties.n,
    ):
        assert sum(map(count, parts)) == count(whole)
    for field in ("n_total", "n_correct"):
        classes = np.sum([getattr(part.per_class, field) for part in parts], axis=0)
        assert classes.tolist() == list(getattr(whole.per_class, field))


def test_more_than_ten_labels() -> None:
    """Label sets are not padded, so none is too long."""
    assert hits(np.array([[500, 1, 2, 3, 4]]), [tuple(range(0, 1000, 2))]).tolist() == [
        [True, False, True, False, True]
    ]


@pytest.mark.parametrize(
    ("top5", "labels", "message"),
    [
        (np.zeros((0, 5), np.int16), [], r"n >= 1: got shape \(0, 5\)"),
        (np.zeros(5, np.int16), [(1,)], r"got shape \(5,\)"),
        (np.zeros((1, 5), np.int16), [(1,), (2,)], "1 predictions and 2 label sets"),
        (np.zeros((2, 5), np.int16), [(1,), ()], "image 1 has no label"),
        (np.zeros((1, 5), np.int16), [(1000,)], "labels run from 1000 to 1000"),
        (np.zeros((1, 5), np.int16), [(-1,)], r"expected classes 0\.\.999"),
    ],
)
def test_bad_input_raises(top5: np.ndarray, labels: list[tuple[int, ...]], message: str) -> None:
    """Nothing scored, ragged input and unlabelled images are errors, never an accuracy."""
    with pytest.raises(UsageError, match=message):
        hits(top5, labels)


def test_unequal_lengths_raise() -> None:
    """Every image needs its origin."""
    scored, _ = make_scored(5)
    with pytest.raises(UsageError, match="5 predictions, 5 label sets, 4 origins"):
        Metrics.from_scored(replace(scored, origins=scored.origins[:4]))


def test_rates_by_sorts_its_keys() -> None:
    """Groups come in the order of their keys."""
    assert list(rates_by(np.array([True, False, True]), [2, 1, 2])) == [1, 2]


def test_json_round_trip() -> None:
    """Metrics come back from JSON as they were, integer keys and all."""
    metrics = Metrics.from_scored(make_scored()[0])
    assert Metrics.model_validate_json(metrics.model_dump_json()) == metrics


def tampered(change: Any) -> str:
    """JSON of good metrics after ``change(document)``."""
    document = json.loads(Metrics.from_scored(make_scored()[0]).model_dump_json())
    change(document)
    return json.dumps(document)


def raise_top1(document: dict[str, Any]) -> None:
    document["top1"] = json.loads(Rate.of(document["top1"]["n_correct"] + 1, 40).model_dump_json())


def move_origin(document: dict[str, Any]) -> None:
    names = list(document["per_origin"])
    document["per_origin"][names[0]] = document["per_origin"][names[1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["top1"].update(accuracy=0.99), r"accuracy is 0\.99: 14 of 40 gives 0\.35"),
        (lambda d: d["top1"].update(low=0.0), r"low is 0\.0: 14 of 40 gives"),
        (lambda d: d["top1"].update(n_correct=41), "41 right of 40 images"),
        (raise_top1, "correct_bits has 14 ones: top1.n_correct is 15"),
        (lambda d: d.update(correct_bits="////////"), "6 bytes, expected 5 for 40 bits"),
        (lambda d: d.update(top5=d["per_origin"]["ImageNet"]), "contradict top1"),
        (move_origin, "per_origin does not follow"),
        (lambda d: d["origins"].update(names=["b", "a"]), "not sorted and distinct"),
        (lambda d: d["per_label_count"].pop("1"), "per_label_count counts"),
        (lambda d: d["per_label_count"].update({"0": d["per_label_count"].pop("1")}), "without a label"),
        (lambda d: d["calibration"].update(n_total=[40] * 15), "ece is"),
        (lambda d: d["per_class"]["n_correct"].__setitem__(0, 7), "class 0: 7 right of"),
        (lambda d: d["per_class"]["n_total"].__setitem__(0, 41), "more images than the 40"),
        (lambda d: d["per_class"]["n_total"].__setitem__(0, 9), "per_class counts"),
        (lambda d: d.update(per_superclass={"pets": d["top1"]}), "images for 'pets': per_class contradicts"),
        (lambda d: d.update(per_superclass={"fish": d["top1"]}), "images for 'fish': per_class contradicts"),
        (lambda d: d["near_ties"].update(n=41), "more images than the 40"),
        (lambda d: d["near_ties"].update(epsilon=0), "greater than 0"),
        (lambda d: d.update(extra=1), "Extra inputs are not permitted"),
    ],
)
def test_contradictions_are_refused(change: Any, message: str) -> None:
    """Metrics whose parts disagree do not load."""
    with pytest.raises(ValidationError, match=message):
        Metrics.model_validate_json(tampered(change))
