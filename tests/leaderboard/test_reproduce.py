"""Published figures beside measured ones: which belong together, and what explains a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.records import parse_record
from imagenet_hard.base.types import Predictions
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.evaluation.suite import Suite, load_suite
from imagenet_hard.leaderboard.published import load_table
from imagenet_hard.leaderboard.reproduce import explained, figures_of, if_ties_fall


def images(n: int, name: str = "imagenet-hard") -> Benchmark:
    """So many images that nobody reads."""
    return Benchmark(
        Source(name, "folder"), [f"{i:05}" for i in range(n)], [(0,)] * n, [""] * n, lambda i: b""
    )


def suite(text: str) -> Suite:
    return parse_record(Suite, f"name: mine\nmodels: {text}".encode(), "mine.yaml")


FIGURES = """\
name: mine
title: T
source: {label: a, url: "https://a.org"}
benchmark: sample
release: {name: final, n: 3, date: "2023-04"}
rows:
  - {model: resnet50, top1: 7.34}
  - {model: resnet50, tag: IMAGENET1K_V2, top1: 12}
"""


@pytest.fixture
def figures(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FIGURES)
    return path


def test_every_row_of_the_paper_has_its_model():
    """The final table whole, and the one checkpoint that only the sweep has; VGG-16 is of no table."""
    found = figures_of(load_suite("paper"), images(10_980))
    final = [each.row for each in found if each.table.name == "paper-final"]
    assert final == list(load_table("paper-final").rows)
    (other,) = [each for each in found if each.table.name != "paper-final"]
    assert (other.row.name, other.row.top1) == ("ViT-L-14 / laion2b_s32b_b82k", 10.13)
    scored = {each.row.model: each.model.model for each in found}
    assert scored["VGG-16"] == "vgg19"  # what the notebook behind the table scores
    assert "vgg16" not in scored.values()


def test_every_row_of_the_sweep_has_its_checkpoint():
    found = figures_of(load_suite("openclip"), images(10_980))
    assert [each.row for each in found] == list(load_table("openclip-sweep").rows)
    assert [(each.row.model, each.row.tag) for each in found] == [
        (each.model.model.removeprefix("open_clip:"), each.model.pretrained) for each in found
    ]


@pytest.mark.parametrize(
    ("only", "rows"),
    [
        (["alexnet"], ["AlexNet"]),
        (["ViT-B/32", "open_clip:ViT-L-14-336"], ["ViT-B/32", "CLIP-ViT-L/14@336px"]),
        (["ViT-L-14 / laion2b_s32b_b82k"], ["ViT-L-14 / laion2b_s32b_b82k"]),
    ],
)
def test_some_of_the_models(only, rows):
    """By the suite's name or the table's, in the suite's order."""
    assert [each.row.name for each in figures_of(load_suite("paper"), images(10_980), only=only)] == rows


def test_a_row_with_the_tag_comes_before_one_without(figures):
    models = suite("[{model: 'torchvision:resnet50', weights: IMAGENET1K_V2}]")
    assert [each.row.top1 for each in figures_of(models, images(3), figures)] == [12]
    models = suite("[{model: vit, published_as: resnet50}]")
    assert [each.row.top1 for each in figures_of(models, images(3, "other"), figures)] == [7.34]


@pytest.mark.parametrize(
    ("models", "n", "named", "only", "message"),
    [
        (
            "[{model: resnet50}]",
            4,
            True,
            (),
            "mine has figures of 3 images, and imagenet-hard has 4: figures",
        ),
        ("[{model: vit_b_32}]", 3, True, (), "no model of suite mine has a figure in mine: a row is found"),
        (
            "[{model: resnet50}]",
            3,
            True,
            ("vit",),
            "--only vit: no such figure on imagenet-hard; there are resn",
        ),
        (
            "[{model: resnet50}, {model: resnet50, transform: paper}]",
            3,
            True,
            (),
            "resnet50 of mine could be resnet50 and resnet50 of suite mine: give the row a tag, or one of",
        ),
        (
            "[{model: resnet50}]",
            13_000,
            False,
            (),
            r"no published figures of imagenet-hard with 13,000 images, only paper-first \(13,630 images\), ",
        ),
    ],
)
def test_figures_that_nothing_can_be_compared_with(figures, models, n, named, only, message):
    """Other images, other models, two models for one row: each is refused before anything is scored."""
    with pytest.raises(UsageError, match=message):
        figures_of(suite(models), images(n), figures if named else None, only)


def test_a_data_set_without_figures_says_how_to_bring_them():
    with pytest.raises(
        UsageError, match="no published figures of mine with 3 images: give a table with --fig"
    ):
        figures_of(suite("[{model: resnet50}]"), images(3, "mine"))


@pytest.mark.parametrize(
    ("published", "right"),
    [(7.34, 806), (10.86, 1192), (14.74, 1619), (18.52, 2033), (16.57, 1820), (39.00, 4283), (1.86, 204)],
)
def test_the_papers_own_counts_explain_its_figures(published, right):
    """Counts of its notebook, of 10,980 images; it rounds some and cuts others off. None is two off."""
    assert explained(published, right, right, 10_980)
    assert not explained(published, right + 2, right + 2, 10_980)
    assert not explained(published, right - 2, right - 2, 10_980)
    assert explained(published, right - 7, right + 1, 10_980)


def test_the_printed_vgg_needs_one_near_tie():
    """12.00 is printed, and 1,316 of 10,980 is 11.985."""
    assert not explained(12.00, 1316, 1316, 10_980)
    assert explained(12.00, 1316, 1317, 10_980)


@given(st.lists(st.tuples(*[st.floats(-3, 0)] * 5, st.sets(st.integers(0, 5), min_size=1)), min_size=1))
def test_near_ties_fall_either_way(rows):
    """Whichever of the classes that are closer than epsilon to the best comes first."""
    logits = np.array([sorted(row[:5], reverse=True) for row in rows], np.float32)
    labels = [tuple(sorted(row[5])) for row in rows]
    n = len(rows)
    predictions = Predictions(
        tuple(map(str, range(n))),
        np.tile(np.arange(5, dtype=np.int16), (n, 1)),
        logits,
        logits[:, 0] - logits[:, 1],
    )
    outcomes = [
        {k in label for k in range(5) if row[0] - row[k] < np.float32(0.5)}
        for row, label in zip(logits, labels, strict=True)
    ]
    assert if_ties_fall(predictions, labels, 0.5) == (
        sum(min(each) for each in outcomes),
        sum(max(each) for each in outcomes),
    )
