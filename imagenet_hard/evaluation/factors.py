"""Top-1 of a result by factor, as a table of factors says (``factor_tables.py``), and by superclass.

ImageNet-X's error ratio of a factor is the share of wrong answers among the images with it, divided by that
among all images of the table (Idrissi et al. 2022, arXiv 2211.01866).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.tables import Table, spreadsheet_csv
from imagenet_hard.base.text import counted, pct, span
from imagenet_hard.base.types import ModelSpec, Record
from imagenet_hard.evaluation.factor_tables import Factors
from imagenet_hard.evaluation.intervals import ratio_bootstrap
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import read_result


class FactorRate(Record):
    """``top1`` of the images with a factor; ``error_ratio``: their share of wrong answers, divided by that of
    all images of the table, with a 95 % bootstrap over these; null where no answer is wrong."""

    top1: Rate
    error_ratio: Annotated[float, Field(ge=0)] | None
    low: Annotated[float, Field(ge=0)] | None
    high: Annotated[float, Field(ge=0)] | None


class ByFactor(Record):
    """A result by factor. ``top1``: on the images that the table has; ``n``: images of the result."""

    model: ModelSpec
    benchmark: str
    fingerprint: str
    n: int
    top1: Rate | None = None
    factors: dict[str, FactorRate] = Field(default_factory=dict)
    absent: tuple[str, ...] = Field((), description="factors that none of these images has")
    superclasses: dict[str, Rate] = Field(description="top-1 on the images with a label in each of WordNet's")


def by_factor(
    path: str | Path, factors: Factors | None = None, *, sha256: Mapping[str, str] | None = None
) -> ByFactor:
    """Top-1 of a result (``.json``, its predictions beside it) by factor and by superclass.

    Raises:
        ResultError: it cannot be read, or the table has none of its images.
        UsageError: it is an estimate.
    """
    result, predictions = read_result(path)
    if result.estimate:
        raise UsageError(
            f"{path} is an estimate: its images are not in proportion, so no part of them counts"
        )
    about: dict[str, Any] = {
        "model": result.model,
        "benchmark": result.benchmark.name,
        "fingerprint": result.benchmark.fingerprint,
        "n": len(predictions.ids),
        "superclasses": result.metrics.per_superclass,
    }
    if factors is None:
        return ByFactor(**about)
    rows = factors.found(predictions.ids, sha256 or {})
    known = rows >= 0
    correct, present = result.metrics.correct()[known], factors.present[rows[known]]
    return ByFactor(
        **about,
        top1=Rate.of(int(correct.sum()), len(correct)),
        factors={
            name: _rate(correct, present[:, i]) for i, name in enumerate(factors.names) if present[:, i].any()
        },
        absent=tuple(name for i, name in enumerate(factors.names) if not present[:, i].any()),
    )


def _rate(correct: NDArray[np.bool_], inside: NDArray[np.bool_]) -> FactorRate:
    right, n = int((correct & inside).sum()), int(inside.sum())
    wrong, all_wrong = n - right, int((~correct).sum())
    if not all_wrong:
        return FactorRate(top1=Rate.of(right, n), error_ratio=None, low=None, high=None)
    low, high = ratio_bootstrap(wrong, n, all_wrong, len(correct))
    ratio = (wrong / n) / (all_wrong / len(correct))
    return FactorRate(top1=Rate.of(right, n), error_ratio=ratio, low=low, high=high)


def factor_table(found: ByFactor) -> Table:
    """One row a factor, the largest error ratio first, then one a superclass, the lowest top-1 first."""
    rows = [("all images of the table", *_cells(found.top1), "")] if found.top1 else []
    rows += [
        (name, *_cells(each.top1), "" if each.error_ratio is None else _ratio(each))
        for name, each in sorted(found.factors.items(), key=lambda item: -(item[1].error_ratio or 0))
    ]
    rows += [(name, "0", "", "", "") for name in found.absent]
    by_share = sorted(found.superclasses.items(), key=lambda item: item[1].accuracy)
    rows += [(f"superclass {name}", *_cells(rate), "") for name, rate in by_share]
    annotated = f", {found.top1.n_total:,} of them in the table" if found.top1 else ""
    title = f"{found.model.key} on {found.benchmark}: {counted(found.n, 'image')}{annotated}"
    return Table(["", "images", "top-1 %", "interval", "error ratio"], rows, "lrrrr", title)


def _cells(rate: Rate) -> tuple[str, str, str]:
    return f"{rate.n_total:,}", pct(rate.accuracy), span(rate)


def _ratio(each: FactorRate) -> str:
    return f"{each.error_ratio:.2f} ({each.low:.2f} to {each.high:.2f})"


def factors_csv(found: Sequence[ByFactor]) -> str:
    """One line a result and factor or superclass; shares in [0, 1]."""
    header = (
        "model",
        "benchmark",
        "fingerprint",
        "kind",
        "name",
        "n_correct",
        "n_total",
        "top1",
        "low",
        "high",
    )
    rows = []
    for each in found:
        about = (each.model.key, each.benchmark, each.fingerprint)
        if each.top1:
            rows.append([*about, "all", "", *_numbers(each.top1), None, None, None])
        rows += [
            [*about, "factor", name, *_numbers(f.top1), f.error_ratio, f.low, f.high]
            for name, f in each.factors.items()
        ]
        rows += [
            [*about, "superclass", name, *_numbers(rate), None, None, None]
            for name, rate in each.superclasses.items()
        ]
    return spreadsheet_csv((*header, "error_ratio", "ratio_low", "ratio_high"), rows)


def _numbers(rate: Rate) -> tuple[float, ...]:
    return rate.n_correct, rate.n_total, rate.accuracy, rate.low, rate.high
