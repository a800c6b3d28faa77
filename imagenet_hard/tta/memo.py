"""MEMO (Zhang et al., arXiv 2110.09506): one step per image that lowers the entropy of its mean prediction.

For each image, from the original weights: the mean of the softmax over N augmented views, one gradient
step on its entropy, then the prediction of the standard view. BatchNorm statistics are blended with those
of the batch at hand, for the views and, as in MEMO's code, for the standard view as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers.base import in_eval_mode
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.transform import apart
from imagenet_hard.engine.forward import REWRITE_TOLERANCE, exact_float32
from imagenet_hard.engine.optimize import layout_of
from imagenet_hard.tta.settings import GradientStep
from imagenet_hard.tta.views import ImageViews, ahead, cutter
from imagenet_hard.tta.zoomed import log_mean

if TYPE_CHECKING:
    from PIL import Image
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.settings import TtaSettings


@dataclass(frozen=True)
class Adapting:
    """An image's views, and the pixels of its standard view."""

    views: ImageViews
    standard: Any


class MemoPredictor:
    """Adapts to one image after another; after each, the weights are the original ones bit for bit.

    Raises:
        UsageError: for a precision other than float32, a batch size, CLIP, or a model without weights.
    """

    def __init__(
        self, classifier: Classifier, tta: TtaSettings, settings: RunSettings, device: torch.device
    ) -> None:
        assert tta.step is not None
        _check(classifier, tta, settings)
        self._viewing, self._cut = cutter(classifier, tta)
        self.classifier, self.device, self._step = classifier, device, tta.step
        self.batch_size, self.optimizations = tta.views, list[str]()
        self._ahead = ahead(tta, self._viewing.transform)
        self.name, self.precision = classifier.spec.name, settings.precision
        self._module = in_eval_mode(classifier.module).to(device)
        self._layout, self._transform = layout_of(classifier), apart(classifier.transform)
        self._weights = [p for p in self._module.parameters() if p.is_floating_point()]
        self._originals = [p.detach().clone() for p in self._weights]

    @property
    def images(self) -> int:
        """One: each image has weights of its own."""
        return 1

    @property
    def ahead(self) -> int | None:
        return self._ahead

    def prepare(self, image: Image.Image, digest: str) -> Adapting:
        return Adapting(self._cut(image, digest), self._transform.pixels(image))

    def launch(self, prepared: Sequence[Adapting], ids: Sequence[str]) -> torch.Tensor:
        """float32 (n, 1000): logits of the standard views, each under the weights adapted to its image.

        Raises:
            ClassifierError: the model gives no gradients, other than 1000 logits, or some that are not
                finite, or memory runs out.
        """
        found = []
        for each, id in zip(prepared, ids, strict=True):
            with self.adapted(each.views, id), torch.no_grad():
                batch = self._layout.of(self._transform.batch([each.standard], self.device))
                found.append(self._checked(self._module(batch), 1, id).clone())
        return torch.cat(found).detach()

    @contextmanager
    def adapted(self, views: ImageViews, id: str) -> Iterator[float]:
        """The module under the weights of one step on ``views``; yields the loss before the step, in nats."""
        module, name = self._module, self.classifier.spec.name
        flags = [p.requires_grad for p in self._weights]
        prior = self._step.batch_norm_prior
        try:
            with exact_float32(), undisturbed(module), blended_statistics(module, prior):
                batch = self._laid_out(self._viewing.transform.batch(views.pixels, self.device), id)
                for weight in self._weights:
                    weight.requires_grad_(True)
                yield self._adapt(batch, id)
        except torch.OutOfMemoryError as error:
            raise ClassifierError(
                f"out of memory on {self.device}: MEMO keeps the activations of all {self.batch_size} views "
                f"of an image for {name}: give fewer --tta-views"
            ) from error
        finally:
            with torch.no_grad():
                for weight, original, flag in zip(self._weights, self._originals, flags, strict=True):
                    weight.copy_(original)
                    weight.grad = None
                    weight.requires_grad_(flag)

    def shrink(self) -> bool:
        return False

    def _laid_out(self, batch: torch.Tensor, id: str) -> torch.Tensor:
        if not self._layout.settled:
            with torch.no_grad():
                self._layout.settle(
                    batch,
                    lambda some: self._checked(self._module(some), len(some), id).clone(),
                    REWRITE_TOLERANCE["fp32"],
                )
        return self._layout.of(batch)

    def _adapt(self, batch: torch.Tensor, id: str) -> float:
        with torch.enable_grad():
            loss = marginal_entropy(self._checked(self._module(batch), len(batch), id))
            if not loss.requires_grad:
                raise ClassifierError(
                    f"{self.classifier.spec.name} gives logits without gradients, which MEMO's step needs: "
                    "use --tta zoom"
                )
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer(self._step, self._weights).step()
        return float(loss.detach())

    def _checked(self, output: Any, n: int, id: str) -> torch.Tensor:
        name = self.classifier.spec.name
        if not isinstance(output, torch.Tensor) or output.shape != (n, N_CLASSES):
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise ClassifierError(f"{name} gave {shape} for {n} views: expected ({n}, {N_CLASSES})")
        if not torch.isfinite(output.topk(5).values).all():  # NaN comes first; -inf may mask the others
            raise ClassifierError(
                f"{name} gave NaN or infinite logits for image {id!r} under MEMO: a smaller --tta-lr may help"
            )
        return output


