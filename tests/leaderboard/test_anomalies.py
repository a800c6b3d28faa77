"""What is flagged, by hand-made cases and against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.anomalies import (
    Peer,
    calibration,
    canaries,
    near_copies,
    separation,
    unsolved_images,
)
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.gold import gold_of
from imagenet_hard.leaderboard.rescore import Rescored
from imagenet_hard.types import Predictions


def rescored(correct: np.ndarray, top1: np.ndarray | None = None) -> Rescored:
    n = len(correct)
    classes = np.where(correct, 0, 1 + np.arange(n) % 900) if top1 is None else top1
    rate = Rate.of(int(correct.sum()), n)
    return Rescored(rate, rate, correct, classes.astype(np.int16), None)


def peer(name: str, correct: np.ndarray, top1: np.ndarray | None = None) -> Peer:
    of = rescored(correct, top1)
    return Peer(name, name, of.correct, of.top1_class)


def first(n: int, k: int) -> np.ndarray:
    """bool (n,): the first k are right."""
    return np.arange(n) < k


def test_who_solves_what_nobody_solves_is_flagged() -> None:
    """Four honest models solve the easy half; one solves the other half as well."""
    peers = [peer(str(i), first(200, 100)) for i in range(4)]
    flagged, detail = unsolved_images(rescored(first(200, 190)), peers)
    assert flagged
    assert detail.startswith("solves 90 of the 100 images that no other entry solves")
    assert unsolved_images(rescored(first(200, 102)), peers)[0] is False


def test_a_strong_model_among_strong_models_is_not_flagged() -> None:
    """Where each model alone solves a tenth of what is left, a fifth is no wonder."""
    peers = [peer(str(i), (np.arange(200) < 100) | (np.arange(200) // 20 == 5 + i)) for i in range(4)]
    assert unsolved_images(rescored(first(200, 100) | (np.arange(200) >= 196)), peers)[0] is False


def test_too_little_to_compare_with() -> None:
    """Two peers, or hardly an unsolved image: said, not flagged."""
    two = [peer(str(i), first(200, 100)) for i in range(2)]
    assert (
        unsolved_images(rescored(first(200, 200)), two)
        == "needs 3 other entries on the benchmark, there are 2"
    )
    easy = [peer(str(i), first(200, 190)) for i in range(4)]
    assert (
        unsolved_images(rescored(first(200, 200)), easy)
        == "the others leave 10 images unsolved: 20 are needed"
    )


def test_near_copies() -> None:
    """The same wrong answers on 95 of 100 images are flagged, on 80 they are not."""
    correct, wrong = first(200, 100), 1 + np.arange(200) % 900
    for differing, expected in ((5, True), (20, False)):
        other = wrong.copy()
        other[100 : 100 + differing] = 999
        flagged, detail = near_copies(rescored(correct, wrong), "x", [peer("copy", correct, other)])
        assert flagged is expected
        assert f"most alike is copy: the same wrong answer on {100 - differing}.0 % of 100 images" in detail
    assert near_copies(rescored(correct), "copy", [peer("copy", correct)])[0] is True
    assert near_copies(rescored(correct), "x", []) == "there is no other entry on the benchmark"
    assert near_copies(rescored(first(200, 195)), "x", [peer("a", first(200, 195))]) == (
        "no other entry shares 20 wrong images with it"
    )


def test_canaries() -> None:
    """Half of the planted labels repeated: flagged, without giving away which they are."""
    ids = [f"{i:03}" for i in range(100)]
    gold = gold_of([(i, [0], "", "") for i in ids], name="x", source="predictions")
    planted = set(ids[:20])
    flagged, detail = canaries(rescored(first(100, 10)), gold, planted)
    assert flagged
    assert not any(character.isdigit() for character in detail)
    assert canaries(rescored(~first(100, 19)), gold, planted)[0] is False
    assert canaries(rescored(first(100, 10)), gold, {"other"}) == "no canaries are known for the benchmark"


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=40))
def test_separation_is_the_area_under_the_curve(rows: list[tuple[float, bool]]) -> None:
    """Equal to scikit-learn's, ties included."""
    p, right = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if right.all() or not right.any():
        return
    assert separation(p, right) == pytest.approx(roc_auc_score(right, p))


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (np.where(first(100, 40), 0.9, 0.2) + np.linspace(0, 0.05, 100), True),  # tells right from wrong
        (np.where(np.arange(100) % 3 == 0, 0.5, 0.7), True),  # two values only
        (np.linspace(0.2, 0.9, 100)[np.argsort(np.arange(100) * 37 % 100)], False),
    ],
)
def test_impossible_calibration(p: np.ndarray, expected: bool) -> None:
    """Confidence that knows the labels, and confidence that was made up."""
    log_p = np.log(np.stack([p, *[(1 - p) / 4] * 4], axis=1)).astype(np.float32)
    ids = tuple(f"{i:03}" for i in range(100))
    top5 = np.tile(np.arange(5, dtype=np.int16), (100, 1))
    answers = Answers.of(Predictions(ids, top5, log_p, np.zeros(100, np.float32)))
    finding = calibration(rescored(first(100, 40)), answers)
    assert finding[0] is expected, finding
    assert calibration(rescored(first(100, 5)), answers) == "needs 20 right and 20 wrong answers"
    assert calibration(rescored(first(100, 40)), Answers(ids, top5)) == "the entry has no probabilities"
