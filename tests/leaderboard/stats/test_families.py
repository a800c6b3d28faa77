"""Who speaks for whom: copies and ports of a network are one family, different networks are not."""

from __future__ import annotations

import numpy as np

from imagenet_hard.leaderboard.answer_tables import read_answer_table
from imagenet_hard.leaderboard.importing import gold_of_labels
from imagenet_hard.leaderboard.stats.families import families, same_mistakes, speakers


def test_same_mistakes_by_hand():
    """Both wrong on images 1, 2 and 3, with one answer on 1 and 3."""
    a, b = np.array([0, 5, 6, 7, 9]), np.array([0, 5, 8, 7, 0])
    same, both = same_mistakes(a, a == 0, b, np.array([True, False, False, False, True]))
    assert (int(same), int(both)) == (2, 3)
    silent = np.where(a == 7, -1, a)
    same, both = same_mistakes(silent, a == 0, silent, a == 0)
    assert (int(same), int(both)) == (3, 3)


def test_families_by_plain_search():
    """Connected parts of the graph of pairs that share four in five mistakes, found one step at a time."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1000, 400)
    models = [np.where(rng.random(400) < 0.5, labels, rng.integers(0, 1000, 400)) for _ in range(6)]
    for of in (0, 0, 3):
        changed = rng.random(400) < 0.05
        models.append(np.where(changed, rng.integers(0, 1000, 400), models[of]))
    top1 = np.stack(models)[rng.permutation(9)]
    right = top1 == labels
    expected = list(range(9))
    for _ in range(9):
        for i in range(9):
            for j in range(9):
                both = ~right[i] & ~right[j]
                if (top1[i] == top1[j])[both].mean() >= 0.8:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    got = families(top1, right)
    assert [(got == each).tolist() for each in got] == [[e == each for e in expected] for each in expected]
    assert len(set(expected)) == 6
    chosen = speakers(top1, right)
    assert len(chosen) == 6
    for i in range(9):
        spoken_for = [k for k in chosen if expected[k] == expected[i]]
        assert len(spoken_for) == 1
        assert right[spoken_for[0]].sum() >= right[i].sum()


def test_few_mistakes_in_common_prove_nothing():
    """Nineteen equal mistakes are no family, twenty are."""
    labels = np.zeros(100, int)
    for n, expected in ((19, 2), (20, 1)):
        top1 = np.zeros((2, 100), int)
        top1[:, :n] = 7
        assert len(speakers(top1, top1 == labels)) == expected


def test_ports_of_one_network_are_found_among_67(shared):
    """On ImageNet-V2: pairs that were ported between frameworks, and no family of two architectures."""
    folder = shared / "data" / "predictions" / "imagenetv2-matched-frequency"
    table = read_answer_table(folder / "top5.parquet")
    gold = gold_of_labels(folder / "labels.parquet", "v2")
    order = np.argsort(table.ids)
    names = sorted(table.models)
    top1 = np.stack([table.models[name][order, 0] for name in names])
    found = families(top1, gold.right[np.arange(len(order)), top1])
    grouped = [{names[i] for i in np.flatnonzero(found == each)} for each in np.unique(found)]
    assert {"cafferesnet101", "resnet_v1_101_tf"} in grouped
    several = [each for each in grouped if len(each) > 1]
    assert all(len({"".join(c for c in name if c.isalpha())[:6] for name in each}) < 3 for each in several)
    assert len(grouped) > 60