def marginal_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of the mean of the softmax of logits (views, 1000): MEMO's loss, in log space.

    A class that is masked in all views has no part in it, as in the authors' code.
    """
    if not (competing := (logits > -torch.inf).any(dim=0)).all():
        logits = logits[:, competing]
    mean = log_mean(torch.log_softmax(logits, dim=1))
    return -(mean * mean.exp()).sum()


def optimizer(step: GradientStep, weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """A fresh one, without anything of an earlier image."""
    if step.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=step.lr, weight_decay=step.weight_decay)
    return torch.optim.SGD(weights, lr=step.lr, weight_decay=step.weight_decay)


def _check(classifier: Classifier, tta: TtaSettings, settings: RunSettings) -> None:
    name = classifier.spec.name
    if settings.precision != "fp32":
        raise UsageError(f"--tta {tta.method} takes its step in fp32: got --precision {settings.precision}")
    if settings.batch_size is not None:
        raise UsageError(
            f"--tta {tta.method} runs the {tta.views} views of one image as one batch: leave out --batch-size"
        )
    for asked, option in (
        (settings.compile, "--compile"),
        (settings.runtime == "openvino", "--runtime openvino"),
    ):
        if asked:
            raise UsageError(f"--tta {tta.method} changes the weights for each image: leave out {option}")
    if classifier.spec.head is not None:
        raise UsageError(
            f"{name} is a zero-shot model: --tta {tta.method} adapts classifiers with a trained head; "
            "use --tta zoom"
        )
    if not any(p.is_floating_point() for p in classifier.module.parameters()):
        raise UsageError(
            f"{name} shows no weights to adapt, as functions do: --tta {tta.method} needs a torch.nn.Module; "
            "use --tta zoom"
        )


@contextmanager
def blended_statistics(module: nn.Module, prior: int) -> Iterator[None]:
    """Inside the block each batch norm normalises by ``N / (N + 1) * running + 1 / (N + 1) * batch`` with N =
    ``prior``, mean and variance alike (Schneider et al., arXiv 2006.16971).

    As in MEMO's code, the batch's variance is the unbiased one and its statistics are constants of the
    gradient. A batch with one value per channel has no variance: the running statistics stay as they are.
    Afterwards the layers hold the very tensors that they held before.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    kept = [
        (layer, layer.running_mean, layer.running_var)
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None and layer.running_var is not None
    ]
    hooks = [
        layer.register_forward_pre_hook(_blend(mean, variance, prior / (prior + 1)))
        for layer, mean, variance in kept
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, mean, variance in kept:
            layer.running_mean, layer.running_var = mean, variance


def _blend(mean: torch.Tensor, variance: torch.Tensor, keep: float) -> Any:
    def before(layer: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        batch = inputs[0].detach()
        if batch.numel() <= batch.shape[1]:
            layer.running_mean, layer.running_var = mean, variance
            return
        with torch.no_grad():
            own_mean, own_variance = torch.zeros_like(mean), torch.ones_like(variance)
            # With a momentum of 1 it writes the batch's own statistics, faster than two reductions.
            torch.nn.functional.batch_norm(batch, own_mean, own_variance, None, None, True, 1.0, layer.eps)
            layer.running_mean = keep * mean + (1 - keep) * own_mean
            layer.running_var = keep * variance + (1 - keep) * own_variance

    return before
