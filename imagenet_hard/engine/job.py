"""What the engine is given, one for each classifier: how an image becomes logits, and where rows are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagenet_hard.base.types import Scored
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.predictor import Predictor

Build = Callable[["Classifier", RunSettings, "torch.device"], "Predictor"]
"""A classifier made ready on a device; can be pickled, so that a worker elsewhere makes its own."""


@dataclass(frozen=True)
class Job:
    """Score ``classifier`` under ``settings`` into ``store``; ``on_progress`` is told of each batch's size.

    ``build``: by default one forward pass of the classifier's own view. Jobs of one pass share device and
    workers, as the first one's settings give them.
    """

    classifier: Classifier
    settings: RunSettings
    store: Store
    on_progress: Callable[[int], None] = lambda n: None
    build: Build = Forward


@dataclass(frozen=True)
class RunReport:
    """How a job went. ``seconds`` is wall time; of a pass that several jobs share, the own part of it and an
    equal share of what was done for all. ``workers``: decode threads, of all processes."""

    seconds: float
    n_scored: int
    n_resumed: int
    device: str
    batch_size: int
    workers: int
    peak_memory_bytes: int | None
    optimizations: tuple[str, ...]


Outcome = tuple[Scored, RunReport] | Exception
"""What a job ends with. One that fails does not end the others of its pass."""
