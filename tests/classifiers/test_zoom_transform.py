"""``--transform study``: the standard view of the zoom study, for any classifier."""

from __future__ import annotations

import numpy as np
import pytest

from imagenet_hard.classifiers.policy import with_policy
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import fixed_images
from imagenet_hard.classifiers.zoom_transform import ZoomTransform, standard_view
from imagenet_hard.imagenet.zoom import ZoomGrid

HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("image", [*fixed_images(), fixed_images()[0].convert("L")])
def test_pixels_are_the_grids_crop(image):
    """The crop of that number; grey images become RGB first."""
    grid = ZoomGrid()
    ((_, expected),) = grid.crops(image.convert("RGB"), [grid.standard])
    np.testing.assert_array_equal(standard_view(HALF, HALF).pixels(image), expected)


def test_a_batch_is_normalised():
    """(x / 255 - mean) / std, channels last."""
    view = ZoomTransform((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 0)
    pixels = view.pixels(fixed_images()[0])
    batch = view.batch([pixels, pixels], "cpu")
    assert batch.shape == (2, 3, 224, 224)
    expected = (pixels.astype(np.float64) / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]
    np.testing.assert_allclose(batch[1].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_the_policy_keeps_the_models_mean_and_std():
    """And says in the record which view it is."""
    classifier = with_policy(load_classifier("efficientnet_lite1"), "study")
    assert classifier.spec.input_size == (224, 224)
    assert classifier.spec.transform == {
        "kind": "zoom",
        "scale": 256,
        "anchor": [1, 1],
        "crop": [224, 224],
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "rgb": "first",
    }
    assert classifier.spec.transform_sha256 == classifier.transform.sha256()
