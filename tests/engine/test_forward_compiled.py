"""torch.compile: the same predictions, checked before use, and what happens where it cannot be had."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine import forward
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from tests.engine.small import benchmark, classifier, score

CPU = RunSettings(device="cpu", workers=2)
COMPILED = dataclasses.replace(CPU, compile=True)
pytestmark = pytest.mark.filterwarnings("default")  # the compiler's own


def run(settings):
    return score(classifier(), benchmark(40), settings, Store(None, "k"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_predictions_are_the_same_but_for_near_ties():
    """Folded or not, in float32 and bfloat16; the record names it."""
    expected, _ = run(CPU)
    for changes in ({}, {"fold": False}, {"precision": "bf16"}):
        scored, report = run(dataclasses.replace(COMPILED, **changes))
        assert "torch.compile" in report.optimizations
        margin = 0.05 if changes.get("precision") == "bf16" else 1e-3
        differ = scored.predictions.top5[:, 0] != expected.predictions.top5[:, 0]
        assert (expected.predictions.margin[differ] < margin).all()


def test_a_compiled_model_that_computes_something_else_is_not_used(monkeypatch, caplog):
    """The eager one runs instead, and that is said."""
    monkeypatch.setattr(
        forward, "compiled", lambda module, batch, **kwargs: (torch.nn.Identity(), module(batch) + 1)
    )
    scored, report = run(COMPILED)
    assert report.optimizations == ("2 batch norms folded",)
    assert "run without torch.compile: its logits differ" in caplog.text
    assert (scored.predictions.top5 == run(CPU)[0].predictions.top5).all()


def test_a_compiler_that_fails_is_an_error_with_a_way_out(monkeypatch):
    """It was asked for, so it is not left out in silence."""

    def broken(module, **kwargs):
        def call(batch):
            raise RuntimeError("InvalidCxxCompiler: no g++\nmore")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(
        ClassifierError, match=r"torch.compile failed on small: .*no g\+\+\. Leave out --compile"
    ):
        run(COMPILED)


def test_memory_that_runs_out_first_does_not_cost_the_compilation(monkeypatch):
    """The smaller batch is compiled."""
    sizes = []

    class Tight(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            if len(x) > 8:
                raise torch.OutOfMemoryError("out of memory")
            return self.inner(x)

    def noting(module, batch, **kwargs):
        sizes.append(len(batch))
        return module, module(batch)

    monkeypatch.setattr(forward, "compiled", noting)
    model = classifier()
    model = dataclasses.replace(model, module=Tight(model.module))
    _, report = score(model, benchmark(40), COMPILED, Store(None, "k"))
    assert sizes == [8]
    assert report.optimizations[-1] == "torch.compile"


@pytest.mark.parametrize("settings", [CPU, COMPILED])
def test_what_is_no_tensor_of_logits_is_told_as_ever(settings):
    """Folding and compiling come after that check."""

    class Pair(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x), x

    model = classifier()
    model = dataclasses.replace(model, module=Pair(model.module))
    with pytest.raises(ClassifierError, match=r"small gave tuple for 16 images: expected logits"):
        score(model, benchmark(20), settings, Store(None, "k"))
