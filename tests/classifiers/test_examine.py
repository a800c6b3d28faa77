"""What makes an unknown classifier's numbers doubtful."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import transforms as T
from torchvision.transforms import v2

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.classifiers.transform import Transform

RESIZED = T.Resize((32, 32))
FIXED = T.Compose([RESIZED, T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])


def tiny() -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 1000))
    with torch.no_grad():
        module[2].weight.mul_(30)
    return module


class Changed(nn.Module):
    """``tiny`` with something done to its logits, its own state at hand."""

    def __init__(self, change):
        super().__init__()
        self.inner, self.change = tiny(), change
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, batch):
        return self.change(self, self.inner(batch))


def seeded_crop(image):
    """Random, but from a seed that it sets itself."""
    torch.manual_seed(5)
    return T.Compose([T.RandomCrop(32, pad_if_needed=True), T.ToTensor()])(image)


GENERATOR = np.random.default_rng(0)


def own_noise(image):
    """Noise from a generator of its own."""
    return FIXED(image) + 0.1 * GENERATOR.standard_normal()


@pytest.mark.parametrize(
    ("transform", "remark"),
    [
        (FIXED, None),
        (seeded_crop, None),
        (
            T.Compose([T.RandomResizedCrop(32), T.ToTensor()]),
            "cannot repeat: the transform draws random numbers",
        ),
        (T.Compose([RESIZED, T.RandomHorizontalFlip(0.01), T.ToTensor()]), "draws random numbers"),
        (T.Compose([RESIZED, T.ToTensor(), T.RandomErasing(0.05)]), "draws random numbers"),
        (lambda im: FIXED(im.rotate(random.choice((0, 0, 0, 90)))), "draws random numbers"),
        (lambda im: FIXED(im) * (1 + (np.random.rand() < 0.05)), "draws random numbers"),
        (own_noise, "gives other pixels for the same image each time"),
        (T.Compose([RESIZED, T.PILToTensor(), v2.ToDtype(torch.float32)]), "not scaled to [0, 1]"),
        (
            T.Compose(
                [RESIZED, T.PILToTensor(), T.Lambda(lambda x: x.float()), T.Normalize([0.5] * 3, [0.2] * 3)]
            ),
            "not scaled to [0, 1]",
        ),
        (T.Compose([RESIZED, T.ToTensor(), T.Lambda(lambda x: x / 255)]), "leaves no contrast"),
        (lambda im: torch.zeros(3, 32, 32), "leaves no contrast"),
        (lambda im: FIXED(im).half(), None),
        (lambda im: FIXED(im).double(), None),
    ],
)
def test_transforms_that_cannot_repeat_or_are_not_scaled(transform, remark, caplog):
    """A remark for the result, and a warning; good ones have neither, whatever their float type."""
    found = from_module(tiny(), transform)
    texts = [each for each in found.warnings if "transform" in each]
    assert len(texts) == (remark is not None)
    if remark:
        assert remark in texts[0]
        assert texts[0] in caplog.text
    assert found.transform.pixels(Image.new("RGB", (50, 40))).dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda self, x: x, None),
        (lambda self, x: F.dropout(x, 0.5), "cannot repeat: the model is random in eval mode"),
        (lambda self, x: x + 1e-3 * torch.randn_like(x), "random in eval mode"),
        (lambda self, x: x + 9 * GENERATOR.random(), "random in eval mode"),
        (
            lambda self, x: F.batch_norm(x, None, None, training=True) if len(x) > 1 else x,
            "else is in its batch",
        ),
        (lambda self, x: x + self.seen.add_(1), r"changes its own state as it runs (seen)"),
    ],
)
def test_models_that_cannot_repeat(change, remark):
    """Random, moved by their neighbours in a batch, or by what they saw before."""
    module = Changed(change)
    found = from_module(module, FIXED)
    texts = [each for each in found.warnings if each.startswith("cannot repeat")]
    assert len(texts) == (remark is not None)
    if remark:
        assert remark in texts[0]
    assert float(module.seen) == 0  # the first image finds it as it was given


def test_random_numbers_of_the_caller_go_on_as_before():
    """To look at a classifier costs no number of anyone's stream."""
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    state = torch.get_rng_state()
    module = tiny()
    torch.set_rng_state(state)
    from_module(module, T.Compose([T.RandomResizedCrop(32), T.ToTensor()]))
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            T.Compose([RESIZED, T.PILToTensor()]),
            r"gave torch.uint8 \(3, 32, 32\).*scaled.*end with ToTensor\(\)",
        ),
        (T.Compose([RESIZED, T.PILToTensor(), T.Lambda(lambda x: x.long())]), r"gave torch.int64.*scaled"),
        (lambda im: im, r"gave Image .*end with ToTensor"),
        (lambda im: np.asarray(im), r"gave ndarray \(224, 224, 3\).*channels come last"),
        (lambda im: FIXED(im).permute(1, 2, 0), r"gave torch.float32 \(32, 32, 3\).*channels come last"),
        (lambda im: FIXED(im).numpy(), "torch.from_numpy makes a tensor"),
        (lambda im: FIXED(im)[None], r"\(1, 3, 32, 32\).*take \[0\]"),
        (lambda im: FIXED(im)[:1], r"\(1, 32, 32\).*the three channels of RGB"),
        (lambda im: {"pixel_values": FIXED(im)}, "gave dict .*it has pixel_values"),
        (lambda im: (FIXED(im),) * 5, "several views of an image are --tta's business"),
        (lambda im: FIXED(im) / 0, "makes NaN or infinite pixels, of one black image"),
        (lambda im: {"image": 1}["img"], r"failed on one black image \(224 x 224\): KeyError: 'img'"),
        (lambda: 1, "failed on one black image"),
    ],
)
def test_what_is_no_input_of_a_classifier(transform, message):
    """Refused with what was given and what to do; an error of one's own code is told, not raised."""
    with pytest.raises(ClassifierError, match=message):
        from_module(tiny(), transform)


