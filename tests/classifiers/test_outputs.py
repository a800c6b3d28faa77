"""What models give, read as logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.classifiers.base import Outputs
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.classifiers.outputs import AsLogits, recognise, remarks
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.imagenet.mask import class_mask

TINY = {"resize": 40, "crop": 32}


def rows(n: int = 4, classes: int = 1000, scale: float = 3.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(n, classes, generator=torch.Generator().manual_seed(seed))


def tiny(*tail: nn.Module, classes: int = 1000, scale: float = 30.0) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes), *tail)
    with torch.no_grad():
        module[2].weight.mul_(scale)
    return module


class Just(nn.Module):
    """Gives these rows, whatever its input."""

    def __init__(self, given: torch.Tensor) -> None:
        super().__init__()
        self.given = given

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.given.clone()


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (lambda x: x, "logits"),
        (lambda x: x.softmax(1), "probabilities"),
        (lambda x: x.softmax(1).bfloat16(), "probabilities"),
        (lambda x: x.log_softmax(1), "log-probabilities"),
        (lambda x: x.softmax(1).log().half(), "log-probabilities"),
        (lambda x: torch.eye(1000)[:4], "probabilities"),
        (lambda x: x.relu(), "logits"),
        (lambda x: torch.zeros(4, 1000), "logits"),
        (lambda x: torch.full((4, 1000), 0.001), "probabilities"),
        (lambda x: x - x.max(), "logits"),
        (lambda x: x.masked_fill(torch.arange(1000) % 5 > 0, -torch.inf).log_softmax(1), "log-probabilities"),
        (lambda x: torch.full((4, 1000), torch.nan), "logits"),
    ],
)
def test_what_outputs_are_is_seen(make, form):
    """Probabilities sum to 1, and so do exponentials of log probabilities; all else are logits."""
    assert recognise(make(rows()), "m") == form


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda x: x.sigmoid(),
            r"outputs of m all lie in \[0, 1\] and do not sum to 1, as those of a sigmoid",
        ),
        (lambda x: 0.2 + 0.1 * torch.rand_like(x), "similarities times the model's scale"),
        (lambda x: 100 * x.softmax(1), "sum to 100: give shares that sum to 1"),
        (lambda x: -x.log_softmax(1), "negative log probabilities, of which the least is the best"),
    ],
)
def test_scores_of_which_a_softmax_means_nothing(make, message):
    """They are refused with what to give instead."""
    with pytest.raises(ClassifierError, match=message):
        recognise(make(rows()), "m")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.1, 8),
    st.sampled_from(["probabilities", "log-probabilities", "logits"]),
)
def test_reading_undoes_the_softmax(seed, scale, form):
    """Law: whatever the form, the softmax and the differences of logits are those of the logits."""
    logits = rows(3, scale=scale, seed=seed)
    given_ = {
        "logits": logits,
        "probabilities": logits.softmax(1),
        "log-probabilities": logits.log_softmax(1),
    }[form]
    read = AsLogits(Just(given_), Outputs(form))(logits)
    torch.testing.assert_close(read.softmax(1), logits.softmax(1), rtol=1e-4, atol=1e-7)
    top, want = read.topk(5), logits.topk(5)
    assert (top.indices == want.indices).all()
    torch.testing.assert_close(
        top.values - top.values[:, :1], want.values - want.values[:, :1], rtol=1e-4, atol=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1000]), st.booleans(), st.booleans())
def test_a_background_class_and_a_mask_are_left_out_before_the_softmax(seed, drop, softmax, masked):
    """Law: the same as logits without these columns, whatever the form; what is left keeps its place."""
    logits = rows(3, classes=1001, seed=seed)
    kept = np.delete(logits.numpy(), drop, axis=1)
    mask = class_mask("imagenet-r") if masked else None
    if mask:
        kept = np.where(mask.kept(), kept, -np.inf)
    outputs = Outputs("probabilities" if softmax else "logits", drop, mask)
    read = AsLogits(Just(logits.softmax(1) if softmax else logits), outputs)(logits).numpy()
    expected = np.exp(kept - kept.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    got = np.exp(read - read.max(axis=1, keepdims=True))
    np.testing.assert_allclose(got / got.sum(axis=1, keepdims=True), expected, rtol=1e-4, atol=1e-7)
    assert (np.isneginf(read) == np.isneginf(kept)).all()


def test_probabilities_of_zero_have_a_log_and_a_gradient():
    """A softmax that underflows: no infinity, the order of the others, and a step that MEMO can take."""
    p = torch.zeros(1, 1000, requires_grad=True)
    with torch.no_grad():
        p[0, 7], p[0, 9] = 0.9, 0.1
    read = AsLogits(Just(p), Outputs("probabilities"))(p)
    assert torch.isfinite(read).all()
    assert read[0].topk(3).indices[:2].tolist() == [7, 9]
    read.softmax(1)[0, 9].backward()
    assert p.grad is None or torch.isfinite(p.grad).all()


def test_a_row_that_is_no_distribution_is_no_answer():
    """A model that gives probabilities, and for one image something else: that row is NaN, which is told."""
    p = rows().softmax(1)
    p[1] *= 2
    p[2, 0] -= 1
    read = AsLogits(Just(p), Outputs("probabilities"))(p)
    assert torch.isnan(read).any(dim=1).tolist() == [False, True, True, False]


def test_ones_own_models_are_read_as_what_they_give():
    """Recognised when a classifier is made of them, and recorded; plain logits need no wrapper."""
    plain = from_module(tiny(), TINY)
    assert (plain.outputs, type(plain.module)) == (Outputs(), nn.Sequential)
    batch = torch.rand(3, 3, 32, 32)
    for tail, form in ((nn.Softmax(1), "probabilities"), (nn.LogSoftmax(1), "log-probabilities")):
        found = from_module(tiny(tail), TINY)
        assert found.outputs.form == form
        torch.testing.assert_close(found.module(batch).softmax(1), plain.module(batch).softmax(1))
    with pytest.raises(ClassifierError, match="as those of a sigmoid"):
        from_module(tiny(nn.Sigmoid()), TINY)


def test_a_thousand_and_one_outputs():
    """Refused with what to do; with the option they are the 1000 classes, in their places."""
    module = tiny(nn.Softmax(1), classes=1001)
    with pytest.raises(
        ClassifierError, match=r"1001 outputs.*in TensorFlow's models the first: --drop-class 0"
    ):
        from_module(module, TINY)
    found = from_module(module, TINY, drop_class=0)
    assert (found.outputs.form, found.outputs.drop_class) == ("probabilities", 0)
    batch = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(found.module(batch).softmax(1), module[:3](batch)[:, 1:].softmax(1))
    with pytest.raises(ClassifierError, match=r"\(1, 1000\).*--drop-class 0 is for 1001 outputs"):
        from_module(tiny(), TINY, drop_class=0)
    with pytest.raises(UsageError, match=r"drop class 7: a background class is the first \(0\) or the last"):
        from_module(module, TINY, drop_class=7)
    with pytest.raises(
        UsageError, match="bundled model with 1000 outputs: --drop-class is for models of your"
    ):
        load_classifier("efficientnet_lite0", drop_class=0)


@pytest.mark.parametrize(
    ("make", "form", "remark"),
    [
        (lambda x: x, "logits", None),
        (lambda x: x.half(), "logits", "the model gives float16: logits are rounded"),
        (
            lambda x: x.masked_fill(torch.arange(1000) % 5 > 0, -torch.inf),
            "logits",
            "never predicts 800 of its",
        ),
        (lambda x: x.masked_fill(torch.arange(1000) % 5 > 0, -1e9), "logits", "never predicts 800 of its"),
        (
            lambda x: x.masked_fill(torch.arange(1000) < 1, -torch.inf).softmax(1),
            "probabilities",
            "predicts 1 of",
        ),
        (lambda x: x / 20, "logits", r"lie in \[-1, 1\]: if they are cosine similarities"),
    ],
)
def test_what_a_reader_must_know(make, form, remark):
    """Rounded logits, a mask of the model's own, cosines without their scale."""
    found = remarks(make(rows()), form)
    assert len(found) == (remark is not None)
    if remark:
        import re

        assert re.search(remark, found[0])
