"""Small real parts for curation's tests: a grid of 27 zooms, tiny networks, and the protocol done plainly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.hardness import HardnessFilter
from imagenet_hard.curation.score.verdicts import CropQueues
from imagenet_hard.curation.store import CurationStore
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import ZoomGrid
from tests.engine.small import classifier, jpeg

GRID = ZoomGrid((20, 32, 48), 32, standard_scale=32)
SETTINGS = RunSettings(device="cpu", batch_size=8, workers=2)


@cache
def net(seed: int = 0) -> ZoomClassifier:
    """A random network over GRID."""
    return ZoomClassifier(f"net{seed}", classifier(seed), GRID)


def by_protocol(data: bytes, who: ZoomClassifier, mask: np.ndarray | None = None) -> np.ndarray:
    """int (27,): the class under each zoom; one crop a forward pass of the plain network, masked argmax."""
    logits = _plain_logits(data, who.model.module, who.model.transform)
    return (logits if mask is None else np.where(mask, logits, -np.inf)).argmax(axis=1)


@cache
def _plain_logits(data: bytes, module: torch.nn.Module, transform: Transform) -> np.ndarray:
    """float32 (27, 1000): many tests ask for the same."""
    image = decode(data).convert("RGB")
    found = []
    for number in range(len(GRID)):
        ((_, pixels),) = GRID.crops(image, [number])
        with torch.inference_mode():
            found.append(module.eval()(transform.batch([pixels], "cpu"))[0].numpy().copy())
    return np.stack(found)


@dataclass
class Made:
    """Images whose hardness is known: ids in order, bytes, labels."""

    ids: list[str]
    data: list[bytes]
    labels: list[tuple[int, ...]]
    hard: set[str]

    def source(
        self,
        name: str = "imagenet",
        state: str = "",
        mask: np.ndarray | None = None,
        order: Sequence[int] = (),
    ) -> OpenSource:
        rows = list(order) or list(range(len(self.ids)))
        benchmark = Benchmark(
            Source(name, "folder", state=state),
            [self.ids[i] for i in rows],
            [self.labels[i] for i in rows],
            [name] * len(rows),
            lambda i: self.data[rows[i]],
        )
        return OpenSource(SourceSpec(variant="imagenet", name=name, path="x"), benchmark, mask)


@cache
def made(n: int = 12, seeds: tuple[int, ...] = (0, 1)) -> Made:
    """A third solved by a zoom of the first network, a third by one of the last, a third by none."""
    classifiers = [net(seed) for seed in seeds]
    out = Made([], [], [], set())
    for i in range(n):
        data = jpeg(i, (40 + i % 7 * 9, 36 + i % 5 * 11))
        seen = [by_protocol(data, who) for who in classifiers]
        id = f"imagenet/{i:03}"
        every = set(np.concatenate(seen).tolist())
        if i % 3 == 2:
            label = next(c for c in range(1000) if c not in every)
            out.hard.add(id)
        else:
            rng = np.random.default_rng(i)
            label = int(rng.choice(seen[0] if i % 3 == 0 else seen[-1]))
        out.ids.append(id)
        out.data.append(data)
        out.labels.append((label,))
    return out


def run(
    store: CurationStore,
    sources: Sequence[OpenSource],
    classifiers: Sequence[ZoomClassifier],
    settings: RunSettings = SETTINGS,
    screened: Sequence[str] = (),
    **options: object,
) -> HardnessFilter:
    """One run of the filter to its end; ``screened``: ids of classifiers."""
    found = HardnessFilter(sources, CropQueues(classifiers, settings, screened), store, settings, **options)
    found.run()
    return found


def recipe(**changes: object) -> Recipe:
    """A valid recipe; the classifiers' names are never looked up in these tests."""
    return Recipe.model_validate(
        {
            "name": "small",
            "version": "1.0.0",
            "sources": [{"variant": "imagenet", "path": "x"}],
            "classifiers": [{"model": "net0"}],
            **changes,
        }
    )


def sha256(data: bytes) -> str:
    """Hex."""
    return hashlib.sha256(data).hexdigest()
