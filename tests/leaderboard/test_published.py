"""The paper's tables: complete, of numbers, and refused where they are not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import parse_record
from imagenet_hard.leaderboard import published
from imagenet_hard.leaderboard.published import PublishedTable, load_published, load_table

GOOD = """\
name: t
title: T
source: {label: a, url: "https://a.org"}
benchmark: b
release: {name: final, n: 10, date: "2023-04"}
rows:
  - {model: A, top1: 7.34}
  - {model: A, tag: x, top1: 12}
"""


def test_the_tables_of_the_paper() -> None:
    """Four tables, their figures, and which images they belong to."""
    tables = {table.name: table for table in load_published()}
    assert {name: len(t.rows) for name, t in tables.items()} == {
        "paper-first": 8,
        "card-2023-05": 9,
        "paper-final": 12,
        "openclip-sweep": 68,
    }
    assert {name: t.release.n for name, t in tables.items()} == {
        "paper-first": 13_630,
        "card-2023-05": 11_350,
        "paper-final": 10_980,
        "openclip-sweep": 10_980,
    }
    final = {row.model: row.top1 for row in tables["paper-final"].rows}
    assert final["EfficientNet-L2-Ns"] == 39.0
    assert final["AlexNet"] == 7.34
    assert {row.model: row.top1 for row in tables["paper-first"].rows}["ResNet-50"] == 12.56
    second = {row.model: row.top1 for row in tables["card-2023-05"].rows}
    assert (second["ResNet-50"], second["VGG-19"], second["CLIP-ViT-L/14@336px"]) == (14.91, 12.15, 2.3)
    assert {t.benchmark for t in tables.values()} == {"imagenet-hard"}
    assert {t.tier for t in tables.values()} == {"published"}
    curators = [row.model for t in tables.values() for row in t.rows if row.used_in_curation]
    assert set(curators) == {"CLIP-ViT-L/14@224px"}


def test_the_final_table_and_the_sweep_agree() -> None:
    """Two checkpoints stand in both."""
    sweep = {(row.model, row.tag): row.top1 for row in load_table("openclip-sweep").rows}
    both = [row for row in load_table("paper-final").rows if row.tag]
    assert [row.top1 for row in both] == [15.93, 15.6]
    assert all(sweep[row.model.removeprefix("OpenCLIP-"), row.tag] == row.top1 for row in both)


def test_the_sweep_is_the_published_file(shared: Path) -> None:
    """All 68 rows, each figure."""
    with (shared / "reference" / "openclip_results.csv").open() as file:
        rows = [(r["Model"], r["Pretrained"], float(r["Top-1 Accuracy"])) for r in csv.DictReader(file)]
    assert [(r.model, r.tag, r.top1) for r in load_table("openclip-sweep").rows] == rows


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7.34", '"7.34"', "t.yaml:7: rows[0].top1"),
        ("7.34", ".nan", "t.yaml:7: rows[0].top1"),
        ("7.34", "734", "t.yaml:7: rows[0].top1"),
        ("7.34", "true", "t.yaml:7: rows[0].top1"),
        ("tag: x, ", "", "A stands twice in t"),
        ("n: 10,", 'n: "10",', "t.yaml:5: release.n"),
        ('"2023-04"', "2023-04-01", "t.yaml:5: release.date"),
        ("https://a.org", "javascript:alert(1)", "t.yaml:3: source.url"),
        ("title: T", "title: <b>T</b>", "t.yaml:2: title"),
        ("model: A, top1", "model: &a A, top1", None),
        ("model: A, tag", "model: *a, tag", "aliases are not read"),
        ("title: T", "title: !!python/object/apply:os.system [ls]", "t.yaml"),
        ("title: T", "title: T\nrank: 1", "unknown key"),
        ("benchmark: b\n", "", "benchmark"),
    ],
)
def test_malformed_tables(old: str, new: str, message: str | None) -> None:
    """Text for a number, repeated models, scripts: each with its line."""
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    if message is None:
        parse_record(PublishedTable, text.encode(), "t.yaml")
        return
    with pytest.raises(UsageError) as error:
        parse_record(PublishedTable, text.encode(), "t.yaml")
    assert message in str(error.value)


def test_a_table_has_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files cannot both be the final table."""
    (tmp_path / "other.yaml").write_text(GOOD)
    monkeypatch.setattr("imagenet_hard.base.records.content_dir", lambda folder: tmp_path)
    with pytest.raises(UsageError, match="other.yaml: name is 't'"):
        published.load_published()
