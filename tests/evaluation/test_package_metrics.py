"""Metrics of installed packages: the example of docs/extending.md, and functions that fail."""

from __future__ import annotations

import csv
import io
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imagenet_hard
from imagenet_hard.base.errors import MetricError, ResultError, UsageError
from imagenet_hard.base.types import Predictions
from imagenet_hard.cli.main import group, run
from imagenet_hard.dataset.benchmark import Benchmark, Source, StreamingBenchmark
from imagenet_hard.evaluation.package_metrics import find_metrics, measure
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.run import evaluate_all
from tests.base.packages import code_blocks, install
from tests.engine.small import classifier

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def documented(site: Path) -> None:
    """The package of the documentation, installed."""
    blocks = code_blocks(PAGE, "A metric")
    assert len([line for line in blocks["python"].splitlines() if line]) <= 20
    points = tomllib.loads(blocks["toml"])["project"]["entry-points"]["imagenet_hard.metrics"]
    lines = "\n".join(f"{name} = {place}" for name, place in points.items())
    install(site, "class-metrics", {"class_metrics": blocks["python"]}, lines, group="metrics")


def broken(site: Path, body: str, *names: str) -> None:
    """A package with the metrics ``names``, the lines ``body`` of each function."""
    code = "import numpy as np\nfrom pathlib import Path\n" + "".join(
        f"def {n}(predictions, labels):\n    {body}\n" for n in names
    )
    points = "\n".join(f"{name} = broken:{name}" for name in names)
    install(site, "broken-metrics", {"broken": code}, points, group="metrics", version="0.3")


def expected(result: Result, predictions: Predictions) -> dict[str, Any]:
    """What the documented metrics should say, from the standard ones."""
    classes = result.metrics.per_class
    shares = [k / n for k, n in zip(classes.n_correct, classes.n_total, strict=True) if n]
    low = sum(math.exp(row[0]) < 0.5 for row in predictions.logprob5.tolist())
    return {
        "evenness": {"mean": pytest.approx(sum(shares) / len(shares)), "worst": min(shares)},
        "unsure": low / len(predictions),
    }


@pytest.mark.usefixtures("small_networks")
def test_the_documented_metrics_run_by_the_command(
    documented: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One with the scoring, the other on the finished result; nothing else of it changes."""
    base = ["eval", "-m", "efficientnet_lite0", "-d", "sample", "--limit", "8", "--device", "cpu", "-q"]
    base += ["-o", str(tmp_path / "out")]
    assert run(group, [*base, "--json", "--metric", "evenness"], "imagenet-hard") == 0
    (first,) = json.loads(capsys.readouterr().out)
    assert list(first["package_metrics"]) == ["evenness"]
    both = ["--metric", "unsure", "--metric", "evenness"]
    assert run(group, [*base, "--json", *both], "imagenet-hard") == 0
    assert "efficientnet_lite0 on sample is finished" in caplog.text
    (second,) = json.loads(capsys.readouterr().out)
    (path,) = (tmp_path / "out").rglob("*.json")
    result, predictions = imagenet_hard.read_result(path)
    assert second == result.model_dump(mode="json")
    right = expected(result, predictions)
    assert 0 < right["unsure"] < 1
    assert {name: each["values"] for name, each in second["package_metrics"].items()} == right
    assert {each["package"] for each in second["package_metrics"].values()} == {"class-metrics 1.2"}
    assert {**first, "package_metrics": None} == {**second, "package_metrics": None}

    assert run(group, [*base, "--format", "csv"], "imagenet-hard") == 0  # not asked for, and kept
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(row["unsure (class-metrics 1.2)"]) == right["unsure"]
    assert run(group, [*base, "--format", "markdown"], "imagenet-hard") == 0
    header, _, shown = capsys.readouterr().out.splitlines()
    titles, cells = ([cell.strip() for cell in line.split(" | ")] for line in (header, shown))
    assert f"{right['unsure']:.6g}" == cells[titles.index("unsure (class-metrics 1.2)")]
    mean = result.package_metrics["evenness"].values["mean"]  # type: ignore[index]
    assert f"{mean:.6g}" == cells[titles.index("evenness mean (class-metrics 1.2)")]


def test_what_is_unknown_ends_before_anything_is_read(
    documented: None, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names, what is no function, and what cannot be imported."""
    args = ["eval", "-m", "efficientnet_lite0", "-d", "no/such/folder", "--metric"]
    assert run(group, [*args, "evenes"], "imagenet-hard") == 2
    assert "unknown metric 'evenes': expected evenness, unsure" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"'top1' \(that one is in every result\)"):
        find_metrics(["top1"])
    with pytest.raises(UsageError, match=r"metrics is 'unsure': expected a list of names, \['unsure'\]"):
        next(evaluate_all([classifier()], "sample", metrics="unsure"))
    (site / "broken.py").write_text("seven = 7\n")
    points = "seven = broken:seven\nbad name = broken:seven\nnone = broken:none"
    install(site, "broken-metrics", {}, points, group="metrics", version="0.3")
    for name, message in (
        ("seven", "'seven' of the installed package broken-metrics 0.3 is a int: expected a function"),
        ("bad name", "'bad name' of the installed package broken-metrics 0.3: expected a name of letters"),
        ("none", "'none' of the installed package broken-metrics 0.3 cannot be loaded"),
    ):
        with pytest.raises(UsageError, match=message):
            find_metrics([name])


