"""What flows between the steps of curation: sources in, views and survivors, people's decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.types import ModelSpec
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.dataset.benchmark import Benchmark


@dataclass(frozen=True)
class OpenSource:
    """A source whose files have been listed and whose labels are read; no image is decoded yet.

    ``images``: every id is ``<spec.id>/<stable name>``, every origin is ``spec.id``; a labels tuple
    holds all class indices that count as right. ``mask``: bool (1000,), the classes that are scored
    over, or None for all. ``notes``: what was seen and left out, one line each.
    """

    spec: SourceSpec
    images: Benchmark
    mask: NDArray[np.bool_] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One image under one zoom of one classifier.

    ``classifier``: id of a recipe's classifier; ``zoom``: number in its grid; ``predicted``: class
    index (after the mask); ``deficit``: best wrong logit minus best right logit, > 0 where wrong.
    """

    classifier: str
    zoom: int
    predicted: int
    deficit: float


@dataclass(frozen=True, slots=True)
class Survivor:
    """An image to review: one that no zoom of any classifier solved, or whose label is in doubt.

    ``standard``: the standard view, one for each classifier in the recipe's order. ``closest``: up to
    nine views with the smallest deficit, smallest first. ``answered``: the classes that models give instead.
    """

    id: str
    source: str
    labels: tuple[int, ...]
    image_sha256: str
    standard: tuple[View, ...] = ()
    closest: tuple[View, ...] = ()
    answered: tuple[int, ...] = ()


@dataclass(frozen=True)
class ScoreSummary:
    """What the store knows of a scoring run, for the card and the manifest.

    ``classifiers``: recipe id -> who it was. ``seen``, ``solved``, ``hard``, ``undecided``: numbers of
    images for each source id; undecided ones could not be scored and are named in ``failures``
    (image id -> why). ``complete``: whether every image has been decided or has failed.
    """

    recipe_sha256: str
    classifiers: dict[str, ModelSpec]
    seen: dict[str, int]
    solved: dict[str, int]
    hard: dict[str, int]
    undecided: dict[str, int]
    failures: dict[str, str]
    complete: bool


@dataclass(frozen=True)
class FilterProgress:
    """Numbers of images so far (of ``total``; earlier runs included), and of crops of this run."""

    total: int
    solved: int
    hard: int
    failed: int
    crops: int
    seconds: float

    @property
    def done(self) -> int:
        """Images that need no more zooms."""
        return self.solved + self.hard + self.failed


@dataclass(frozen=True, slots=True)
class Decision:
    """What people decided about one survivor.

    ``labels``: the class indices after the review, for the ``action`` "relabel" only. ``reviewers``: who
    agreed on it, sorted.
    """

    id: str
    action: str
    reason: str = ""
    labels: tuple[int, ...] = ()
    reviewers: tuple[str, ...] = ()
