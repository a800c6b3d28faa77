"""Tables: what they show, and what names from strangers cannot do to them."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from imagenet_hard.base.tables import Table
from imagenet_hard.base.types import BenchmarkInfo, ModelSpec, Selection
from imagenet_hard.evaluation.compare import compare
from imagenet_hard.evaluation.package_metrics import PackageMetric
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.table import (
    comparison_tables,
    results_csv,
    results_table,
    used_in_curation,
)
from tests.evaluation.scored import make_result, make_scored


def shown(*tables: Table, width: int = 200) -> str:
    """What a terminal prints, escapes included."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    for table in tables:
        console.print(table.terminal())
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def two() -> list[Result]:
    """CLIP, and a better network."""
    clip = make_result(make_scored(50, 0, skill=2)[0], backend="open_clip", name="ViT-L-14", tag="openai")
    return [clip, make_result(make_scored(50, 1, skill=6)[0])]


def test_results_table() -> None:
    """Best first, with its counts, intervals, origins, and the note on curation."""
    results = two()
    text = shown(results_table(results))
    lines = [line for line in text.splitlines() if "%" in line or "openai" in line or "IMAGENET1K_V1" in line]
    header, best, clip = lines
    for word in ("top-1 %", "95 % interval", "top-5 %", "ImageNet-Sketch", "ObjectNet", "images/s", "note"):
        assert word in header
    top1 = results[1].metrics.top1
    assert f" {100 * top1.accuracy:.2f} " in best
    assert f"{100 * top1.low:.2f} to {100 * top1.high:.2f}" in best
    assert "used in curation" in clip
    assert "open_clip:ViT-L-14" in clip
    assert "protocol" not in text
    assert "data set" not in text


def test_results_of_several_sets_and_protocols() -> None:
    """Where data sets or protocols differ, a column says so."""
    a, b = two()
    info = a.benchmark.model_copy(update={"fingerprint": "cd" * 32, "name": "sample"})
    protocol = b.protocol.model_copy(update={"transform": "paper", "precision": "bf16"})
    text = shown(
        results_table([a.model_copy(update={"benchmark": info}), b.model_copy(update={"protocol": protocol})])
    )
    assert "sample cdcdcdcd" in text
    assert "paper bf16" in text
    assert "native fp32" in text
    assert "used in curation" not in text


def test_a_part_is_never_shown_as_the_whole() -> None:
    """Ten images that were drawn are no ImageNet-Hard."""
    result = make_result(make_scored(10, 0)[0])
    chosen = Selection(kind="sample", n=10, total=50, seed=3, ids_sha256="ab" * 32)
    part = result.model_copy(update={"benchmark": result.benchmark.model_copy(update={"selection": chosen})})
    assert f"{part.benchmark.name} sample-10-seed-3 {part.benchmark.fingerprint[:8]}" in shown(
        results_table([part])
    )


def test_two_versions_of_a_metric_share_no_column() -> None:
    """Nor do their numbers stand beside one another unseen; what has none has an empty cell."""
    results = [
        each.model_copy(update={"package_metrics": {"even": PackageMetric(package=package, values=values)}})
        for each, package, values in zip(two(), ("m 1", "m 2"), (0.25, {"a": 1e-7, "b": 10980}), strict=True)
    ]
    table = results_table(results)
    cells = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    names = ("even (m 1)", "even a (m 2)", "even b (m 2)")
    assert [[row[name] for name in names] for row in cells] == [["", "1e-07", "10980"], ["0.25", "", ""]]
    assert len(table.align) == len(table.header) - 1  # the note
    first, second = csv.DictReader(io.StringIO(results_csv(results)))
    assert [[float(row[n]) if row[n] else None for n in names] for row in (first, second)] == [
        [0.25, None, None],
        [None, 1e-7, 10980],
    ]


