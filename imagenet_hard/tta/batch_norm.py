"""BatchNorm statistics blended with those of the batch at hand (Schneider et al., arXiv 2006.16971; MEMO)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def blended_statistics(module: nn.Module, prior: int) -> Iterator[None]:
    """Inside the block each batch norm normalises by
    ``N / (N + 1) * running + 1 / (N + 1) * batch`` with N = ``prior``, mean and variance alike.

    As in MEMO's code, the batch's variance is the unbiased one and its statistics are constants of the
    gradient. A batch with one value per channel has no variance: the running statistics stay as they are.
    Afterwards the layers hold the very tensors that they held before.
    """
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
            nn.functional.batch_norm(batch, own_mean, own_variance, None, None, True, 1.0, layer.eps)
            layer.running_mean = keep * mean + (1 - keep) * own_mean
            layer.running_var = keep * variance + (1 - keep) * own_variance

    return before
