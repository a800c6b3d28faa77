"""Channels last where a model takes it; contiguous memory, as in a plain loop, where it does not."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.outputs import LogitsOf
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings

TRANSFORM = Transform(None, (32, 32))
CPU = torch.device("cpu")


class Net(nn.Module):
    """Two convolutions, a batch norm that can be folded, and what a child class does with them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.norm = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 8, 3, stride=2), nn.Linear(8 * 49, 1000)
        nn.init.uniform_(self.norm.running_mean, -1, 1)
        self.seen = []

    def forward(self, x):
        self.seen.append((len(x), x.is_contiguous()))
        return self.tail(functional.relu(self.norm(self.first(x))))

    def tail(self, x):
        return self.head(self.second(x).flatten(1))


class Viewing(Net):
    """Written for contiguous memory."""

    def tail(self, x):
        x = self.second(x)
        return self.head(x.view(len(x), -1))


class ViewingWeights(Net):
    """Standardises its weights, as many networks do."""

    def tail(self, x):
        weight = self.second.weight
        flat = weight.view(len(weight), -1)
        weight = (flat - flat.mean(1, keepdim=True)).view_as(weight)
        return self.head(functional.conv2d(x, weight, stride=2).flatten(1))


class Reading(Net):
    """Reads the memory behind its input, as a runtime that is bound to an address and a shape."""

    def forward(self, x):
        buffer = (ctypes.c_float * x.numel()).from_address(x.data_ptr())
        return super().forward(torch.from_numpy(np.ctypeslib.as_array(buffer).reshape(tuple(x.shape)).copy()))


class InPlace(Net):
    """Normalises its input where it lies."""

    def forward(self, x):
        return super().forward(x.mul_(3).sub_(1))


class Keeping(Net):
    """Gives the same tensor each time, filled anew."""

    kept = torch.empty(4, 1000)

    def forward(self, x):
        return self.kept[: len(x)].copy_(super().forward(x))


def made(module):
    spec = ModelSpec(backend="custom", name="net", transform=TRANSFORM.describe())
    return Classifier(spec, module, TRANSFORM)


@pytest.fixture(scope="module")
def pixels():
    return list(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8))


def plainly(module, pixels):
    """One contiguous image at a time, each in memory of its own."""
    with torch.no_grad():
        return torch.cat([module(TRANSFORM.batch([p], "cpu").contiguous()).clone() for p in pixels])


@pytest.mark.parametrize("kind", [Net, Viewing, ViewingWeights, Reading, InPlace, Keeping])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_model_gets_what_a_plain_loop_gives_it(pixels, kind, precision):
    """Folded or not, on the first batch and on the next, which may not change what the first one gave."""
    expected = plainly(kind().eval(), pixels)
    forward = Forward(made(kind()), RunSettings(batch_size=4, precision=precision), CPU)
    first, second = forward.launch(pixels, "abcd"), forward.launch(pixels[::-1], "dcba")
    tolerance = 1e-4 if precision == "fp32" else 0.05
    for got, right in ((first, expected), (second, expected.flip(0))):
        torch.testing.assert_close(got, right, rtol=0, atol=tolerance * float(expected.abs().max()))
    assert forward.optimizations == ["1 batch norms folded"]


def test_channels_last_stays_where_it_works(pixels):
    """The fast layout is given up by those alone that do not take it."""
    last = {}
    for kind in (Net, Viewing, Reading):
        module = kind()
        forward = Forward(made(module), RunSettings(batch_size=4, fold=False), CPU)
        forward.launch(pixels, "abcd")
        last[kind] = not module.second.weight.is_contiguous()
    assert last == {Net: True, Viewing: False, Reading: False}


def test_trials_are_not_seen_by_the_model(pixels):
    """Its first image is the first call that it remembers, and it is called once a batch."""
    module = Net()
    forward = Forward(made(module), RunSettings(batch_size=4, fold=False), CPU)
    forward.launch(pixels, "abcd")
    assert [n for n, _ in module.seen] == [4]


def test_a_function_gets_contiguous_batches(pixels):
    """Its code cannot be tried in two layouts, and it may hand the memory on."""
    net = Reading().eval()
    forward = Forward(made(LogitsOf(lambda x: net(x))), RunSettings(batch_size=4), CPU)
    got = forward.launch(pixels, "abcd")
    torch.testing.assert_close(got, plainly(net, pixels), rtol=0, atol=1e-4)
    assert all(contiguous for _, contiguous in net.seen)


def test_a_model_that_fails_in_both_says_so_on_its_own_batch(pixels):
    """The trial hides no error."""

    class Failing(Net):
        def tail(self, x):
            raise ZeroDivisionError("no such layer")

    forward = Forward(made(Failing()), RunSettings(batch_size=4), CPU)
    with pytest.raises(Exception, match="net failed on a batch of shape .*ZeroDivisionError: no such layer"):
        forward.launch(pixels, "abcd")
