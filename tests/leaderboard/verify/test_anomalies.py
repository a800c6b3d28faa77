"""What is flagged, by hand-made cases and against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from imagenet_hard.base.types import Predictions
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.gold import gold_of
from imagenet_hard.leaderboard.rescore import Rescored
from imagenet_hard.leaderboard.verify.anomalies import (
    Peer,
    _kappa,
    calibration,
    canaries,
    errs_alike,
    plausible_score,
    separation,
    unsolved_images,
)


def rescored(correct: np.ndarray, top1: np.ndarray | None = None) -> Rescored:
    n = len(correct)
    classes = np.where(correct, 0, 1 + np.arange(n) % 900) if top1 is None else top1
    rate = Rate.of(int(correct.sum()), n)
    return Rescored(rate, rate, correct, classes.astype(np.int16), None)


def peer(name: str, correct: np.ndarray, top1: np.ndarray | None = None, independent: bool = True) -> Peer:
    of = rescored(correct, top1)
    return Peer(name, name, of.correct, of.top1_class, independent)


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
        == "10 images are left that no other entry solves: 20 are needed"
    )


def honest(m: int, n: int = 2000) -> list[np.ndarray]:
    """Right answers of m models of different skill on images of different difficulty."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=n)
    return [rng.random(n) < 1 / (1 + np.exp(3 * difficulty - skill)) for skill in np.linspace(-1, 2, m)]


@pytest.mark.parametrize("wrong", [0, 1, 3, 4, 50, 100])
@pytest.mark.parametrize("independent", [True, False])
def test_copies_of_the_labels_are_flagged(wrong: int, independent: bool) -> None:
    """Perfect, or with errors; whether the others are known to be independent of it or not."""
    peers = [peer(str(i), each, independent=independent) for i, each in enumerate(honest(20))]
    copy = np.random.default_rng(1).permutation(2000) >= wrong
    assert unsolved_images(rescored(copy), peers)[0] is True
    for each in peers:
        others = [other for other in peers if other is not each]
        assert unsolved_images(rescored(each.correct), others)[0] is False


@pytest.mark.parametrize("share_wrong", [0.0, 0.05, 0.3])
def test_copies_do_not_hide_each_other(share_wrong: float) -> None:
    """Two of one request: no peers of each other on a board, and found without one as well."""
    rng = np.random.default_rng(2)
    copies = [rng.random(2000) >= share_wrong for _ in range(2)]
    for independent in (True, False):
        board = [peer(str(i), each, independent=independent) for i, each in enumerate(honest(20))]
        for one, other in (copies, copies[::-1]):
            peers = [*board, peer("other", other, independent=False)]
            assert unsolved_images(rescored(one), peers)[0] is True
        for each in board:  # and do not make others suspect
            peers = [other for other in board if other is not each]
            peers += [peer(f"copy {i}", copy, independent=False) for i, copy in enumerate(copies)]
            assert unsolved_images(rescored(each.correct), peers)[0] is not True


@pytest.mark.parametrize(
    ("right", "expected"), [(10_000, True), (9_600, True), (9_500, False), (6_000, False)]
)
def test_scores_that_nobody_reaches(right: int, expected: bool) -> None:
    """Surely above 95 %, with nobody to compare with; a few images prove nothing."""
    assert plausible_score(rescored(first(10_000, right)))[0] is expected
    assert plausible_score(rescored(first(20, 20)))[0] is False


def test_near_copies() -> None:
    """The same wrong answers on 95 of 100 images are flagged, on 80 they are not."""
    correct, wrong = first(220, 120), 1 + np.arange(220) % 900
    for differing, expected in ((5, True), (20, False)):
        other = wrong.copy()
        other[120 : 120 + differing] = 999
        flagged, detail = errs_alike(rescored(correct, wrong), "x", [peer("copy", first(220, 100), other)])
        assert flagged is expected
        assert f"most alike is copy: the same wrong answer on {100 - differing}.0 % of 100 images" in detail
    assert errs_alike(rescored(correct), "copy", [peer("copy", correct)])[0] is True
    assert errs_alike(rescored(correct), "x", []) == "there is no other entry on the benchmark"
    assert errs_alike(rescored(first(200, 195)), "x", [peer("a", first(200, 195))]) == (
        "no other entry shares 20 wrong images with it"
    )


def test_copies_with_other_wrong_answers() -> None:
    """A copy whose wrong answers were all changed to other wrong ones is wrong on the same images still."""
    correct = honest(2)[0]
    answers = np.where(correct, 0, 5)
    same = peer("original", correct, np.where(correct, 0, 7))
    assert errs_alike(rescored(correct, answers), "x", [same]) == (
        True,
        "wrong on the images that original is wrong on: Cohen's kappa is 1.000",
    )
    assert errs_alike(rescored(correct, answers), "x", [peer("b", honest(2)[1])])[0] is False
    a, b = honest(3)[:2]
    assert _kappa(a, b) == pytest.approx(cohen_kappa_score(a, b))


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
