"""Estimates end to end with a model whose answers are known: from drawing to record, look and comparison."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import imagenet_hard
from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.evaluation.difficulty import difficulties_of
from imagenet_hard.evaluation.draw import write_difficulties
from imagenet_hard.evaluation.sequential import compare_sequentially, plan_comparison
from imagenet_hard.evaluation.table import results_csv, results_table
from imagenet_hard.leaderboard.site.from_results import read_results
from imagenet_hard.leaderboard.submit import make_submission

torch = pytest.importorskip("torch")
N = 240


class Reads(torch.nn.Module):
    """Right where the image's brightness, which is its class, is in ``known``; else the class after it."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        answers = [level if level in known else level + 1 for level in range(256)]
        self.answers = torch.nn.Parameter(torch.eye(1000)[answers], requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return 9 * self.answers[(pixels[:, 0].mean(dim=(1, 2)) * 255).round().long()]


def pixels(image):
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255).permute(2, 0, 1)


def data(n: int = N) -> Benchmark:
    """Grey images: one of each class."""
    from PIL import Image

    def read(i: int) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (i, i, i)).save(out, "PNG")
        return out.getvalue()

    ids = [f"{i:03}.png" for i in range(n)]
    return Benchmark(Source("greys", "object"), ids, [(i,) for i in range(n)], [""] * n, read)