@pytest.mark.parametrize(
    ("backend", "name", "tag", "benchmark", "expected"),
    [
        ("open_clip", "ViT-L-14", "openai", "imagenet-hard", True),
        ("open_clip", "ViT-L-14-quickgelu", "openai", "imagenet-hard-4k", True),
        ("open_clip", "ViT-L-14-336", "openai", "taesiri/imagenet-hard", True),
        ("open_clip", "ViT-L-14", "laion2b_s32b_b82k", "imagenet-hard", False),
        ("open_clip", "ViT-B-32", "openai", "imagenet-hard", False),
        ("timm", "ViT-L-14", "openai", "imagenet-hard", False),
        ("open_clip", "ViT-L-14", "openai", "sample", False),
    ],
)
def test_used_in_curation(backend: str, name: str, tag: str, benchmark: str, expected: bool) -> None:
    """OpenAI's CLIP ViT-L/14 on ImageNet-Hard, and nothing else."""
    model = ModelSpec(backend=backend, name=name, tag=tag, transform={})
    assert (
        used_in_curation(model, BenchmarkInfo(name=benchmark, source="x", n=1, fingerprint="f")) is expected
    )


HOSTILE = "[link=https://example.org]x[/link][red]\x1b[31m\x07|<b>`=1\n- y"


def test_names_are_never_markup() -> None:
    """Brackets stay brackets and escapes never reach the terminal."""
    scored, _ = make_scored(50)
    bad = make_result(scored, name=HOSTILE, tag=HOSTILE)
    other = make_result(make_scored(50, 1)[0])
    comparison = compare((bad, scored.predictions), (other, make_scored(50, 1)[0].predictions))
    text = shown(results_table([bad]), *comparison_tables(comparison), width=400)
    assert "[link=https://example.org]x[/link][red]" in text
    assert "\x1b]8;" not in text
    assert "\x1b[31m" not in text
    assert "\x07" not in text


def test_markdown() -> None:
    """One row a result, and a name cannot break out of its cell."""
    results = [*two(), make_result(make_scored(50)[0], name=HOSTILE)]
    text = results_table(results).markdown()
    lines = text.splitlines()
    assert len(lines) == 5
    assert lines[1].startswith("| --- | --- | ---: |")
    assert r"vit\_b\_32 | IMAGENET1K\_V1" in text
    assert r"\[link=https\://example.org\]x\[/link\]" in text
    assert r"\|\<b\>\`=1" in text


def test_csv() -> None:
    """Numbers are plain shares, and a name is never a formula."""
    results = [*two(), make_result(make_scored(50)[0], name="=cmd|' /C calc'!A0", tag="-1+1")]
    rows = list(csv.DictReader(io.StringIO(results_csv(results))))
    assert [row["model"] for row in rows] == ["ViT-L-14", "vit_b_32", "'=cmd|' /C calc'!A0"]
    assert rows[2]["weights"] == "'-1+1"
    assert float(rows[1]["top1"]) == results[1].metrics.top1.accuracy
    assert int(rows[1]["n_correct"]) == results[1].metrics.n_correct
    assert float(rows[1]["top1 ObjectNet"]) == results[1].metrics.per_origin["ObjectNet"].accuracy
    assert [row["used_in_curation"] for row in rows] == ["true", "false", "false"]


def test_comparison_tables() -> None:
    """Cells by origin with a total, the statistics below, and the flips with class names."""
    a, b = make_scored(50, 0)[0], make_scored(50, 1)[0]
    comparison = compare((make_result(a), a.predictions), (make_result(b, name="resnet50"), b.predictions))
    outcome, flips = comparison_tables(comparison, max_flips=3)
    text = shown(outcome)
    assert "A = vit_b_32 IMAGENET1K_V1, B = resnet50 IMAGENET1K_V1" in text
    assert f"McNemar exact p = {comparison.mcnemar_p:.3g}" in " ".join(text.split())
    assert text.count("ObjectNet") == 1
    assert f"3 of {len(comparison.flips)} images" in shown(flips)
    assert comparison.flips[0].a_name in shown(flips)
    assert comparison.flips[3].id not in shown(flips)
    assert len(comparison_tables(comparison, max_flips=0)) == 1
