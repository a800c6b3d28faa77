"""Code of one's own: that it is noticed, and that each change of it or of what it reads shows in its hash."""

from __future__ import annotations

import functools
import importlib
import sys

import pytest
import timm
import torch
from torch import nn
from torchvision import transforms

from imagenet_hard.classifiers import own_code
from imagenet_hard.classifiers.own_code import holds_own_code, is_own, own_code_sha256

LIMIT = 0.5


class Net(nn.Module):
    """With a setting that is no weight."""

    scale = 2.0

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift, self.order, self.layer = shift, [0, 1], nn.Dropout(0.1)
        self.register_buffer("mean", torch.zeros(3), persistent=False)

    def forward(self, x):
        return x * self.scale + self.shift


def test_whose_code_it_is():
    """Of torch, timm, numpy, the standard library and this package none is one's own; a test's is."""
    assert not any(
        map(is_own, (nn.Linear, timm.create_model, functools.wraps, own_code, own_code_sha256, len))
    )
    assert all(map(is_own, (Net, test_whose_code_it_is, sys.modules[__name__])))
    library = transforms.Compose([transforms.Resize(8), transforms.ToTensor()])
    assert not holds_own_code(library)
    assert holds_own_code(transforms.Compose([*library.transforms, lambda x: x * 2]))
    assert holds_own_code(functools.partial(library.__call__, img=Net()))


def test_the_same_code_has_the_same_hash():
    """Whatever object it is, and whatever mode it is in."""
    assert own_code_sha256(Net()) == own_code_sha256(Net().eval())
    assert own_code_sha256(lambda x: x + 1, Net()) == own_code_sha256(lambda x: x + 1, Net())
    assert own_code_sha256(timm.create_model("test_vit")) == own_code_sha256(timm.create_model("test_vit"))


CHANGES = {
    "an attribute": lambda net: setattr(net, "shift", 0.1),
    "a list": lambda net: net.order.reverse(),
    "a layer's setting": lambda net: setattr(net.layer, "p", 0.2),
    "a buffer that is in no checkpoint": lambda net: net.mean.fill_(1),
    "a new forward": lambda net: setattr(net, "forward", lambda x: x),
    "a hook": lambda net: net.register_forward_hook(lambda module, x, y: y * 2),
    "an unregistered tensor": lambda net: setattr(net, "table", torch.ones(2)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_a_module_shows(change):
    """Its weights stay the same in each case."""
    changed = Net()
    change(changed)
    assert own_code_sha256(changed) != own_code_sha256(Net())


def test_what_a_function_reads_shows(monkeypatch):
    """Closures, defaults, bound arguments, globals, attributes of a class, and weights behind it all."""

    def closed(value):
        return lambda x: x + value

    def default(value):
        def f(x, by=value):
            return x + by

        return f

    def reading(x):
        return x + LIMIT + Net.scale

    layer = nn.Linear(2, 2)
    other = nn.Linear(2, 2)
    for make in (closed, default, lambda value: functools.partial(closed, value)):
        assert own_code_sha256(make(1)) == own_code_sha256(make(1)) != own_code_sha256(make(2))
        assert own_code_sha256(make(layer)) == own_code_sha256(make(layer)) != own_code_sha256(make(other))
    hashes = [own_code_sha256(reading)]
    monkeypatch.setitem(globals(), "LIMIT", 0.6)
    hashes.append(own_code_sha256(reading))
    monkeypatch.setattr(Net, "scale", 3.0)
    hashes.append(own_code_sha256(reading))
    assert len(set(hashes)) == 3


def test_two_functions_on_one_line_are_two():
    """Their file is the same, their bytecode is not."""
    f, g = (lambda x: x + 1), (lambda x: x + 2)
    assert own_code_sha256(f) != own_code_sha256(g)


def test_code_without_a_file_is_seen():
    """As it is typed into a notebook."""
    hashes = set()
    for factor in (2, 3, 2):
        scope = {"__name__": "typed", "nn": nn}
        exec(f"class Typed(nn.Module):\n  def forward(self, x):\n    return x * {factor}", scope)
        hashes.add(own_code_sha256(scope["Typed"]()))
    assert len(hashes) == 2


def test_a_file_that_is_imported_by_the_model_s_file_counts(tmp_path, monkeypatch):
    """A helper is corrected; a file that nobody imports does not matter."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "help_a.py").write_text("def act(x):\n    return x\n")
    (tmp_path / "help_b.py").write_text("VALUE = 1\n")
    (tmp_path / "own_net.py").write_text(
        "import help_b\nfrom help_a import act\nfrom torch import nn\n"
        "class Own(nn.Module):\n    def forward(self, x):\n        return act(x) * help_b.VALUE\n"
    )
    (tmp_path / "other.py").write_text("x = 1\n")

    def now():
        for name in ("help_a", "help_b", "own_net", "other"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        importlib.import_module("other")
        return own_code_sha256(importlib.import_module("own_net").Own())

    first = now()
    (tmp_path / "other.py").write_text("x = 2\n")
    assert now() == first
    (tmp_path / "help_a.py").write_text("def act(x):\n    return x + 1\n")
    second = now()
    (tmp_path / "help_b.py").write_text("VALUE = 2  # and something else\n")
    assert len({first, second, now()}) == 3


def test_it_ends():
    """On objects that hold one another, and on more of them than are looked at."""
    net = Net()
    net.self_again = [net, {"net": net}]
    net.many = [[i] for i in range(3000)]
    assert own_code_sha256(net)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(own_code, "MOST", 100)
        assert own_code_sha256(net)
