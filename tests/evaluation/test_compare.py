"""Paired comparison, against scikit-learn, statsmodels and a plain loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar

from imagenet_hard.base.errors import ResultError
from imagenet_hard.evaluation.compare import Cells, Comparison, Pair, compare
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.evaluation.result import write_result
from imagenet_hard.imagenet.classes import names
from tests.evaluation.scored import FINGERPRINT, make_result, make_scored


def pair(n: int = 60, seed: int = 0, **changes: object) -> Pair:
    """A result and its predictions; pairs of one ``n`` are of the same images."""
    scored, _ = make_scored(n, seed)
    return make_result(scored, **changes), scored.predictions


def test_cells_are_a_plain_loop() -> None:
    """Counts, flips and agreement are what a loop over the images finds."""
    a, b = pair(seed=0), pair(seed=1)
    labels = make_scored(60)[0].labels
    found = compare(a, b)
    right = [
        (int(x[0]) in each, int(y[0]) in each)
        for x, y, each in zip(a[1].top5, b[1].top5, labels, strict=True)
    ]
    assert found.cells == Cells(
        both_right=right.count((True, True)),
        only_a=right.count((True, False)),
        only_b=right.count((False, True)),
        both_wrong=right.count((False, False)),
    )
    assert found.n_total == 60
    assert found.difference == pytest.approx(found.a.top1.accuracy - found.b.top1.accuracy)
    assert found.low <= found.difference <= found.high
    assert found.same_prediction == sum(a[1].top5[:, 0] == b[1].top5[:, 0])
    assert [flip.id for flip in found.flips] == [
        each for each, (x, y) in zip(a[1].ids, right, strict=True) if x != y
    ]
    flip = found.flips[0]
    row = a[1].ids.index(flip.id)
    assert (flip.a, flip.b) == (a[1].top5[row, 0], b[1].top5[row, 0])
    assert (flip.a_name, flip.b_name) == (names()[flip.a], names()[flip.b])
    assert flip.right == ("a" if right[row][0] else "b")
    assert flip.origin == make_scored(60)[0].origins[row]


def test_statistics_are_the_references() -> None:
    """Kappa is scikit-learn's, McNemar's p is statsmodels'."""
    a, b = pair(n=150, seed=0), pair(n=150, seed=1)
    found = compare(a, b)
    kappa = cohen_kappa_score(a[0].metrics.correct(), b[0].metrics.correct())
    assert found.kappa == pytest.approx(kappa)
    c = found.cells
    table = [[c.both_right, c.only_a], [c.only_b, c.both_wrong]]
    assert found.mcnemar_p == pytest.approx(float(mcnemar(table, exact=True).pvalue))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_cells_swap_with_their_models(rows: list[tuple[bool, bool]]) -> None:
    """Swapping A and B swaps their cells and keeps what is symmetric."""
    a, b = map(np.array, zip(*rows, strict=True))
    one, two = Cells.of(a, b), Cells.of(b, a)
    assert (one.only_a, one.only_b, one.both_right, one.both_wrong) == (
        two.only_b,
        two.only_a,
        two.both_right,
        two.both_wrong,
    )
    assert one.n_total == len(rows)
    assert one.agreement == two.agreement == np.mean(a == b)
    assert one.kappa == two.kappa


def test_origins_sum_to_the_whole() -> None:
    """The cells by origin add up, and hold the images of that origin."""
    found = compare(pair(seed=0), pair(seed=1))
    for cell in ("both_right", "only_a", "only_b", "both_wrong"):
        assert sum(getattr(each, cell) for each in found.per_origin.values()) == getattr(found.cells, cell)
    origins = make_scored(60)[0].origins
    assert {name: cells.n_total for name, cells in found.per_origin.items()} == {
        name: origins.count(name) for name in set(origins)
    }


def test_a_model_against_itself() -> None:
    """No flip, no difference, p = 1; kappa is 1, or undefined where one class of outcome is empty."""
    a = pair()
    found = compare(a, a)
    assert (found.flips, found.difference, found.low, found.high, found.mcnemar_p) == ((), 0, 0, 0, 1)
    assert found.kappa == pytest.approx(1)
    assert Cells(both_right=5, only_a=0, only_b=0, both_wrong=0).kappa is None


def test_from_files_and_to_json(tmp_path: Path) -> None:
    """Paths give the same comparison as records, and it comes back from JSON."""
    a, b = pair(seed=0), pair(seed=1, name="resnet50")
    files = [write_result(tmp_path, *each) for each in (a, b)]
    found = compare(files[0], str(files[1]))
    assert found == compare(a, b)
    assert Comparison.model_validate_json(found.model_dump_json()) == found
    assert compare(a, b, seed=1).cells == found.cells


def test_other_images_are_refused() -> None:
    """Results of different fingerprints, or with ids that differ under one, do not compare."""
    a = pair()
    info = a[0].benchmark.model_copy(update={"fingerprint": "cd" * 32, "name": "sample"})
    with pytest.raises(ResultError) as caught:
        compare(a, pair(benchmark=info))
    assert str(caught.value) == (
        f"different images or labels: vit_b_32 was scored on imagenet-hard (60 images, fingerprint "
        f"{FINGERPRINT[:12]}), vit_b_32 was scored on sample (60 images, fingerprint {'cd' * 6}); "
        "score both on the same revision of one data set"
    )
    renamed = replace(a[1], ids=tuple(f"x{each}" for each in a[1].ids))
    result = a[0].model_copy(update={"predictions_sha256": predictions_sha256(renamed)})
    with pytest.raises(ResultError, match="different ids under one fingerprint"):
        compare(a, (result, renamed))


def test_predictions_of_another_result_are_refused() -> None:
    """A pair that does not belong together is no input."""
    with pytest.raises(ResultError, match="do not belong together"):
        compare((pair()[0], pair(seed=1)[1]), pair())
