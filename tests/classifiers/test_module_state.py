"""A module of the caller's is found as it was left: by trials, and by a whole scoring."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

from imagenet_hard.classifiers.module_state import as_it_was, undisturbed
from imagenet_hard.classifiers.outputs import LogitsOf


class Restless(nn.Module):
    """Remembers each call in every way that a module can."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sum", torch.zeros(3))
        self.inner = nn.BatchNorm2d(3)
        self.calls, self.history, self.by_size, self.sizes = 0, [], {}, set()
        self.last, self.plain, self.array = deque(maxlen=2), torch.zeros(2), np.zeros(2)

    def forward(self, x):
        self.calls += 1
        self.history.append(len(x))
        self.by_size[len(x)] = self.calls
        self.sizes.add(len(x))
        self.last.append(self.calls)
        self.sum += x.sum((0, 2, 3))
        self.plain.add_(1)
        self.array += 1
        self.made = x
        self.inner.running_mean = self.inner.running_mean + 1
        return x

    def state(self):
        """All of it, as plain values."""
        tensors = [self.sum, self.plain, self.inner.running_mean, self.inner.running_var]
        plain = [self.calls, list(self.history), dict(self.by_size), set(self.sizes), list(self.last)]
        return plain, [t.tolist() for t in tensors], self.array.tolist(), hasattr(self, "made")


def test_trials_leave_no_trace():
    """After calls inside the block everything is as before it, and the very objects are there."""
    module = Restless()
    module(torch.ones(2, 3, 4, 4))
    del module.made
    before, buffers = module.state(), [id(b) for b in module.buffers()]
    with undisturbed(module):
        for n in (1, 5):
            module(torch.ones(n, 3, 4, 4))
        assert module.state() != before
    assert module.state() == before
    assert [id(b) for b in module.buffers()] == buffers


def test_also_what_a_callable_object_remembers():
    """As the model of a bare function is wrapped, and as a bound method of a module."""

    class Counting:
        calls = 0

        def __call__(self, x):
            self.calls += 1
            return x

    counting, restless = Counting(), Restless()
    before = restless.state()
    with undisturbed(LogitsOf(counting)), undisturbed(LogitsOf(restless.forward)), undisturbed(counting):
        counting(1)
        restless(torch.ones(1, 3, 2, 2))
    assert (counting.calls, restless.state()) == (0, before)


def test_chance_goes_on_where_it_was():
    """A model that draws numbers draws those that it would have drawn without the trial."""
    torch.manual_seed(3)
    expected = torch.rand(4), np.random.RandomState(3).rand(4)
    torch.manual_seed(3)
    np.random.seed(3)
    with undisturbed(Restless()):
        torch.rand(7), np.random.rand(7)
    assert torch.equal(torch.rand(4), expected[0])
    assert np.array_equal(np.random.rand(4), expected[1])


def test_a_failure_inside_changes_nothing_of_that():
    """The state comes back, and the error goes on."""
    module = Restless()

    def fail():
        with undisturbed(module):
            module(torch.ones(1, 3, 2, 2))
            module("no tensor")

    with pytest.raises(AttributeError):
        fail()
    assert module.calls == 0


def signature(module):
    """Objects, values, strides, flags and modes of everything in a module."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [
        *(
            (k, id(t), t.stride(), t.device, t.requires_grad, t.detach().flatten().tolist())
            for k, t in tensors
        ),
        *((k, p.grad.stride()) for k, p in module.named_parameters() if p.grad is not None),
        *((k, layer.training) for k, layer in module.named_modules()),
    ]


def make(kind):
    """Modules whose memory is laid out in all sorts of ways."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1), nn.Dropout())
    module.register_buffer("grid", torch.arange(24.0).reshape(1, 2, 3, 4), persistent=False)
    if kind == "channels last":
        module.to(memory_format=torch.channels_last)
    elif kind == "turned":
        module[0].weight = nn.Parameter(torch.randn(4, 3, 3, 3).transpose(2, 3))
    elif kind == "expanded":
        module[0].weight = nn.Parameter(torch.randn(4, 3, 1, 1).expand(4, 3, 3, 3), requires_grad=False)
    elif kind == "tied":
        module.append(nn.Conv2d(4, 2, 1))
        module[4].weight = module[2].weight
    elif kind == "with gradients":
        module(torch.randn(2, 3, 8, 8)).sum().backward()
    module[1].eval()
    module[2].weight.requires_grad_(False)
    return module


@pytest.mark.parametrize("kind", ["plain", "channels last", "turned", "expanded", "tied", "with gradients"])
def test_a_module_comes_back(kind):
    """Bit for bit the same objects with the same strides, whatever the engine did, also after a failure."""
    module = make(kind)
    before = signature(module)

    def score():
        with as_it_was(module, len):
            module.eval().to(memory_format=torch.channels_last)
            for parameter in module.parameters():
                parameter.requires_grad_(False)
            raise RuntimeError("it failed")

    with pytest.raises(RuntimeError):
        score()
    assert signature(module) == before


def test_what_scoring_wrote_into_a_buffer_stays():
    """The object is the caller's, the value the last one: as after a plain loop."""
    module = make("plain")
    grid = module.grid
    with as_it_was(module):
        module.to(memory_format=torch.channels_last)
        module.grid.fill_(7)
    assert module.grid is grid
    assert (grid == 7).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_from_another_device():  # pragma: no cover
    """A module that was moved to the GPU comes back."""
    module = make("turned")
    before = signature(module)
    with as_it_was(module):
        module.cuda()
    assert signature(module) == before
