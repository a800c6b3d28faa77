"""A study of two tiny networks on made-up images: 36 zooms, two sources."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.run import score
from tests.curation.small import SETTINGS, made
from tests.curation.small import recipe as curation_recipe
from tests.engine.small import classifier


@cache
def recipe() -> Recipe:
    """Four scales; crops of 32 pixels, so that the grid is not the paper's own."""
    return curation_recipe(
        name="tiny",
        scales=(140, 224, 256, 336),
        sources=[{"variant": "imagenet", "path": "x"}, {"variant": "imagenet-sketch", "path": "y"}],
        classifiers=[{"model": "net0", "size": 32}, {"model": "net1", "size": 32}],
    )


@cache
def classifiers() -> list[ZoomClassifier]:
    return [ZoomClassifier(f"net{seed}/32", classifier(seed), recipe().grid(32)) for seed in (0, 1)]


def sources() -> list[OpenSource]:
    """20 images and 10 others; ids begin with their source."""
    images = made(30)
    first = images.source(order=range(20))
    renamed = [id.replace("imagenet/", "imagenet-sketch/") for id in images.ids]
    return [first, replace(images, ids=renamed).source("imagenet-sketch", order=range(20, 30))]


def scored(work: Path, mode: str = "exhaustive") -> Path:
    """A work folder with a finished run."""
    score(recipe(), sources(), work, SETTINGS, mode=mode, classifiers=classifiers())
    return work
