"""Made-up but lawful scored benchmarks, small and seeded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from imagenet_hard.base.types import BenchmarkInfo, ModelSpec, Predictions, Scored
from imagenet_hard.evaluation.environment import environment
from imagenet_hard.evaluation.metrics import Metrics
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.evaluation.result import Protocol, Result, Runtime

FINGERPRINT = "ab" * 32
ORIGINS = ("ImageNet", "ImageNet-Sketch", "ObjectNet")


def logits_to_predictions(ids: tuple[str, ...], logits: np.ndarray) -> Predictions:
    """float (n, 1000) -> Predictions, by a plain softmax and a stable sort."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logprob = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    order = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    top = np.take_along_axis(logits, order, axis=1)
    return Predictions(
        ids=ids,
        top5=order.astype(np.int16),
        logprob5=np.take_along_axis(logprob, order, axis=1).astype(np.float32),
        margin=(top[:, 0] - top[:, 1]).astype(np.float32),
    )


def make_scored(n: int = 40, seed: int = 0, skill: float = 4.0) -> tuple[Scored, np.ndarray]:
    """A scored benchmark and its logits; ``skill`` is what is added to the right classes' logits.

    Ids, labels and origins depend on ``n`` alone, predictions on ``seed`` as well.
    """
    fixed, rng = np.random.default_rng(1000 + n), np.random.default_rng(seed)
    ids = tuple(sorted(f"image-{i}" for i in range(n)))
    labels = tuple(
        tuple(sorted(fixed.choice(1000, size=fixed.integers(1, 4), replace=False).tolist())) for _ in ids
    )
    logits = rng.normal(size=(n, 1000)).astype(np.float32)
    for row, each in enumerate(labels):
        logits[row, list(each)] += skill * rng.random()
    scored = Scored(
        predictions=logits_to_predictions(ids, logits),
        labels=labels,
        origins=tuple(ORIGINS[i] for i in fixed.integers(0, 3, size=n)),
        image_sha256=tuple(f"{i:064x}" for i in range(n)),
    )
    return scored, logits


def make_result(
    scored: Scored,
    *,
    name: str = "vit_b_32",
    tag: str | None = "IMAGENET1K_V1",
    backend: str = "torchvision",
    **changes: Any,
) -> Result:
    """A Result of ``scored``; ``changes`` replace its fields."""
    n = len(scored.predictions)
    fields: dict[str, Any] = {
        "model": ModelSpec(
            backend=backend, name=name, tag=tag, input_size=(224, 224), transform={"kind": "standard"}
        ),
        "benchmark": BenchmarkInfo(
            name="imagenet-hard", source="taesiri/imagenet-hard", n=n, fingerprint=FINGERPRINT
        ),
        "protocol": Protocol(
            precision="fp32", batch_size=16, transform="native", decode={"exif_rotation": False}
        ),
        "metrics": Metrics.from_scored(scored),
        "runtime": Runtime(seconds=2.0, n_scored=n, images_per_second=n / 2, device="cpu", workers=2),
        "environment": environment(),
        "predictions_sha256": predictions_sha256(scored.predictions),
        "run_key": "0" * 64,
        "created": datetime(2026, 1, 31, 12, tzinfo=UTC),
    }
    return Result(**{**fields, **changes})
