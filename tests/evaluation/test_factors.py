"""Top-1 by factor and by superclass, against counts made one image at a time."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.main import group
from imagenet_hard.evaluation.factor_tables import read_factors
from imagenet_hard.evaluation.factors import by_factor, factor_table
from imagenet_hard.evaluation.intervals import ratio_bootstrap
from imagenet_hard.evaluation.result import write_result
from imagenet_hard.imagenet.superclasses import superclass_of
from tests.evaluation.scored import make_result, make_scored


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A result of 120 images, and a table that has two of three of them; (path, scored, factors by id)."""
    folder = tmp_path_factory.mktemp("factors")
    scored, _ = make_scored(120)
    path = write_result(folder, make_result(scored), scored.predictions, stem="result")
    rng = np.random.default_rng(0)
    known = {
        id: rng.integers(0, 2, 2).tolist()
        for id in scored.predictions.ids[::3] + scored.predictions.ids[1::3]
    }
    table = folder / "factors.csv"
    table.write_text("id,pose,night\n" + "".join(f"{id},{a},{b}\n" for id, (a, b) in known.items()))
    return path, scored, known, table


def right_of(scored):
    answers = zip(scored.predictions.ids, scored.predictions.top5[:, 0], scored.labels, strict=True)
    return {id: int(best) in labels for id, best, labels in answers}


def test_by_factor(made):
    """Counts, Wilson's interval and ImageNet-X's ratio, over the images that the table has."""
    path, scored, known, table = made
    right = right_of(scored)
    found = by_factor(path, read_factors(table))
    assert (found.n, found.top1.n_total) == (120, len(known))
    assert found.top1.n_correct == sum(right[id] for id in known)
    for i, name in enumerate(("pose", "night")):
        inside = [right[id] for id, flags in known.items() if flags[i]]
        got = found.factors[name]
        assert (got.top1.n_correct, got.top1.n_total) == (sum(inside), len(inside))
        wilson = proportion_confint(sum(inside), len(inside), method="wilson")
        assert (got.top1.low, got.top1.high) == pytest.approx(wilson)
        accuracy, average = np.mean(inside), np.mean([right[id] for id in known])
        assert got.error_ratio == pytest.approx((1 - accuracy) / (1 - average))
        assert got.low <= got.error_ratio <= got.high


def test_by_superclass(made):
    """In the result itself, where no table is given."""
    path, scored, _, _ = made
    right = right_of(scored)
    found = by_factor(path)
    assert found.top1 is None
    assert not found.factors
    of = superclass_of()
    for name, rate in found.superclasses.items():
        rows = zip(scored.predictions.ids, scored.labels, strict=True)
        inside = [right[id] for id, labels in rows if name in {of[label] for label in labels}]
        assert (rate.n_correct, rate.n_total) == (sum(inside), len(inside))
    assert {of[label] for labels in scored.labels for label in labels} == set(found.superclasses)


def test_ratio_by_resampling_images():
    """Against a bootstrap that draws the images themselves."""
    rng = np.random.default_rng(0)
    wrong, inside = rng.random(400) < 0.3, rng.random(400) < 0.25
    wrong |= inside & (rng.random(400) < 0.3)
    low, high = ratio_bootstrap(int((wrong & inside).sum()), int(inside.sum()), int(wrong.sum()), 400)
    draws = rng.integers(0, 400, (20_000, 400))
    share = (wrong & inside)[draws].sum(axis=1) / inside[draws].sum(axis=1)
    ratios = share / wrong[draws].mean(axis=1)
    assert (low, high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.03)
    with pytest.raises(UsageError, match="no ratio of 3 of 2"):
        ratio_bootstrap(3, 2, 5, 10)


def test_the_command_prints_table_json_and_csv(made, capsys):
    """The same numbers in each."""
    path, _, known, table = made
    found = by_factor(path, read_factors(table))
    for form in ((), ("--json",), ("--csv",)):
        group.main(["factors", str(path), "--factors", str(table), *form], standalone_mode=False)
        out = capsys.readouterr().out
        if form == ("--json",):
            assert json.loads(out) == [found.model_dump(mode="json")]
        elif form == ("--csv",):
            rows = {row["name"]: row for row in csv.DictReader(io.StringIO(out))}
            assert float(rows["pose"]["error_ratio"]) == found.factors["pose"].error_ratio
            assert int(rows[""]["n_total"]) == len(known)
        else:
            assert "error ratio" in out
            assert f"{found.factors['night'].error_ratio:.2f} (" in out
    first = factor_table(found).rows[0]
    assert first[0] == "all images of the table"


def test_options_that_do_not_go_together(made):
    path = str(made[0])
    for options, said in ((["--json", "--csv"], "one of them"), (["--hashes", "x"], "is for --factors")):
        with pytest.raises(Exception, match=said):
            group.main(["factors", path, *options], standalone_mode=False)
