"""The paper's own figures of the zoom study, by model and set (``data/published_study.csv``; percent)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from imagenet_hard.base.types import ModelSpec

MEAN = "mean"
"""Stands for the paper's seven sets together."""


def published(model: ModelSpec, variant: str) -> Mapping[str, float]:
    """Quantity (``one_crop``, ``best``; of the mean, ``zoom-in`` and ``zoom-in alone``) -> percent.

    Empty where the paper has none for these weights on this set.
    """
    return _figures().get((model.backend, model.name, model.tag or "", variant), {})


@cache
def _figures() -> dict[tuple[str, str, str, str], dict[str, float]]:
    found: dict[tuple[str, str, str, str], dict[str, float]] = {}
    with files("imagenet_hard.study").joinpath("data", "published_study.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["backend"], row["model"], row["tag"], row["set"])
            found.setdefault(key, {})[row["quantity"]] = float(row["percent"])
    return found
