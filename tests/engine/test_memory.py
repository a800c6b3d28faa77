"""Free memory, as the kernel, a container and a device tell it."""

from __future__ import annotations

import torch
from torch import nn

from imagenet_hard.engine.memory import free_bytes, free_host_bytes, model_bytes


def test_a_container_has_less_than_its_machine(tmp_path):
    """The least of both counts; a group without a limit limits nothing."""
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 9000 kB\nMemAvailable:  1000 kB\n")
    assert free_host_bytes(info, tmp_path) == 1000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert free_host_bytes(info, tmp_path) == 1000 * 1024
    (tmp_path / "memory.max").write_text("500005\n")
    assert free_host_bytes(info, tmp_path) == 500_000
    (tmp_path / "memory.current").write_text("600000\n")
    assert free_host_bytes(info, tmp_path) == 0


def test_a_machine_without_meminfo(tmp_path):
    """As macOS: half of what there is, a guess on the safe side."""
    found = free_host_bytes(tmp_path / "none", tmp_path)
    assert found is None or found > 1 << 20


def test_a_model_counts_parameters_and_buffers():
    """In bytes of their types."""
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).half()
    assert model_bytes(module) == 2 * (12 + 4 + 4 + 4 + 4 + 4) + 8  # and an int64 counter
    assert free_bytes(torch.device("cpu")) > 0
