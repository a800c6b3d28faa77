"""Fold batch norms into the convolutions before them, where that is the same function.

In eval mode a batch norm is an affine map per channel, so ``bn(conv(x))`` is one convolution.
It is a fifth of the CPU time of an EfficientNet. Which batch norm follows which convolution is
seen by running the model once, not guessed from the order of its modules; the caller checks the
folded model against the original on real pixels before it is used (``forward.Forward``).
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any

from imagenet_hard.classifiers.module_state import undisturbed

if TYPE_CHECKING:
    import torch
    from torch import nn


def fold_batch_norms(module: nn.Module, example: torch.Tensor) -> tuple[nn.Module, int]:
    """A copy of ``module`` with batch norms folded away, and how many.

    ``module`` is in eval mode; ``example``: float32 (n, 3, H, W) on its device, of which a copy is run.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    if not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
        return module, 0
    folded = copy.deepcopy(module)
    pairs = _convolutions_and_norms(folded, example)
    for conv, norm in pairs:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # In float64 and back: the folded weights are then the nearest float32 to the exact ones.
        weight, bias = fuse_conv_bn_weights(
            conv.weight.double(),
            None if conv.bias is None else conv.bias.double(),
            norm.running_mean.double(),
            norm.running_var.double(),
            norm.eps,
            None if norm.weight is None else norm.weight.double(),
            None if norm.bias is None else norm.bias.double(),
        )
        dtype = conv.weight.dtype
        conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        conv.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        _replace(folded, norm, _activation(norm))
    return folded, len(pairs)


def _convolutions_and_norms(
    module: nn.Module, example: torch.Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Pairs in which the norm's input is the very tensor that the convolution gave, each called once."""
    import torch
    from torch import nn

    made_by: dict[int, nn.Conv2d] = {}
    kept: list[torch.Tensor] = []  # keeps ids of tensors from being used again
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: Counter[nn.Module] = Counter()

    def after(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[layer] += 1
        if isinstance(layer, nn.Conv2d):
            kept.append(output)
            made_by[id(output)] = layer
        elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
            conv = made_by.pop(id(inputs[0]), None)
            if conv is not None and conv.out_channels == layer.num_features:
                pairs.append((conv, layer))

    hooks = [
        layer.register_forward_hook(after)
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        with torch.inference_mode(), undisturbed(module):
            module(example[:1].clone())
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1]


def _activation(norm: nn.BatchNorm2d) -> nn.Module:
    """What is left of the norm: timm's BatchNormAct2d also drops out and activates."""
    from torch import nn

    parts = [getattr(norm, name, None) for name in ("drop", "act")]
    return nn.Sequential(*[part for part in parts if isinstance(part, nn.Module)])


def _replace(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in module.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
