"""Small networks under the bundled names: for tests of what is done with a network, whatever it is."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from imagenet_hard.classifiers.backends import LoadOptions
    from imagenet_hard.classifiers.base import Classifier

SHARE = 3
"""Each network knows two of so many sample images, each other ones."""


@cache
def made(seed: int) -> Any:
    """A convolution with its norm and a head that is fitted to the sample images, on 32 x 32 pixels.

    It is sure of what it knows, and of the others says something that differs from image to image.
    """
    import torch
    from PIL import Image
    from torch import nn

    from imagenet_hard.dataset.load import load_dataset
    from tests.engine.small import TRANSFORM

    torch.manual_seed(seed)
    body = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.LayerNorm(72)),
    ).eval()
    sample = list(load_dataset("sample"))
    pixels = [TRANSFORM.pixels(Image.open(io.BytesIO(each.image))) for each in sample]
    wanted = torch.randn(len(sample), 1000)
    for i, each in enumerate(sample):
        if (i + seed) % SHARE:
            wanted[i, each.labels[0]] = 9
    head = nn.Linear(72, 1000, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.linalg.lstsq(body(TRANSFORM.batch(pixels, "cpu")), wanted).solution.T)
    return nn.Sequential(*body, head).eval()


def load(name: str, options: LoadOptions) -> Classifier:
    """One of the small networks; the real one of a name that is none, or with a file of weights."""
    from imagenet_hard.classifiers import bundled
    from imagenet_hard.classifiers.weights import weights_sha256
    from tests.engine.small import classifier

    if options.file is not None or name not in bundled.MODELS:
        return bundled.load_bundled(name, file=options.file)
    module = copy.deepcopy(made(list(bundled.MODELS).index(name)))
    found = classifier()
    about = {"backend": "bundled", "name": name, "weights_sha256": weights_sha256(module)}
    return replace(found, spec=found.spec.model_copy(update=about), module=module)


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``efficientnet_lite0`` to ``2`` are small networks in this test: all but their loading is as in use."""
    from imagenet_hard.classifiers import backends, bundled

    monkeypatch.setattr(bundled, "BACKEND", replace(bundled.BACKEND, load=load))
    backends._own.cache_clear()
    yield
    backends._own.cache_clear()
