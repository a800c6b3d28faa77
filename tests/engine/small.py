"""Small real parts for the engine's tests: a network with batch norms, and encoded images in memory."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imagenet_hard.base.types import Example, ModelSpec, Scored
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.job import Build, Job, RunReport
from imagenet_hard.engine.run import score_together
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store

TRANSFORM = Transform(40, (32, 32), "bicubic", (0.5,) * 3, (0.5,) * 3)


def jpeg(seed: int, size: tuple[int, int] = (60, 48)) -> bytes:
    """A smooth random JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=95)
    return out.getvalue()


@dataclass
class MemoryBenchmark:
    """Examples held in memory, with the part of ``Benchmark`` that the engine uses."""

    examples: list[Example]
    name: str = "memory"
    limit: int | None = None
    exif: bool = False

    def __len__(self) -> int:
        return len(self.examples)

    def tasks(self) -> Iterator[Callable[[], Example]]:
        for example in self.examples:
            yield lambda example=example: example


def benchmark(n: int = 50) -> MemoryBenchmark:
    return MemoryBenchmark(
        [Example(f"{i:03}.jpg", jpeg(i), (i % 1000, 999), "even" if i % 2 == 0 else "odd") for i in range(n)]
    )


def classifier(seed: int = 0, classes: int = 1000) -> Classifier:
    """Random weights, with batch-norm statistics that are far from the identity."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.BatchNorm2d(32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    ).eval()
    for layer in module:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.2, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -1, 1)
    spec = ModelSpec(
        backend="custom",
        name="small",
        tag=None,
        weights_sha256=str(seed),
        parameters=None,
        input_size=(32, 32),
        transform=TRANSFORM.describe(),
        transform_sha256=TRANSFORM.sha256(),
        head=None,
    )
    return Classifier(spec, module, TRANSFORM)


def keep_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO's exporter takes seconds for any network: what it has made of one serves all tests."""
    from imagenet_hard.engine import openvino

    plain = openvino._exported

    def exported(module: Any, batch: Any) -> Any:
        # How weights lie in memory is a part of the graph, and of the files that it is kept in.
        state = [(name, each.stride(), each.numpy().tobytes()) for name, each in module.state_dict().items()]
        key = pickle.dumps((str(module), tuple(batch.shape), state))
        if key not in _graphs:
            _graphs[key] = plain(module, batch)
        return _graphs[key].clone()

    monkeypatch.setattr(openvino, "_exported", exported)


_graphs: dict[bytes, Any] = {}


def score(
    classifier: Classifier,
    benchmark: Any,
    settings: RunSettings,
    store: Store,
    on_progress: Callable[[int], None] = lambda n: None,
    build: Build = Forward,
) -> tuple[Scored, RunReport]:
    """One job in this process: what came of it, or raises what went wrong."""
    (outcome,) = score_together([Job(classifier, settings, store, on_progress, build)], benchmark)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
