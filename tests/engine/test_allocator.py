"""Memory of activations is reused, and the caller's process left no slower."""

from __future__ import annotations

import pytest
import torch

from imagenet_hard.engine.allocator import keep_activations


def test_activations_are_reused_inside_the_block():
    """Freed blocks of 100 MB are not faulted in again (where the C library is glibc)."""
    import resource

    with keep_activations() as could:
        if not could:
            pytest.skip("not glibc")
        for _ in range(20):  # until the heap has found its shape
            torch.empty(25_000_000).fill_(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.empty(25_000_000).fill_(1)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 50_000  # five times 24,414 pages otherwise


def test_the_callers_tensors_are_not_faulted_in_anew_afterwards():
    """The process is left no slower than it was: blocks of 8 MB are reused, as glibc does on its own."""
    import resource

    with keep_activations() as could:
        if not could:
            pytest.skip("not glibc")
    for _ in range(20):
        torch.empty(2_000_000).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.empty(2_000_000).fill_(1)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 10_000  # 20 times 1,953 pages otherwise
