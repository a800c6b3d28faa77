"""Which images an estimate looks at, and what is refused."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.evaluation.draw import (
    Difficulties,
    difficulties,
    draw_for_estimate,
    whole_draw,
    write_difficulties,
)
from imagenet_hard.evaluation.estimate import Estimate, estimate_of, next_rounds
from imagenet_hard.evaluation.estimation import STRATA


def benchmark(n: int = 200, name: str = "made-up") -> Benchmark:
    """Images whose bytes are their numbers."""
    ids = [f"image-{i}" for i in range(n)]
    return Benchmark(
        Source(name, "object"), ids, [(i % 1000,) for i in range(n)], [""] * n, lambda i: f"{i}".encode()
    )


def table_of(of: Benchmark, models: int = 6) -> Difficulties:
    """Made-up models, which all find the same images hard."""
    rng = np.random.default_rng(0)
    correct = rng.random((models, len(of))) < rng.beta(0.7, 0.7, len(of))
    names = [f"timm:model-{i}" for i in range(models)]
    return difficulties(correct, sorted(of.ids), names, benchmark=of.name, fingerprint=of.fingerprint())


@pytest.fixture
def file(tmp_path):
    """The table of the 200 images."""
    write_difficulties(tmp_path / "difficulty.json", table_of(benchmark()))
    return tmp_path / "difficulty.json"


def test_anybody_draws_the_same_images(file):
    """By the sha256 of seed and id, whatever the order of the benchmark; the images' hash is recorded."""
    found = draw_for_estimate(benchmark(), 60, 3, difficulty=file)
    assert len(found) == 60
    for ids in found.draw.order:
        keys = [hashlib.sha256(f"3:{id}".encode()).hexdigest() for id in ids]
        assert keys == sorted(keys)
        assert len(ids) == 5
    chosen = found.selection
    assert (chosen.kind, chosen.n, chosen.total, chosen.seed) == ("estimate", 60, 200, 3)
    assert chosen.difficulty_sha256 == table_of(benchmark()).sha256
    assert (
        chosen.ids_sha256 == hashlib.sha256("".join(f"{i}\n" for i in sorted(found.ids)).encode()).hexdigest()
    )
    assert found.part == "estimate-60-seed-3"
    example = found[7]
    assert example.image.decode() == example.id.removeprefix("image-")
    assert draw_for_estimate(benchmark(), 60, 4, difficulty=file).ids != found.ids


def test_a_smaller_draw_lies_in_a_larger_one(file):
    """So that what was scored for one counts for the next."""
    draws = [set(draw_for_estimate(benchmark(), n, difficulty=file).ids) for n in (24, 61, 120, 199)]
    assert all(a < b for a, b in pairwise(draws))


def test_strata_do_not_depend_on_the_seed():
    """Only which of their images come first does."""
    one, two = (whole_draw(table_of(benchmark()), seed) for seed in (0, 1))
    assert [set(ids) for ids in one.order] == [set(ids) for ids in two.order]
    assert one.order != two.order
    assert one.sizes.sum() == 200


def test_images_of_one_difficulty_are_drawn_independently_of_their_stratum():
    """With every image as hard as any other, strata are slices of a random order that is not the draw's."""
    ids = [f"{i:04}" for i in range(2400)]
    flat = Difficulties(
        benchmark="flat", fingerprint="0" * 64, models=("m",), ids=ids, difficulty=[0.5] * 2400
    )
    first = [ids[0] for ids in whole_draw(flat, seed=0).order]
    keys = [hashlib.sha256(f"0:{id}".encode()).hexdigest() for id in first]
    assert max(keys) < "10"  # each stratum has its own small ones: the least of 200


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (23, "an estimate from 23 images: expected 24 or more, two of each stratum"),
        (200, "an estimate from 200 images: made-up has 200. Give a smaller number, or"),
        (5000, "an estimate from 5,000 images: made-up has 200"),
    ],
)
def test_numbers_that_make_no_estimate(file, n, message):
    with pytest.raises(UsageError, match=message):
        draw_for_estimate(benchmark(), n, difficulty=file)


