"""Survivors with their sources, made of images at hand; and a port to show them on."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence

from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.records import OpenSource, Survivor, View
from imagenet_hard.dataset.benchmark import Benchmark, Source

RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "version": "1.0.0",
        "sources": [
            {"variant": "imagenet", "path": "val", "licence": "x"},
            {"variant": "imagenet-sketch", "path": "sketch", "licence": "x"},
        ],
        "classifiers": [{"model": "efficientnet_lite0"}, {"model": "vit_b_32", "size": 240}],
    }
)
STANDARD = 112
"""Number of the standard view at 224; 112 is scale 256 in the larger grid as well."""


def open_source(spec: SourceSpec, names: Sequence[str], images: Sequence[bytes]) -> OpenSource:
    """A source with one label an image: 0, 1, 2, ..."""
    ids = [f"{spec.id}/{name}" for name in names]
    labels = [(i % 1000,) for i in range(len(ids))]
    about = Source(spec.id, "folder")
    return OpenSource(
        spec, Benchmark(about, ids, labels, [spec.id] * len(ids), list(images).__getitem__), None
    )


def survivors(source: OpenSource) -> list[Survivor]:
    """Every image of the source as a survivor, with predictions that count up from its label."""
    return [
        Survivor(
            example.id,
            source.spec.id,
            example.labels,
            hashlib.sha256(example.image).hexdigest(),
            tuple(
                View(spec.id, STANDARD, (example.labels[0] + 5 + k) % 1000, 2.5 + k)
                for k, spec in enumerate(RECIPE.classifiers)
            ),
            tuple(
                View(RECIPE.classifiers[k % 2].id, 40 + 30 * k, (example.labels[0] + 7 + k) % 1000, 0.1 * k)
                for k in range(9)
            ),
        )
        for example in source.images
    ]


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
