"""MEMO against a straightforward version of it, and what it leaves behind."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from functools import partial

import pytest
import torch
from torch import nn

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.classifiers.outputs import with_classes
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.evaluation.metrics import ADAPTED_EPSILON, near_tie_epsilon
from imagenet_hard.imagenet.mask import class_mask
from imagenet_hard.tta.memo import MemoPredictor
from imagenet_hard.tta.methods import METHODS
from imagenet_hard.tta.settings import build_predictor, tta_settings
from tests.engine.small import benchmark, classifier, score

CPU, DEVICE = RunSettings(device="cpu", workers=2), torch.device("cpu")


class Blended(nn.Module):
    """A batch norm written out: blended statistics, those of the batch constants of the gradient."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.mean, self.var = norm.running_mean, norm.running_var

    def forward(self, x):
        rows = x.detach().transpose(0, 1).reshape(x.shape[1], -1)
        mean = 16 / 17 * self.mean + 1 / 17 * rows.mean(1)
        var = 16 / 17 * self.var + 1 / 17 * rows.var(1)
        shape = (1, -1, 1, 1)
        scaled = (x - mean.view(shape)) / (var + self.eps).sqrt().view(shape)
        return scaled * self.weight.view(shape) + self.bias.view(shape)


def straightforward(module, views, standard, optimizer, lr, decay):
    """Loss, updated weights and the prediction, from the definition, with a graph of its own."""
    model = copy.deepcopy(module)
    for i, layer in enumerate(model):
        if isinstance(layer, nn.BatchNorm2d):
            model[i] = Blended(layer)
    for weight in model.parameters():
        weight.requires_grad_(True)
    mean = model(views).softmax(1).mean(0)
    loss = -(mean * mean.log()).sum()
    weights = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss, list(weights.values()))
    with torch.no_grad():
        for weight, gradient in zip(weights.values(), gradients, strict=True):
            if optimizer == "adamw":  # the first step: both moments are the gradient's after correction
                weight.mul_(1 - lr * decay).sub_(lr * gradient / (gradient.abs() + 1e-8))
            else:
                weight.sub_(lr * gradient)
        return float(loss), weights, model(standard)


def prepared(model, tta, index=0):
    example = benchmark(index + 1).examples[index]
    memo = build_predictor(tta, model, CPU, DEVICE)
    from imagenet_hard.dataset.decode import decode

    digest = hashlib.sha256(example.image).hexdigest()
    return memo, memo.prepare(decode(example.image, id=example.id), digest)


@pytest.mark.parametrize("method", ["memo", "zoom-memo"])
@pytest.mark.parametrize(
    ("optimizer", "lr", "decay"), [("sgd", 0.00025, 0.0), ("sgd", 0.5, 0.0), ("adamw", 1e-5, 0.01)]
)
def test_loss_step_and_prediction_are_those_of_a_straightforward_version(method, optimizer, lr, decay):
    """The same loss, the same updated weights to 1e-6, the same logits of the standard view."""
    tta = tta_settings(method, views=8, optimizer=optimizer, lr=lr)
    model = classifier()
    memo, image = prepared(model, tta)
    views = memo._viewing.transform.batch(image.views.pixels, "cpu")
    standard = model.transform.batch([image.standard], "cpu")
    loss, weights, expected = straightforward(model.module, views, standard, optimizer, lr, decay)
    with memo.adapted(image.views, "x") as got:
        assert got == pytest.approx(loss, abs=1e-5)
        for name, weight in model.module.named_parameters():
            torch.testing.assert_close(weight, weights[name], rtol=0, atol=1e-6)
    torch.testing.assert_close(memo.launch([image], ["x"]), expected, rtol=1e-5, atol=1e-5)


def test_the_step_lowers_the_entropy_and_changes_the_weights():
    """A step of a plain size moves every weight that has a gradient, downhill."""
    model = classifier()
    memo, image = prepared(model, tta_settings("zoom-memo", views=8, lr=0.01))
    before = model.module[-1].weight.clone()
    with memo.adapted(image.views, "x") as loss:
        assert not torch.equal(model.module[-1].weight, before)
        with torch.no_grad():
            again = model.module(memo._viewing.transform.batch(image.views.pixels, "cpu")).softmax(1).mean(0)
        assert float(-(again * again.log()).sum()) < loss


@pytest.mark.parametrize("fails", [False, True])
def test_weights_and_statistics_come_back_bit_for_bit(fails):
    """Also where the prediction fails: the state, the buffers and requires_grad are the original ones."""
    model = classifier()
    model.module[0].weight.requires_grad_(False)
    memo, image = prepared(model, tta_settings("memo", views=4, lr=0.5))
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    if fails:
        with pytest.raises(ZeroDivisionError), memo.adapted(image.views, "x"):
            raise ZeroDivisionError
    else:
        memo.launch([image, image], ["x", "y"])
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert not model.module[0].weight.requires_grad
    assert model.module[3].weight.requires_grad
    assert all(weight.grad is None for weight in model.module.parameters())
    assert not any(layer._forward_pre_hooks for layer in model.module.modules())


