"""The score of an entry, computed from its answers and the gold: the only number that the board believes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Scored
from imagenet_hard.evaluation.metrics import Metrics, Rate
from imagenet_hard.leaderboard.answers import Answers
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold

_CALIBRATION_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rescored:
    """``correct`` bool (n,), ``top1_class`` int16 (n,) by id; ``metrics`` None without probabilities.

    ``top5``: None where only the best class of each image is known.
    """

    top1: Rate
    top5: Rate | None
    correct: NDArray[np.bool_]
    top1_class: NDArray[np.int16]
    metrics: Metrics | None


def check_hash(entry: Entry, answers: Answers) -> None:
    """The predictions are those that the entry names.

    Raises:
        ResultError: they are not.
    """
    if answers.sha256 != entry.predictions_sha256:
        raise ResultError(
            f"the predictions hash to {answers.sha256[:16]}...: the entry {entry.id} names "
            f"{entry.predictions_sha256[:16]}..."
        )


def check_ids(answers: Answers, gold: Gold) -> None:
    """Exactly one answer to each image of the benchmark, and none to another.

    Raises:
        ResultError: how many are missing or unknown, and the first of them.
    """
    if answers.ids == gold.ids:
        return
    given, wanted = set(answers.ids), set(gold.ids)
    parts = [
        f"{len(found)} {what} ({', '.join(shorten(each, 60) for each in islice(sorted(found), 3))}, ...)"
        for what, found in (("missing", wanted - given), ("unknown", given - wanted))
        if found
    ]
    raise ResultError(
        f"the ids are not those of {gold.info.name} ({len(wanted)} images): {' and '.join(parts)}"
    )


def rescore(
    answers: Answers, gold: Gold, *, near_tie_epsilon: float | None = None, metrics: bool = True
) -> Rescored:
    """Score ``answers`` against ``gold``: right if the class is among the image's labels.

    ``metrics``: work out those of the probabilities too, where there are some.

    Raises:
        ResultError: the ids are not the gold's.
    """
    check_ids(answers, gold)
    found = None
    if metrics and answers.predictions is not None:
        scored = Scored(answers.predictions, gold.labels, gold.origins, gold.image_sha256)
        found = Metrics.from_scored(scored, near_tie_epsilon=near_tie_epsilon)
    right = np.take_along_axis(gold.right, answers.top5.astype(np.intp), axis=1)
    n = len(right)
    return Rescored(
        top1=Rate.of(int(right[:, 0].sum()), n),
        top5=Rate.of(int(right.any(axis=1).sum()), n) if answers.places > 1 else None,
        correct=right[:, 0],
        top1_class=answers.top5[:, 0],
        metrics=found,
    )


def check_claim(entry: Entry, rescored: Rescored) -> None:
    """The counts that were typed are the counts that the predictions give.

    Raises:
        ResultError: they are not.
    """
    for what, typed, found in (
        ("top-1", entry.claim.n_correct, rescored.top1.n_correct),
        ("top-5", entry.claim.n_top5, rescored.top5.n_correct if rescored.top5 else None),
    ):
        if typed != found:
            raise ResultError(
                f"{what} is claimed to be {typed} of {entry.claim.n_total} images: predictions get {found}"
            )


def check_metrics(entry: Entry, rescored: Rescored) -> None:
    """Every metric of the entry's result follows from the predictions and the gold.

    Raises:
        ResultError: the first that does not.
    """
    if entry.result is None or rescored.metrics is None:
        return
    claimed, found = entry.result.metrics, rescored.metrics
    for name in type(claimed).model_fields:
        got, expected = getattr(claimed, name), getattr(found, name)
        if name == "calibration":
            same = all(
                np.allclose(getattr(got, each), value, rtol=0, atol=_CALIBRATION_TOLERANCE)
                for each, value in expected.model_dump().items()
            )
        else:
            same = got == expected
        if not same:
            raise ResultError(
                f"result.metrics.{name} does not follow from the predictions and the gold labels"
            )