def test_a_transform_may_want_larger_images_than_the_test_images():
    """What takes some of them is not refused; the images of the run will show whether it is right."""

    def wide(image):
        if image.width < 400:
            raise ValueError("too small for my crop")
        return FIXED(image)

    found = from_module(tiny(), wide)
    assert (found.transform.remarks, found.spec.transform_sha256) == ((), None)


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(7, 1000)),
            "A model of a fixed input size needs its own transform",
        ),
        (nn.Sequential(nn.Conv2d(1, 8, 3)), "Its first layer takes 1 channels, and images have 3"),
        (nn.Sequential(nn.Conv2d(3, 8, 3).half()), "Its weights are not float32"),
        (nn.Bilinear(3, 3, 3), "called with one argument, the batch"),
        (Changed(lambda self, x: 1 / 0), r"ZeroDivisionError: division by zero$"),
        (Changed(lambda self, x: x.nothing), r"has no attribute 'nothing'$"),
    ],
)
def test_why_a_model_fails_is_said(module, cause):
    """The hint goes with the cause; where none is known the error speaks for itself."""
    with pytest.raises(ClassifierError, match=r"failed on a batch of shape \(1, 3, 32, 32\).*" + cause):
        from_module(module, FIXED)


def test_a_classifier_that_was_examined_is_not_again():
    """What reads probabilities stays; a layer that is put around it is seen."""
    from dataclasses import replace

    from imagenet_hard.classifiers.examine import examine

    found = from_module(nn.Sequential(tiny(), nn.Softmax(1)), Transform(40, (32, 32)))
    assert examine(found) is found
    softer = replace(found, module=nn.Sequential(found.module, nn.LogSoftmax(1)))
    assert examine(softer).outputs.form == "log-probabilities"
