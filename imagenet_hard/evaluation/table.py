"""Results and comparisons as tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from imagenet_hard.base.tables import Table, spreadsheet_csv
from imagenet_hard.base.types import BenchmarkInfo, ModelSpec
from imagenet_hard.evaluation.compare import Cells, Comparison, Side
from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import Result

CURATED_BY = re.compile(r"^ViT-L-14(-336)?(-quickgelu)?$")
"""OpenAI's CLIP ViT-L/14 picked the images that it gets wrong itself (paper, ImageNet-Hard)."""


def used_in_curation(model: ModelSpec, benchmark: BenchmarkInfo) -> bool:
    """Whether the benchmark was made of this model's own failures, which biases its score low."""
    family = model.backend == "open_clip" and model.tag == "openai" and CURATED_BY.match(model.name)
    return bool(family) and benchmark.name.lower().rpartition("/")[2].startswith("imagenet-hard")


def results_table(results: Sequence[Result]) -> Table:
    """One row a result, best first within a benchmark."""
    ordered = sorted(
        results,
        key=lambda r: (
            r.benchmark.name,
            r.benchmark.fingerprint,
            -(r.estimate.top1 if r.estimate else r.metrics.top1.accuracy),
        ),
    )
    origins = _origins(results) if len(_origins(results)) > 1 else []
    several = len({result.benchmark.fingerprint for result in results}) > 1
    several |= any(result.benchmark.part for result in results)
    protocols = len({protocol_words(result) for result in results}) > 1
    note = any(map(_note, results))
    header = ["data set"] * several + ["model", "weights"] + ["protocol"] * protocols
    align = "l" * len(header) + "rrrr"
    header += ["top-1 %", "95 % interval", "top-5 %", "n"]
    numbers = [_package_metrics(result) for result in ordered]
    more = _all_names(numbers)
    rows = []
    for result, own in zip(ordered, numbers, strict=True):
        metrics, speed = result.metrics, result.runtime.images_per_second
        about = result.benchmark
        row = [" ".join(filter(None, (about.name, about.part, about.fingerprint[:8])))] * several
        row += [_row_name(result), result.model.tag or "", *[protocol_words(result)] * protocols]
        if estimate := result.estimate:  # what else is counted is of the images that were drawn
            row += [
                f"about {100 * estimate.top1:.1f}",
                f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}",
            ]
            row += ["", f"{estimate.drawn} of {estimate.images}", *[""] * (len(origins) + len(more))]
        else:
            row += [_percent(metrics.top1), f"{100 * metrics.top1.low:.2f} to {100 * metrics.top1.high:.2f}"]
            row += [_percent(metrics.top5), str(metrics.n_total)]
            row += [_percent(metrics.per_origin.get(name)) for name in origins]
            row += [f"{own[name]:.6g}" if name in own else "" for name in more]
        row += ["" if speed is None else f"{speed:.1f}"]
        row += [_note(result)] * note
        rows.append(row)
    header += [*(name or "(none)" for name in origins), *more, "images/s"] + ["note"] * note
    return Table(header, rows, align + "r" * (len(origins) + len(more) + 1))


def top1_table(results: Sequence[Result], by: str) -> Table:
    """Top-1 in percent of every model on every data set; ``by``: what has a row, "model" or "dataset".

    In the order in which they came; several results of one cell stand beside one another.
    """
    models = list(dict.fromkeys(map(_full_name, results)))
    sets = list(dict.fromkeys(map(_data_set, results)))
    cells: dict[tuple[str, str], str] = {}
    for result in results:
        place = (_full_name(result), _data_set(result))
        value = f"about {100 * e.top1:.1f}" if (e := result.estimate) else _percent(result.metrics.top1)
        cells[place] = ", ".join(filter(None, (cells.get(place), value)))
    first, others = (models, sets) if by == "model" else (sets, models)
    rows = [
        [row, *(cells.get((row, other) if by == "model" else (other, row), "") for other in others)]
        for row in first
    ]
    header = ["model" if by == "model" else "data set", *others]
    return Table(header, rows, "l" + "r" * len(others), caption="top-1 %")


def results_csv(results: Sequence[Result]) -> str:
    """One line a result with plain numbers: shares in [0, 1], not percent."""
    origins = _origins(results)
    numbers = [_package_metrics(result) for result in results]
    more = _all_names(numbers)
    estimates = any(result.estimate is not None for result in results)
    header = (
        *("benchmark", "fingerprint", "backend", "model", "weights", "n_correct", "n_total"),
        *("top1", "low", "high", "top5", "images_per_second", "used_in_curation", "tta", "classes"),
        *(f"top1 {name}" for name in origins),
        *more,
        *["estimate_of"] * estimates,
    )
    rows = []
    for result, own in zip(results, numbers, strict=True):
        about, model, metrics, protocol = result.benchmark, result.model, result.metrics, result.protocol
        top1, estimate = metrics.top1, result.estimate
        shares = (top1.accuracy, top1.low, top1.high)
        top5 = None if metrics.top5 is None else metrics.top5.accuracy
        rates = [metrics.per_origin.get(name) for name in origins]
        if estimate is not None:
            shares, top5, rates = (estimate.top1, estimate.low, estimate.high), None, [None] * len(origins)
        rows.append(
            [
                *(about.name, about.fingerprint, model.backend, model.name, model.tag),
                *(top1.n_correct, top1.n_total, *shares),
                *(top5, result.runtime.images_per_second),
                str(used_in_curation(model, about)).lower(),
                protocol.tta and protocol.tta.label,
                result.among or None,
                *(rate and rate.accuracy for rate in rates),
                *(None if estimate else own.get(name) for name in more),
                *[estimate and estimate.images] * estimates,
            ]
        )
    return spreadsheet_csv(header, rows)