def test_a_table_is_for_one_benchmark(file, tmp_path):
    """Other ids, other images under the same ids, none at all, and a file that is no table."""
    with pytest.raises(UsageError, match=r"are of made-up \(200 images, .* has 150 images, and other ids"):
        draw_for_estimate(benchmark(150), 60, difficulty=file)
    other = benchmark()
    other._read = lambda i: b"another"
    with pytest.raises(UsageError, match="are for the fingerprint .* made-up has .*, other images or labels"):
        draw_for_estimate(other, 60, difficulty=file)
    with pytest.raises(UsageError, match="no difficulties are known for made-up .*give --difficulty FILE"):
        draw_for_estimate(benchmark(), 60)
    bad = tmp_path / "bad.json"
    bad.write_text('{"benchmark": "x"}')
    with pytest.raises(
        ResultError,
        match="bad.json: fingerprint: this key is missing.*: expected a table that .imagenet-hard difficulty",
    ):
        draw_for_estimate(benchmark(), 60, difficulty=bad)
    with pytest.raises(ResultError, match="not there"):
        draw_for_estimate(benchmark(), 60, difficulty=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficulty": [0.5]}, "1 difficulties for 200 ids"),
        ({"ids": ["b", "a"], "difficulty": [0, 1]}, "expected them sorted"),
        ({"difficulty": [1.5] * 200}, "less than or equal to 1"),
    ],
)
def test_tables_that_are_none(change, message):
    with pytest.raises(ValueError, match=message):
        Difficulties(**{**table_of(benchmark()).model_dump(), **change})


def test_other_things_that_are_refused(file):
    with pytest.raises(UsageError, match="made-up has 20 images, too few for an estimate"):
        draw_for_estimate(benchmark(20), 10, difficulty=file)
    with pytest.raises(UsageError, match="only first-100 is at hand"):
        draw_for_estimate(benchmark().take(100), 60, difficulty=file)
    for until in (0.0, 50.0):
        with pytest.raises(UsageError, match="expected a half-width in points"):
            draw_for_estimate(benchmark(), None, until=until, difficulty=file)


def test_an_estimate_weighs_each_stratum_by_its_images(file):
    """Against a loop, and it says what it needs; its record refuses figures that do not follow."""
    draw = draw_for_estimate(benchmark(), 60, difficulty=file).draw
    right = {id: int(id.removeprefix("image-")) % 3 == 0 for ids in draw.order for id in ids}
    found = estimate_of(draw, right)
    by_loop = sum(
        size / 200 * np.mean([right[id] for id in ids])
        for size, ids in zip(draw.sizes, draw.order, strict=True)
    )
    assert found.top1 == pytest.approx(by_loop)
    assert found.low < found.top1 < found.high
    assert (found.images, found.drawn, found.method, found.until) == (200, 60, "stratified", None)
    assert "number was fixed beforehand" in " ".join(found.assumptions)
    assert Estimate.model_validate_json(found.model_dump_json()) == found
    for change in ({"top1": 0.9}, {"low": 0.0}):
        with pytest.raises(ValueError, match="the strata give"):
            Estimate(**{**found.model_dump(), **change})


def test_drawing_until_it_is_narrow_enough(file):
    """Rounds of one image a stratum; all images in the end, where the estimate is the score."""
    whole = draw_for_estimate(benchmark(), None, until=10, difficulty=file)
    assert whole.part == "estimate-until-10-seed-0"
    assert len(whole) == 200
    right = {id: int(id.removeprefix("image-")) % 2 == 0 for id in whole.ids}
    rounds, widths = 4, []
    while True:
        part = whole.first(rounds)
        assert len(part) == sum(min(rounds, size) for size in whole.draw.sizes)
        found = estimate_of(part.draw, right)
        widths.append(found.half_width)
        if found.half_width <= 10:
            break
        assert next_rounds(found, rounds) > rounds
        rounds = next_rounds(found, rounds)
    assert widths[-1] < widths[0]
    assert found.method == "confidence sequence"
    assert found.low <= 0.5 <= found.high
    assert len(part) < 200
    done = estimate_of(whole.draw, right)
    assert (done.top1, done.low) == pytest.approx((0.5, 0.5))
    assert done.high == pytest.approx(0.5)
    assert len(done.strata) == STRATA
