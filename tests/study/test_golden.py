"""The study of real images equals the reference: the protocol's predictions under all 324 zooms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.sources import open_sources
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.classes import wnid_to_index
from imagenet_hard.study.matrix import collect

CLEAR = 1e-3
"""Margin in logits below which a prediction may flip."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_matrix_equals_the_reference(shared: Path, tmp_path: Path):
    """Every prediction and every bit of the matrix, near-ties aside, of every sixth of its 25 images."""
    golden = json.loads((shared / "reference/golden_zoom_efficientnet_lite0.json").read_text())
    assert len(golden["files"]) == 25
    files = golden["files"][::6]
    for name in files:
        folder = tmp_path / "images" / name[:9]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(shared / "data/imagenet-samples" / name)
    recipe = Recipe.model_validate(
        {
            "name": "golden",
            "version": "1.0.0",
            "sources": [{"variant": "imagenet", "path": "images"}],
            "classifiers": [{"model": golden["model"]}],
        }
    )
    assert list(recipe.scales) == golden["scales"]
    score(recipe, open_sources(recipe, tmp_path), tmp_path / "work", RunSettings(), mode="exhaustive")
    matrix = collect(recipe, tmp_path / "work")
    correct = matrix.correct(golden["model"])
    ids = matrix.info.images[0].ids
    assert len(ids) == len(files) == 5
    expected = dict(
        zip(golden["files"], zip(golden["predictions"], golden["margin"], strict=True), strict=True)
    )
    with CurationStore(tmp_path / "work" / FILE) as store:
        for row, id in enumerate(ids):
            name = id.rsplit("/", 1)[1]
            predictions, margins = map(np.array, expected[name])
            clear = margins > CLEAR
            got = store.views(id)[golden["model"]].predicted
            np.testing.assert_array_equal(got[clear], predictions[clear], err_msg=name)
            label = wnid_to_index()[name[:9]]
            np.testing.assert_array_equal(correct[row][clear], predictions[clear] == label, err_msg=name)