def test_no_package_brings_one() -> None:
    with pytest.raises(UsageError, match="unknown metric 'x': no installed package brings one"):
        find_metrics(["x"])
    assert not find_metrics([])


def test_a_name_of_a_standard_metric_is_taken(site: Path) -> None:
    broken(site, "return 1", "top5")
    with pytest.raises(
        UsageError, match="'top5' of .* broken-metrics 0.3 is a name that imagenet-hard itself"
    ):
        find_metrics(["top5"])


N = 12


@pytest.fixture
def data() -> Benchmark:
    """Twelve images, the first with two labels; their ids are not in the order of the scored ones."""
    from tests.engine.small import jpeg

    images, ids = [jpeg(i) for i in range(N)], [f"{N - i:02}.jpg" for i in range(N)]
    labels = [(0, 5), *((i % 7,) for i in range(1, N))]
    return Benchmark(Source("memory", "folder"), ids, labels, [""] * N, images.__getitem__)


def evaluate(data: Benchmark, out: Path | None = None, *metrics: str) -> Result:
    return imagenet_hard.evaluate(classifier(), data, device="cpu", out=out, metrics=metrics)


def test_what_fails_after_the_scoring_keeps_the_result(site: Path, data: Benchmark, tmp_path: Path) -> None:
    """Written without it and with the other; asked again, an old value does not stay."""
    broken(site, "return int(Path(__file__).with_name('fine').read_text())", "fragile")
    install(site, "fine-metrics", {"fine": "def fine(p, labels): return len(p)"}, "fine = fine:fine",
            group="metrics")  # fmt: skip
    out = tmp_path / "out"
    with pytest.raises(
        MetricError,
        match="scored, but a metric failed: 'fragile' of the package broken-metrics 0.3: FileNotF",
    ) as caught:
        evaluate(data, out, "fragile", "fine")
    (path,) = out.rglob("*.json")
    assert str(caught.value).endswith(f"The result is kept without it in {path}")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert not list(out.rglob(".*"))  # nothing is left to do
    kept, _ = imagenet_hard.read_result(path)
    assert caught.value.result == kept
    assert {name: each.values for name, each in kept.package_metrics.items()} == {"fine": N}

    (site / "fine").write_text("2")
    good = evaluate(data, out, "fragile")
    assert {name: each.values for name, each in good.package_metrics.items()} == {"fine": N, "fragile": 2}
    assert imagenet_hard.read_result(path)[0] == good
    plain = evaluate(data, tmp_path / "plain")
    assert (good.run_key, good.metrics) == (plain.run_key, plain.metrics)
    assert "package_metrics" not in plain.model_dump(mode="json")
    stamp = path.stat().st_mtime_ns
    assert evaluate(data, out, "fragile") == evaluate(data, out) == good
    assert path.stat().st_mtime_ns == stamp  # nothing was new

    (site / "fine").unlink()
    with pytest.raises(MetricError):
        evaluate(data, out, "fragile")
    assert set(imagenet_hard.read_result(path)[0].package_metrics) == {"fine"}


