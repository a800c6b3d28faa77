"""Memory: what a model takes, what is free on a device, and the most that a run took."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from imagenet_hard.base.runtime import free_memory

if TYPE_CHECKING:
    import torch
    from torch import nn


def model_bytes(module: nn.Module) -> int:
    """Of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in [*module.parameters(), *module.buffers()])


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a CUDA device, else of the machine; None where it cannot be told."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()


def peak_memory(device: torch.device) -> int | None:
    """Of the device for CUDA, else of the process (resident set), in bytes."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
