"""Settings and devices: wrong ones are refused where they are given."""

from __future__ import annotations

import pytest
import torch

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine.settings import RunSettings, resolve_device


def test_settings_say_what_they_expect():
    """Wrong values are refused where they are given."""
    with pytest.raises(UsageError, match="precision 'fp8': expected fp32, bf16, fp16"):
        RunSettings(precision="fp8")
    with pytest.raises(UsageError, match="batch_size is 0: expected 1 or more"):
        RunSettings(batch_size=0)


def test_devices():
    """A GPU that isn't there is named with a way out."""
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="device 'tpu'"):
        resolve_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="'cuda:3' was asked for.*sees 0 CUDA devices.*--device cpu"):
            resolve_device("cuda:3")
        assert resolve_device("auto").type in ("cpu", "mps")
