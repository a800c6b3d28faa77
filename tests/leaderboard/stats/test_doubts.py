"""The score of a doubtful label: by hand, against a plain loop, with copies, on planted labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from imagenet_hard.base.types import NO_CLASS
from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.doubts import average_precision
from imagenet_hard.leaderboard.importing import gold_of_labels
from imagenet_hard.leaderboard.stats.doubts import BLOCK, Ballot, find_doubts


def right_of(*labels: tuple[int, ...]) -> np.ndarray:
    right = np.zeros((len(labels), 1000), bool)
    for row, each in enumerate(labels):
        right[row, list(each)] = True
    return right


def ballot(name: str, *rows: list[int], p: list[list[float]] | None = None) -> Ballot:
    classes = np.array(rows, np.int16)
    return Ballot(name, classes, None if p is None else np.array(p, np.float32))


def test_votes_by_hand():
    """Right on 3, 2 and 0 of 3 images: odds 4, 3/2 and 1/4, so 16, 6 and 1 of 23."""
    right = right_of((1,), (2, 3), (4,))
    found = find_doubts(
        [
            ballot("a", [1], [3], [4]),
            ballot("b", [9], [2], [4]),
            ballot("c", [9], [8], [7]),
        ],
        right,
    )
    assert found.other.tolist() == [9, 8, 7]
    assert found.agree == pytest.approx([7 / 23, 1 / 23, 1 / 23])
    assert found.given == pytest.approx([16 / 23, 22 / 23, 22 / 23])
    assert found.score == pytest.approx(found.agree - found.given)
    assert found.votes.tolist() == [2, 1, 1]
    assert found.order.tolist() == [0, 1, 2]


def test_probabilities_by_hand():
    """One entry: the score is the margin of its own probabilities, the labels' summed."""
    p = [[0.5, 0.2, 0.1, 0.05, 0.05], [0.4, 0.3, 0.1, 0.1, 0.05]]
    found = find_doubts([ballot("a", [5, 6, 7, 8, 9], [1, 2, 3, 4, 5], p=p)], right_of((6, 7), (1,)))
    assert found.other.tolist() == [5, 2]
    assert found.score == pytest.approx([0.5 - 0.3, 0.3 - 0.4])
    assert found.agree.tolist() == [1, 0]


def test_places_by_hand():
    """First place right on two images, second on one: 2/3 and 1/3 of what it says."""
    classes = [[1, 10, 11, 12, 13], [2, 10, 11, 12, 13], [10, 3, 11, 12, 13]]
    found = find_doubts([ballot("a", *classes)], right_of((1,), (2,), (3,)))
    assert found.other.tolist() == [10, 10, 10]
    assert found.score == pytest.approx([-1 / 3, -1 / 3, 1 / 3])


def test_an_answer_that_names_no_class_speaks_for_none():
    """Of two answers in words one is silent: it is no vote, for whatever class."""
    found = find_doubts([ballot("a", [NO_CLASS]), ballot("b", [7])], right_of((999,)))
    assert found.other.tolist() == [7]
    assert found.agree == pytest.approx([0.5])
    assert found.given.tolist() == [0]


def test_against_a_plain_loop():
    """All kinds of entries together, over more images than a block."""
    rng = np.random.default_rng(1)
    n = BLOCK + 7
    right = right_of(*[tuple(rng.choice(1000, rng.integers(1, 4), replace=False)) for _ in range(n)])
    ballots = []
    for k in range(5):
        classes = np.stack([rng.permutation(1000)[:5] for _ in range(n)]).astype(np.int16)
        sure = rng.random(n) < 0.2 * k
        classes[sure, 0] = right[sure].argmax(axis=1)
        p = -np.sort(-rng.random((n, 5)).astype(np.float32) / 5)
        ballots.append(Ballot(str(k), classes[:, :1] if k == 4 else classes, p if k < 2 else None))
    found = find_doubts(ballots, right)
    hits = [right[np.arange(n)[:, None], each.classes] for each in ballots]
    weights = [(h[:, 0].sum() + 1) / (n - h[:, 0].sum() + 1) for h in hits]
    for i in rng.choice(n, 50, replace=False):
        p = np.zeros(1000)
        for each, weight, h in zip(ballots, weights, hits, strict=True):
            said = h.sum(axis=0) / h.sum() if each.probabilities is None else each.probabilities[i]
            for cls, share in zip(each.classes[i], said, strict=True):
                p[cls] += weight * share / sum(weights)
        given = p[right[i]].sum()
        p[right[i]] = -1
        assert found.other[i] == p.argmax()
        assert found.score[i] == pytest.approx(p.max() - given)


def test_copies_change_nothing():
    """Fifty copies of an entry, slightly changed for the worse, are the entry."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 1000, 500)
    right = right_of(*[(int(each),) for each in labels])
    models = [np.where(rng.random(500) < 0.6, labels, rng.integers(0, 1000, 500)) for _ in range(4)]
    ballots = [Ballot(str(k), each[:, None].astype(np.int16)) for k, each in enumerate(models)]
    copies = []
    for k in range(50):
        copy = ballots[0].classes.copy()
        copy[rng.choice(500, 10, replace=False), 0] = (labels[0] + 1) % 1000
        copies.append(Ballot(f"copy {k}", copy))
    alone, among = find_doubts(ballots, right), find_doubts([*ballots, *copies], right)
    assert len(among.speakers) == len(alone.speakers) == 4
    np.testing.assert_allclose(among.score, alone.score, atol=0.02)


def test_average_precision_is_scikit_learns():
    """On lists without ties."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        wrong = rng.random(50) < 0.3
        wrong[rng.integers(50)] = True
        expected = average_precision_score(wrong, -np.arange(50))
        assert average_precision(wrong) == pytest.approx(expected)


def test_planted_labels_come_first(shared):
    """200 labels of ImageNet-V2 are replaced at random: 67 models find them, and name the right class."""
    folder = shared / "data" / "predictions" / "imagenetv2-matched-frequency"
    table = read_answer_table(folder / "top5.parquet")
    gold = gold_of_labels(folder / "labels.parquet", "v2")
    order = np.argsort(table.ids)
    rng = np.random.default_rng(4)
    planted = np.sort(rng.choice(len(order), 200, replace=False))
    right = gold.right.copy()
    right[planted] = np.roll(right[planted], rng.integers(1, 1000), axis=1)
    ballots = [Ballot(name, each[order].astype(np.int16)) for name, each in table.models.items()]
    found = find_doubts(ballots, right)
    place = np.empty(len(order), int)
    place[found.order] = np.arange(len(order))
    named = gold.right[planted, found.other[planted]]
    assert (place[planted] < 2000).mean() > 0.95
    assert named.mean() > 0.65
    assert average_precision(np.isin(found.order, planted)) > 0.2