def comparison_tables(comparison: Comparison, max_flips: int = 20) -> list[Table]:
    """Who wins where, by origin and in all; then the first ``max_flips`` images that only one gets right."""
    a, b = (_who(side) for side in (comparison.a, comparison.b))
    parts = {**comparison.per_origin, "all": comparison.cells} if len(comparison.per_origin) > 1 else {}
    cells = [
        _cells_row(name or "(none)", each) for name, each in (parts or {"all": comparison.cells}).items()
    ]
    kappa = "undefined" if comparison.kappa is None else f"{comparison.kappa:.3f}"
    points = [100 * x for x in (comparison.difference, comparison.low, comparison.high)]
    outcome = Table(
        ["origin", "n", "both right", "only A", "only B", "both wrong", "A - B"],
        cells,
        "lrrrrrr",
        title=f"A = {a}, B = {b}",
        caption=f"A - B: {points[0]:+.2f} points, 95 % interval {points[1]:+.2f} to {points[2]:+.2f} "
        f"(paired bootstrap); McNemar exact p = {comparison.mcnemar_p:.3g}; "
        f"agreement {100 * comparison.agreement:.2f} %, kappa {kappa}; "
        f"same top-1 class on {comparison.same_prediction} of {comparison.n_total}",
    )
    if not comparison.flips or max_flips < 1:
        return [outcome]
    shown = comparison.flips[:max_flips]
    flips = Table(
        ["id", "origin", "right", "A says", "B says"],
        [[f.id, f.origin, f.right.upper(), f"{f.a} {f.a_name}", f"{f.b} {f.b_name}"] for f in shown],
        title=f"{len(shown)} of {len(comparison.flips)} images that only one gets right",
    )
    return [outcome, flips]


def _origins(results: Sequence[Result]) -> list[str]:
    return sorted({name for result in results for name in result.metrics.per_origin})


def _package_metrics(result: Result) -> dict[str, float]:
    return {
        head: value
        for name, each in result.package_metrics.items()
        for head, value in each.named(name).items()
    }


def _all_names(numbers: Sequence[Mapping[str, float]]) -> list[str]:
    return sorted({name for each in numbers for name in each})


def protocol_words(result: Result) -> str:
    """How the images went through the model, or how it was asked, in two words."""
    answers, protocol = result.answers, result.protocol
    if answers is not None:
        return answers.asked.label if answers.asked else "in words"
    return f"{protocol.transform} {protocol.precision}"


def _name(model: ModelSpec) -> str:
    return model.name if model.backend == "torchvision" else f"{model.backend}:{model.name}"


def _row_name(result: Result) -> str:
    """The model, its test-time augmentation, among what it chose: another way to predict is another row."""
    tta = result.protocol.tta
    among = f" among {result.among}" if result.among else ""
    return _name(result.model) + (f" + {tta.label}" if tta else "") + among


def _note(result: Result) -> str:
    """What must not be overlooked: why the score is biased, or that its result has a warning."""
    notes = ["used in curation"] if used_in_curation(result.model, result.benchmark) else []
    notes += ["estimate"] if result.estimate else []
    if result.answers is not None:
        notes.append("; ".join(filter(None, ("top-1 only", result.answers.words))))
    warnings = [
        w for w in result.protocol.warnings if result.estimate is None or w != result.estimate.warning
    ]
    if warnings:
        short = [each for each in warnings if each.startswith("cannot repeat")]
        notes.append("cannot repeat" if short else f"{len(warnings)} warning{'s' * (len(warnings) > 1)}")
    return "; ".join(notes)


def _who(side: Side) -> str:
    augmented = f"+ {side.tta}" if side.tta else ""
    asked = f"({side.asked})" if side.asked else ""
    return " ".join(part for part in (_name(side.model), side.model.tag, augmented, asked) if part)


def _data_set(result: Result) -> str:
    about = result.benchmark
    return " ".join(filter(None, (about.name, about.part)))


def _full_name(result: Result) -> str:
    """What tells a row of the table from others: model, weights, and how it ran where that is not usual."""
    protocol = protocol_words(result)
    usual = "" if protocol == "native fp32" else f"({protocol})"
    return " ".join(filter(None, (_row_name(result), result.model.tag, usual)))


def _percent(rate: Rate | None) -> str:
    return "" if rate is None else f"{100 * rate.accuracy:.2f}"


def _cells_row(name: str, cells: Cells) -> list[str]:
    difference = 100 * (cells.only_a - cells.only_b) / cells.n_total
    counts = (cells.n_total, cells.both_right, cells.only_a, cells.only_b, cells.both_wrong)
    return [name, *map(str, counts), f"{difference:+.2f}"]
