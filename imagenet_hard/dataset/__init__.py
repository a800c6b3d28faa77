"""Benchmarks: images with labels, by name, from a folder or from the Hub. It knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.dataset.load import load_dataset

__all__ = ["Benchmark", "load_dataset"]


def __getattr__(name: str) -> Any:
    if name == "load_dataset":
        from imagenet_hard.dataset.load import load_dataset

        return load_dataset
    if name == "Benchmark":
        from imagenet_hard.dataset.benchmark import Benchmark

        return Benchmark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
