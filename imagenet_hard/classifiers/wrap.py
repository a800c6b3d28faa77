"""A module around what is not one, or does not give bare logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class LogitsOf(nn.Module):
    """Calls ``model`` and takes the logits out of what it gives.

    That is the tensor itself, the ``logits`` of an output object or mapping (transformers), or
    the first element of a tuple. A function may read the memory of its input (an inference runtime does):
    it gets contiguous batches.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: torch.Tensor) -> Any:
        output = self.model(batch if isinstance(self.model, nn.Module) else batch.contiguous())
        if isinstance(output, torch.Tensor):
            return output
        if isinstance(output, Mapping) and "logits" in output:
            return output["logits"]
        if hasattr(output, "logits"):
            return output.logits
        return output[0] if isinstance(output, (tuple, list)) and output else output


def bare(module: Any) -> Any:
    """The module or function inside what is put around it here and in ``outputs``."""
    from imagenet_hard.classifiers.outputs import AsLogits

    while isinstance(module, LogitsOf | AsLogits):
        module = module.model
    return module
