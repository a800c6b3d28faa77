"""Memory of models and devices."""

from __future__ import annotations

import torch
from torch import nn

from imagenet_hard.engine.memory import free_bytes, model_bytes


def test_a_model_counts_parameters_and_buffers():
    """In bytes of their types."""
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).half()
    assert model_bytes(module) == 2 * (12 + 4 + 4 + 4 + 4 + 4) + 8  # and an int64 counter
    assert free_bytes(torch.device("cpu")) > 0
