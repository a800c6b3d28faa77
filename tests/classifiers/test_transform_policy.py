"""Native, paper and explicit transforms on the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision import transforms

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.classifiers.transform import Transform, fixed_images
from imagenet_hard.classifiers.transform_policy import ZoomTransform, standard_view, with_policy
from imagenet_hard.imagenet.zoom import ZoomGrid


class Fixed(nn.Module):
    """Takes one size only, as a ViT does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.head = nn.Linear(3, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2:] != (self.size, self.size):
            raise ValueError("Wrong image height!")
        out: torch.Tensor = self.head(x.mean((2, 3)))
        return out


def test_paper_keeps_the_models_mean_and_std() -> None:
    """256/224 bilinear, RGB last, with EfficientNet-Lite's own 0.5; the spec follows."""
    native = load_classifier("efficientnet_lite2")
    paper = load_classifier("efficientnet_lite2", transform="paper")
    assert paper.transform == Transform(256, (224, 224), "bilinear", (0.5,) * 3, (0.5,) * 3, rgb="last")
    assert paper.spec.input_size == (224, 224)
    assert native.spec.input_size == (260, 260)
    assert paper.spec.transform == paper.transform.describe()
    assert paper.spec.transform_sha256 != native.spec.transform_sha256
    assert paper.spec.weights_sha256 == native.spec.weights_sha256


def test_paper_is_the_papers_code() -> None:
    """Bit for bit torchvision's Resize, CenterCrop, ToTensor, Normalize."""
    reference = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    found = with_policy(from_module(Fixed(224)), "paper").transform
    for image in fixed_images():
        assert torch.equal(found.batch([found.pixels(image)], "cpu")[0], reference(image))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"resize": 800, "crop": 800}, Transform(800, (800, 800))),
        ({"resize": [64, 48], "interpolation": "bicubic"}, Transform((64, 48), None, "bicubic")),
        ({"resize": 60, "crop": [64, 32], "rgb": "last"}, Transform(60, (64, 32), rgb="last")),
        (
            {"crop": 32, "mean": [0, 0, 0], "std": [1, 1, 1]},
            Transform(None, (32, 32), mean=(0, 0, 0), std=(1, 1, 1)),
        ),
    ],
)
def test_a_mapping_is_read_as_suites_write_it(settings: dict[str, Any], expected: Transform) -> None:
    """One number or (height, width); mean and std stay the model's own unless given."""
    anything = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000))
    changed = with_policy(from_module(anything, name="anything"), settings)
    assert changed.transform == expected
    assert changed.spec.input_size == (expected.crop or expected.resize)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"resize": 256, "corp": 224},
            "unknown transform setting corp: expected resize, crop, interpolation",
        ),
        ({"resize": 256}, "needs a crop or a fixed"),
        ({"resize": "256", "crop": 224}, r"resize is '256': expected pixels, or \[height, width\]"),
        ({"resize": 0, "crop": 224}, "resize is 0"),
        (
            {"crop": 224, "interpolation": "cubic"},
            "unknown interpolation 'cubic': expected nearest, bilinear",
        ),
        ({"crop": 224, "mean": [0.5]}, r"mean is \[0.5\]: expected three numbers"),
        ({"crop": 224, "rgb": "never"}, "rgb is 'never': expected first or last"),
        ("papre", "unknown transform 'papre': expected native, paper, study or a mapping"),
    ],
)
def test_a_wrong_setting_is_named(settings: Any, message: str) -> None:
    """The key, what was got, what is expected."""
    with pytest.raises(UsageError, match=message):
        with_policy(from_module(Fixed(224)), settings)


def test_a_model_of_one_size_refuses_another() -> None:
    """Both sizes are named, before anything is scored."""
    model = from_module(Fixed(96), {"resize": 96, "crop": 96}, "fixed96")
    with pytest.raises(
        ClassifierError, match=r"fixed96 cannot take 224 x 224 pixels, its own size is 96 x 96"
    ):
        with_policy(model, "paper")
    assert with_policy(model, "native") is model


def test_a_vision_transformer_of_384_pixels_refuses_the_papers_224() -> None:
    """timm's ViT says so itself; the message adds what to do."""
    model = from_module(timm.create_model("vit_tiny_patch16_384", num_classes=1000))
    message = "vit_tiny_patch16_384 cannot take 224 x 224 pixels, its own size is 384 x 384"
    with pytest.raises(ClassifierError, match=message):
        with_policy(model, "paper")


def test_paper_needs_to_know_mean_and_std() -> None:
    """A callable hides them."""
    model = from_module(
        Fixed(224), transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()]), "own"
    )
    with pytest.raises(UsageError, match="own brings a transform whose mean and std can't be seen"):
        with_policy(model, "paper")


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
