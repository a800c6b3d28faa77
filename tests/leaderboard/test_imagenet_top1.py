"""ImageNet accuracies as reported."""

from __future__ import annotations

import csv
import math
from importlib.resources import files

import pytest

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.leaderboard.imagenet_top1 import published_top1, torchvision_top1
from imagenet_hard.leaderboard.site.imagenet import correlation_in_words, reported_top1
from tests.leaderboard.site.boards import made_up


def test_the_file_is_what_torchvision_states():
    """Every figure that the installed torchvision states of weights that the file names, and none missing."""
    models = pytest.importorskip("torchvision.models")
    stated = {}
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            found = weights.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1", math.nan)
            if not math.isnan(found):  # of weights without a classifier
                stated[name, weights.name] = found
    path = files("imagenet_hard.leaderboard").joinpath("data", "imagenet_top1.csv")
    with path.open(encoding="utf-8") as file:
        rows = {(row["name"], row["tag"]): float(row["top1"]) for row in csv.DictReader(file)}
    assert len(rows) > 100
    assert {key: rows.get(key) for key in stated} == stated


def test_only_the_very_weights_are_known():
    """By backend, name and tag; a checkpoint file of the same architecture is another model."""

    def of(backend: str, tag: str | None) -> float | None:
        found = published_top1(ModelSpec(backend=backend, name="resnet50", tag=tag, transform={}))
        return found and found.percent

    assert of("torchvision", "IMAGENET1K_V1") == 76.13
    assert of("torchvision", "IMAGENET1K_V2") == 80.858
    assert of("torchvision", "mine.pth") is None
    assert of("torchvision", None) is None
    assert of("timm", "IMAGENET1K_V1") is None
    assert torchvision_top1("resnet51", "IMAGENET1K_V1") is None


def test_the_page_says_how_scores_go_along_with_it():
    """The number of entries with a figure, three coefficients; too few are said to be so."""
    entries = made_up().entries
    text = correlation_in_words(entries)
    assert "reported of 8 entries" in text
    assert "Spearman’s ρ −1.000 (−1.000 to −1.000)" in text
    with_it = [e for e in entries if e.imagenet]
    assert "of 2 entries: too few" in correlation_in_words(with_it[:2])
    assert (
        reported_top1(next(e for e in entries if e.imagenet and e.imagenet.percent == 80))
        == "80.00 %, https://a.org"
    )
    assert reported_top1(next(e for e in entries if not e.imagenet)) == ""