def test_in_memory_the_error_has_the_result(site: Path, data: Benchmark) -> None:
    broken(site, "raise SystemExit(3)", "ends")
    with pytest.raises(
        MetricError, match="SystemExit: 3. The result is kept .* as this error's `result`"
    ) as e:
        evaluate(data, None, "ends")
    assert e.value.result.metrics.n_total == N


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return float('nan')", "ValueError: it is nan: expected a finite number"),
        ("return {'a': 1, 'b': np.inf}", "ValueError: b is inf: expected a finite number"),
        ("return 10**400", "OverflowError"),
        ("return None", "TypeError: it is a NoneType: expected a number, or numbers by name"),
        ("return True", "TypeError: it is a bool"),
        ("return '0.5'", "TypeError: it is a str"),
        ("return np.zeros(3)", "TypeError: it is a ndarray"),
        ("return {}", "ValueError: it gave 0 numbers: expected 1 to 100"),
        ("return {str(i): i for i in range(101)}", "ValueError: it gave 101 numbers"),
        ("return {7: 1.0}", "ValueError: it gave a number for 7: expected a name of letters"),
        (r"return {'a\x1b[31m': 1.0}", "ValueError: it gave a number for .*expected a name"),
        (
            "predictions.top5[0, 0] = labels[0][0]; return 1",
            "ValueError: assignment destination is read-only",
        ),
        ("predictions.margin.sort(); return 1", "ValueError: .*read-only"),
    ],
)
def test_what_is_no_number_is_refused(site: Path, data: Benchmark, body: str, message: str) -> None:
    broken(site, body, "odd")
    with pytest.raises(MetricError, match=f"'odd' of the package broken-metrics 0.3: {message}"):
        evaluate(data, None, "odd")


def test_numbers_of_numpy_and_whole_ones_are_numbers(site: Path) -> None:
    """As Python's floats, to the last bit."""
    broken(
        site,
        "return {'f32': np.float32(0.1), 'i64': np.int64(7), 'int': 3, 'zero': np.array(0.5)[()]}",
        "odd",
    )
    empty = np.zeros((1, 5), np.float32)
    predictions = Predictions(("a",), empty.astype(np.int16), empty, empty[:, 0])
    values, failed = measure(find_metrics(["odd"]), predictions, ((0,),))
    assert not failed
    assert values["odd"].values == {"f32": float(np.float32(0.1)), "i64": 7.0, "int": 3.0, "zero": 0.5}
    assert {type(each) for each in values["odd"].named("odd").values()} == {float}


ROWS = (
    "top1 = predictions.top5[:, 0].tolist()\n"
    "    return {i: 1000 * top + sum(each) for i, top, each in zip(predictions.ids, top1, labels)}"
)


def streamed(data: Benchmark, first: tuple[int, ...] | None = None) -> StreamingBenchmark:
    """``data`` as a stream; ``first``: other labels of its first image."""
    from dataclasses import replace

    def stream() -> Any:
        for i, example in enumerate(data):
            changed = example if i or first is None else replace(example, labels=first)
            yield example.id, lambda example=changed: example

    return StreamingBenchmark(data.about, stream, size=N)


@pytest.mark.parametrize("kind", [lambda data: data, streamed])
def test_rows_belong_to_their_ids(site: Path, data: Benchmark, tmp_path: Path, kind: Any) -> None:
    """While it is scored and when it is finished, of a stream too."""
    broken(site, ROWS, "rows")
    at_once = evaluate(kind(data), tmp_path / "a", "rows").package_metrics
    evaluate(kind(data), tmp_path / "b")
    later = evaluate(kind(data), tmp_path / "b", "rows")
    assert later.package_metrics == at_once
    (path,) = (tmp_path / "b").rglob("*.json")
    _, predictions = imagenet_hard.read_result(path)
    top1 = dict(zip(predictions.ids, predictions.top5[:, 0].tolist(), strict=True))
    assert at_once["rows"].values == {
        example.id: 1000 * top1[example.id] + sum(example.labels) for example in data
    }


def test_other_labels_than_those_scored_are_refused(site: Path, data: Benchmark, tmp_path: Path) -> None:
    """A stream has no identity of its labels: what it gives now must fit what was counted then."""
    broken(site, ROWS, "rows")
    first = evaluate(streamed(data), tmp_path)
    (path,) = tmp_path.rglob("*.json")
    best = int(imagenet_hard.read_result(path)[1].top5[-1, 0])  # of the id that comes last when sorted
    other = (best,) if not first.metrics.correct()[-1] else ((best + 1) % 1000,)
    with pytest.raises(ResultError, match="the labels of memory are others than those that the finished"):
        evaluate(streamed(data, other), tmp_path, "rows")