def test_order_and_neighbours_do_not_matter():
    """Every image starts from the original weights with views of its own."""
    tta, data = tta_settings("memo", views=4, lr=0.1), benchmark(6)
    runs = []
    for part in (data.examples, data.examples[::-1]):
        model = classifier()
        scored, _ = score(
            model,
            dataclasses.replace(data, examples=part),
            CPU,
            Store(None, "k"),
            build=partial(build_predictor, tta),
        )
        runs.append(scored.predictions)
    assert (runs[0].top5 == runs[1].top5).all()
    assert (runs[0].logprob5 == runs[1].logprob5).all()


def test_what_memo_refuses():
    """Half precision, a batch size, zero-shot models and models without weights; each says why."""
    tta, model = tta_settings("memo", views=2), classifier()
    with pytest.raises(UsageError, match="takes its step in fp32: got --precision bf16"):
        build_predictor(tta, model, dataclasses.replace(CPU, precision="bf16"), DEVICE)
    with pytest.raises(UsageError, match="leave out --batch-size"):
        build_predictor(tta, model, dataclasses.replace(CPU, batch_size=4), DEVICE)
    clip = dataclasses.replace(model, spec=model.spec.model_copy(update={"head": {"templates": 80}}))
    with pytest.raises(UsageError, match="zero-shot model.*use --tta zoom"):
        build_predictor(tta, clip, CPU, DEVICE)
    with pytest.raises(UsageError, match="shows no weights to adapt"):
        build_predictor(tta, dataclasses.replace(model, module=nn.Identity()), CPU, DEVICE)


def test_a_model_without_gradients_is_told():
    """Logits cut off from the weights are no error of torch but a message."""

    class Detached(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x).detach()

    model = classifier()
    memo, image = prepared(
        dataclasses.replace(model, module=Detached(model.module)), tta_settings("memo", views=2)
    )
    assert isinstance(memo, MemoPredictor)
    with pytest.raises(ClassifierError, match="logits without gradients"):
        memo.launch([image], ["x"])


def test_a_mask_applies_to_the_views_before_their_mean_and_the_entropy():
    """As in the authors' code: the same loss and prediction as of a network that has these outputs only."""
    mask = class_mask(range(0, 1000, 20))
    kept = list(mask.indices)
    whole = classifier()
    few = copy.deepcopy(whole.module)
    few[-1].weight = nn.Parameter(whole.module[-1].weight[kept].detach().clone())
    few[-1].bias = nn.Parameter(whole.module[-1].bias[kept].detach().clone())
    memo, image = prepared(with_classes(whole, mask), tta_settings("memo", views=8, lr=0.05))
    views = memo._viewing.transform.batch(image.views.pixels, "cpu")
    standard = whole.transform.batch([image.standard], "cpu")
    loss, _, expected = straightforward(few, views, standard, "sgd", 0.05, 0.0)
    with memo.adapted(image.views, "x") as got:
        assert got == pytest.approx(loss, abs=1e-5)
    (found,) = memo.launch([image], ["x"])
    torch.testing.assert_close(found[kept], expected[0], rtol=1e-4, atol=1e-4)
    assert torch.isneginf(found[~torch.from_numpy(mask.kept())]).all()


def test_probabilities_are_read_before_the_entropy():
    """A network that ends in a softmax takes the step of its logits."""
    tta = tta_settings("zoom-memo", views=4, lr=0.05)
    model = classifier()
    memo, image = prepared(model, tta)
    soft = from_module(nn.Sequential(copy.deepcopy(model.module), nn.Softmax(1)), model.transform)
    again, _ = prepared(soft, tta)
    found, expected = (each.launch([image], ["x"]).softmax(1) for each in (again, memo))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_each_method_names_what_runs_it():
    """A closed set in one table; settings that belong to no method are refused, however they were made."""
    assert [method.maker().__name__ for method in METHODS.values()] == [
        "ZoomPredictor",
        *["MemoPredictor"] * 2,
    ]
    memo, zoom = tta_settings("memo", views=2), tta_settings("zoom", views=2)
    for wrong, message in (
        (memo.model_copy(update={"method": "tent"}), "package"),
        (memo.model_copy(update={"method": "zoom"}), "memo and zoom-memo have one, zoom has none"),
        (memo.model_copy(update={"method": "zoom-memo"}), "zoom-memo takes random-resized-crop"),
        (zoom.model_copy(update={"step": memo.step}), "zoom has none"),
    ):
        with pytest.raises(UsageError, match=message):
            build_predictor(wrong, classifier(), CPU, DEVICE)
    assert isinstance(build_predictor(memo, classifier(), CPU, DEVICE), MemoPredictor)


def test_near_ties_are_wider_after_a_step():
    """What a step makes of rounding is not 0.001 any more; without a step nothing changes."""
    assert near_tie_epsilon("fp32", tta_settings("zoom")) == near_tie_epsilon("fp32", None) == 0.001
    for method in ("memo", "zoom-memo"):
        assert near_tie_epsilon("fp32", tta_settings(method)) == ADAPTED_EPSILON > 0.03
    assert near_tie_epsilon("bf16", None) == 0.5
