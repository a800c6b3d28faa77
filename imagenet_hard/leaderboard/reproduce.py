"""Published figures, measured again: does what is measured lie within what can be explained?

Two things explain a difference. A figure is printed to hundredths of a percent, some rounded and some cut off
(1,820 of 10,980 is 16.5756 %, and the paper prints 16.57), so the printed one is less than a hundredth away
from the true one. And near-ties may fall otherwise on other hardware: of the images whose best two logits are
closer than ``epsilon`` (``evaluation.metrics``), those that could become wrong are taken from the images that
are right, and those that could become right are added. So, with c the number of right images of n,

    100 (c - could become wrong) / n - 0.01  <  published  <  100 (c + could become right) / n + 0.01

Anything beyond has another reason: other weights, images, labels, transform, decoder, or a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import load_record
from imagenet_hard.base.tables import Table
from imagenet_hard.base.text import counted
from imagenet_hard.base.types import Predictions, Record
from imagenet_hard.evaluation.metrics import NEAR_TIE_EPSILON, hits
from imagenet_hard.evaluation.result import Result, result_stem
from imagenet_hard.evaluation.resume import find
from imagenet_hard.evaluation.suite import Suite, SuiteModel
from imagenet_hard.leaderboard.published import (
    FOLDER,
    PublishedRow,
    PublishedTable,
    load_published,
    published_on,
)

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark

PRINTED = 0.01
"""Percent: a figure that is printed to hundredths is less than this away from the true one."""


@dataclass(frozen=True)
class Figure:
    """What is to be reproduced: a row of a published table, and the model that it is of."""

    model: SuiteModel
    row: PublishedRow
    table: PublishedTable


class Reproduction(Record):
    """A published figure beside what was measured; accuracies are top-1 in percent."""

    model: str = Field(description="as the suite names it")
    table: str = Field(description="the published table, by name")
    row: str = Field(description="the model as that table names it")
    benchmark: str
    fingerprint: str
    published: float = Field(description="percent, as printed")
    measured: float = Field(description="percent: 100 n_correct / n_total")
    difference: float = Field(description="measured - published, in points")
    n_correct: int
    n_total: int
    fewest: int = Field(description="right images if near-ties fall as badly as they can")
    most: int = Field(description="right images if they fall as well as they can")
    epsilon: float | None = Field(description="logits: a smaller margin is a near-tie; None for words")
    within: bool = Field(description="near-ties and the printed digits explain the difference")


def figures_of(
    suite: Suite, benchmark: Benchmark, tables: str | Path | None = None, only: Sequence[str] = ()
) -> list[Figure]:
    """The models of a suite that have a published figure on a benchmark, in the suite's order.

    ``tables``: a published table by name or file; by default all those that ``leaderboard/published`` has of
    the benchmark's name and number of images. ``only``: models, as the suite or the table names them.

    Raises:
        UsageError: there is no figure, figures of another number of images, a row that two models fit, or
            a name in ``only`` that nothing has.
    """
    found = []
    known = _tables(benchmark, tables)
    for model in suite.models:
        if match := next(((row, table) for table in known if (row := _row(model, table))), None):
            found.append(Figure(model, *match))
    for one in found:
        if twice := [each.model.model for each in found if each.row is one.row][1:]:
            raise UsageError(
                f"{one.row.name} of {one.table.name} could be {one.model.model} and {twice[0]} of suite "
                f"{suite.name}: give the row a tag, or one of the models a `published_as` of its own"
            )
    if not found:
        raise UsageError(
            f"no model of suite {suite.name} has a figure in {', '.join(each.name for each in known)}: a row "
            "is found by the model's name, or by its `published_as` in the suite"
        )
    names = [{*_names(each.model), each.model.model, each.row.model, each.row.name} for each in found]
    if unknown := [name for name in only if not any(name in each for each in names)]:
        raise UsageError(
            f"--only {unknown[0]}: no such figure on {benchmark.name}; there are "
            f"{', '.join(each.row.name for each in found)}"
        )
    return [each for each, mine in zip(found, names, strict=True) if not only or mine & set(only)]


def reproduce(
    figures: Sequence[Figure],
    benchmark: Benchmark,
    out: Path,
    *,
    on_progress: Callable[[Any], Any] = lambda model: None,
    **options: Any,
) -> Iterator[tuple[Figure, Reproduction | Exception]]:
    """Measure each figure again, as ``evaluate_all`` does; results lie in ``out`` and are resumed from there.

    Raises:
        UsageError, DatasetError: before anything is scored.
    """
    from imagenet_hard.evaluation.run import evaluate_all

    by_model = {id(figure.model): figure for figure in figures}
    models = [figure.model for figure in figures]
    for model, found in evaluate_all(models, benchmark, on_progress=on_progress, out=out, **options):
        figure = by_model[id(model)]
        yield (
            figure,
            found if isinstance(found, Exception) else compare_with(figure, found, benchmark, out),
        )


def compare_with(figure: Figure, result: Result, benchmark: Benchmark, out: Path) -> Reproduction:
    """A result in ``out`` beside a published figure."""
    top1, epsilon = result.metrics.top1, _epsilon(figure, result)
    fewest = most = top1.n_correct
    if epsilon is not None:
        predictions = _predictions(result, benchmark, out)
        labels = dict(zip(benchmark.ids, benchmark.labels, strict=True))
        fewest, most = if_ties_fall(predictions, [labels[each] for each in predictions.ids], epsilon)
    published, measured = figure.row.top1, 100 * top1.accuracy
    return Reproduction(
        model=figure.model.model,
        table=figure.table.name,
        row=figure.row.name,
        benchmark=result.benchmark.name,
        fingerprint=result.benchmark.fingerprint,
        published=published,
        measured=measured,
        difference=measured - published,
        n_correct=top1.n_correct,
        n_total=top1.n_total,
        fewest=fewest,
        most=most,
        epsilon=epsilon,
        within=explained(published, fewest, most, top1.n_total),
    )


def explained(published: float, fewest: int, most: int, n: int) -> bool:
    """Whether a figure in percent may be that of ``fewest`` to ``most`` right images of ``n``.

    >>> explained(16.57, 1820, 1820, 10_980), explained(16.55, 1820, 1820, 10_980)
    (True, False)
    """
    apart = max(100 * fewest / n - published, published - 100 * most / n)
    return round(apart, 9) < PRINTED  # a whole hundredth is no rounding, whatever the last bits say


def if_ties_fall(
    predictions: Predictions, labels: Sequence[Sequence[int]], epsilon: float
) -> tuple[int, int]:
    """How many images are right at the least and at the most, if near-ties may fall either way.

    Any of the five best classes whose logit is less than ``epsilon`` below the best may turn out first.
    """
    right = hits(predictions.top5, labels)
    # Logits differ as their log-softmax does.
    first = predictions.logprob5[:, :1] - predictions.logprob5 < epsilon
    return int((right | ~first).all(axis=1).sum()), int((right & first).any(axis=1).sum())


def reproduction_table(found: Sequence[Reproduction]) -> Table:
    """One row a figure, in percent."""
    several = len({each.benchmark for each in found}) > 1
    header = [*["data set"] * several, "model", "published as", "published", "measured", "difference"]
    header += ["near-ties leave", "within"]
    rows = [
        [
            *[each.benchmark] * several,
            each.model,
            f"{each.row} ({each.table})",
            f"{each.published:.2f}",
            f"{each.measured:.2f}",
            f"{each.difference:+.2f}",
            f"{100 * each.fewest / each.n_total:.2f} to {100 * each.most / each.n_total:.2f}",
            "yes" if each.within else "NO",
        ]
        for each in found
    ]
    return Table(header, rows, "l" * (2 + several) + "rrrrl", caption="top-1 %")


def _tables(benchmark: Benchmark, name: str | Path | None) -> list[PublishedTable]:
    n = len(benchmark)
    if name is not None:
        table = load_record(PublishedTable, name, FOLDER)
        if table.release.n not in (None, n):
            raise UsageError(
                f"{table.name} has figures of {table.release.n:,} images, and {benchmark.name} has {n:,}: "
                "figures of other images cannot be reproduced on these"
            )
        return [table]
    named = published_on(benchmark.name, n, load_published())
    if found := [table for table in named if table.release.n == n]:
        return found
    there = ", ".join(f"{t.name} ({t.release.n:,} images)" for t in named if t.release.n)
    raise UsageError(
        f"there are no published figures of {benchmark.name} with {counted(n, 'image')}"
        + (f", only {there}" if there else "")
        + ": give a table with --figures (leaderboard/published/README.md says what it holds)"
    )


def _names(model: SuiteModel) -> set[str]:
    """What a table may call a model."""
    return {model.published_as} if model.published_as else {model.model, model.model.rpartition(":")[2]}


def _row(model: SuiteModel, table: PublishedTable) -> PublishedRow | None:
    """The row of a model; one with its tag before one without a tag."""
    tag = model.pretrained or model.weights or ""
    rows = {row.tag: row for row in table.rows if row.model in _names(model)}
    return rows.get(tag) or rows.get("")


def _epsilon(figure: Figure, result: Result) -> float | None:
    """The margin of a near-tie: of this run, or of the published one where its arithmetic was coarser."""
    ties = result.metrics.near_ties
    return None if ties is None else max(ties.epsilon, NEAR_TIE_EPSILON[figure.row.precision])


def _predictions(result: Result, benchmark: Benchmark, out: Path) -> Predictions:
    protocol = result.protocol
    assert protocol.precision is not None  # what answers in words has no near-ties
    stem = result_stem(
        *(result.model, protocol.precision, protocol.transform, protocol.tta),
        classes=protocol.classes,
        drop_class=protocol.drop_class,
    )
    _, found = find(out, benchmark, stem, result.run_key or "")
    assert found is not None  # it was written a moment ago
    return found[1]