def score(known, out=None, **options):
    return imagenet_hard.evaluate(
        Reads(set(known)),
        data(),
        transform=pixels,
        device="cpu",
        workers=1,
        batch_size=16,
        out=out,
        **options,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results of four known models, each of which gets the first images right; their table."""
    folder = tmp_path_factory.mktemp("known")
    for upto in (40, 90, 150, 200):
        score(range(upto), folder / str(upto))
    files = sorted(folder.rglob("*.json"))
    assert len(files) == 4
    write_difficulties(folder / "table.difficulty", difficulties_of(files))
    return folder / "table.difficulty", files


def test_an_estimate_is_near_the_score_and_says_what_it_is(made, tmp_path):
    """120 of 240 images: the score of all is in the interval; the metrics count those that were drawn."""
    table, _ = made
    truth = score(range(120)).metrics.top1.accuracy
    result = score(range(120), tmp_path, estimate=120, difficulty=table)
    found = result.estimate
    assert (found.drawn, found.images, result.metrics.n_total, truth) == (120, N, 120, 0.5)
    assert found.low <= truth <= found.high
    assert abs(found.top1 - truth) < 0.04
    assert found.fingerprint == data().fingerprint()
    assert result.benchmark.selection.kind == "estimate"
    assert found.warning in result.protocol.warnings
    [path] = tmp_path.rglob("*.json")
    assert path.parent.name == "greys-estimate-120-seed-0"
    assert imagenet_hard.read_result(path)[0] == result
    assert score(range(120), tmp_path, estimate=120, difficulty=table) == result  # read, not done again


def test_an_estimate_is_no_score_where_scores_are_ranked(made, tmp_path):
    """Its own look in the table, and a reason from submit, compare and the page of results."""
    table, files = made
    result = score(range(120), tmp_path, estimate=24, difficulty=table)
    text = results_table([result]).markdown()
    assert f"about {100 * result.estimate.top1:.1f}" in text
    assert "24 of 240" in text
    assert "estimate" in text
    assert "1 warning" not in text
    lines = results_csv([result]).splitlines()
    assert lines[0].endswith(",estimate_of")
    assert lines[1].endswith(",240")
    assert f",{result.estimate.top1}," in lines[1]
    assert "estimate_of" not in results_csv([imagenet_hard.read_result(files[0])[0]])
    [path] = tmp_path.rglob("*.json")
    with pytest.raises(UsageError, match="is an estimate from 24 of 240 images .* never ranked as"):
        make_submission(path, tmp_path, name="x", org="y")
    with pytest.raises(ResultError, match="these are estimates: .* or give --sequential"):
        imagenet_hard.compare(path, path)
    with pytest.raises(ResultError, match="is an estimate, and estimates are never ranked"):
        read_results([path])
    with pytest.raises(ResultError, match="a plan is made of results on all images"):
        plan_comparison(path, path)
    with pytest.raises(UsageError, match="is a result on estimate-24-seed-0 alone: expected all images"):
        difficulties_of([path, path])
    dumped = result.model_dump()
    with pytest.raises(ValueError, match="estimate is from no images: benchmark.selection has drawn 24"):
        type(result)(**{**dumped, "estimate": None})


def test_until_it_is_narrow_enough_no_image_is_scored_twice(made, tmp_path, monkeypatch):
    """It stops before all images; an interrupted run goes on; a second run reads the result."""
    from imagenet_hard.engine import prepare

    table, _ = made
    asked = {"until": 12.0, "difficulty": table, "seed": 5}
    whole = score(range(150), **asked)
    assert whole.estimate.half_width <= 12
    assert whole.estimate.method == "confidence sequence"
    assert whole.estimate.low <= 150 / N <= whole.estimate.high
    assert 24 <= whole.estimate.drawn < N
    assert whole.runtime.n_scored == whole.estimate.drawn
    assert whole.benchmark.selection.until == 12

    class Stop(BaseException):
        pass

    def stop(n, resumed=0):
        seen.append(n)
        if sum(seen) > 60:
            raise Stop

    seen: list[int] = []
    with pytest.raises(Stop):
        score(range(150), tmp_path, on_progress=stop, **asked)
    again = score(range(150), tmp_path, **asked)
    assert again.runtime.n_resumed >= 48
    assert again.runtime.n_scored + again.runtime.n_resumed == again.estimate.drawn
    monkeypatch.setattr(prepare, "decode", None)  # nothing is scored any more
    assert again.estimate.half_width <= 12


def test_which_of_two_is_better_by_few_images(made, tmp_path):
    """Of results on all images, and of estimates of one seed; equal models are not told apart."""
    table, files = made
    by = {len(imagenet_hard.read_result(path)[0].metrics.correct().nonzero()[0]): path for path in files}
    found = compare_sequentially(by[200], by[40], difficulty=table)
    assert found.better == "a"
    assert found.images < N
    assert found.low > 0
    assert "A is better, by" in found.words
    other = compare_sequentially(by[40], by[200], difficulty=table)
    assert (other.better, other.images) == ("b", found.images)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))
    same = compare_sequentially(by[90], by[90], difficulty=table)
    assert (same.better, same.images) == (None, N)
    assert "Not decided by 240 of 240 images" in same.words

    for upto in (40, 200):
        score(range(upto), tmp_path / str(upto), estimate=180, seed=2, difficulty=table)
    one, two = (next((tmp_path / str(upto)).rglob("*.json")) for upto in (40, 200))
    part = compare_sequentially(one, two, difficulty=table, seed=2)
    assert part.better == "b"
    assert part == compare_sequentially(by[40], by[200], difficulty=table, seed=2)
    score(range(90), tmp_path / "few", estimate=24, seed=2, difficulty=table)
    few = next((tmp_path / "few").rglob("*.json"))
    with pytest.raises(ResultError, match="no images of the draw of seed 77 in common"):
        compare_sequentially(few, one, seed=77, difficulty=table)
    with pytest.raises(UsageError, match="no difficulties are known for greys"):
        compare_sequentially(one, two)


def test_how_many_images_a_comparison_takes(made):
    """Fewer if they are drawn by difficulty; fewer for a greater difference."""
    table, files = made
    by = {imagenet_hard.read_result(path)[0].metrics.n_correct: path for path in files}
    near = plan_comparison(by[200], by[150], difficulty=table)
    far = plan_comparison(by[200], by[40], difficulty=table)
    assert near.difference == pytest.approx(50 / N)
    assert far.random < near.random < N
    assert near.stratified < near.random
    assert plan_comparison(by[90], by[90]).random is None


def test_results_that_make_no_table(made, tmp_path):
    """One alone, one twice, and results on other images."""
    _, files = made
    with pytest.raises(UsageError, match="1 results: expected those of 2 known models or more"):
        difficulties_of(files[:1])
    with pytest.raises(UsageError, match="are one result: each model counts once"):
        difficulties_of([files[0], files[0]])
    other = imagenet_hard.evaluate(
        Reads({1}), data(100), transform=pixels, device="cpu", workers=1, batch_size=16, out=tmp_path
    )
    assert other.metrics.n_total == 100
    with pytest.raises(ResultError, match=r"is a result on greys \(.*: expected results on one benchmark"):
        difficulties_of([files[0], next(Path(tmp_path).rglob("*.json"))])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": 100, "limit": 5}, "estimate and limit: each chooses images in its own way"),
        ({"estimate": 100, "until": 2.0}, "estimate and until: each"),
        ({"difficulty": "x.json"}, "difficulty: it is for an estimate, and none is asked for"),
        ({"estimate": 100}, "no difficulties are known for greys"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UsageError, match=message):
        score(range(9), **options)
