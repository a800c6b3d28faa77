"""The score of an entry, computed from its answers and the gold: the only number that the board believes.

What answers in words name is read by this release's matcher, whichever read them when they were submitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.text import shorten
from imagenet_hard.base.types import Record, Scored
from imagenet_hard.evaluation.calibration import Calibration
from imagenet_hard.evaluation.generative.score import AnswersInfo, this_matcher
from imagenet_hard.evaluation.metrics import Metrics, Rate
from imagenet_hard.evaluation.predictions import predictions_sha256
from imagenet_hard.leaderboard.answers import Answers, read_answers
from imagenet_hard.leaderboard.entry import Entry
from imagenet_hard.leaderboard.gold import Gold

_TOLERANCE = 1e-6
"""Of what is a mean over images, where all else is counted."""


@dataclass(frozen=True)
class Rescored:
    """``correct`` bool (n,), ``top1_class`` int16 (n,) by id; ``metrics`` None where only classes are known.

    ``top5``: None where only the best class of each image is known. ``words``: of answers in words, what they
    name, as this release's matcher reads them.
    """

    top1: Rate
    top5: Rate | None
    correct: NDArray[np.bool_]
    top1_class: NDArray[np.int16]
    metrics: Metrics | None
    words: AnswersInfo | None = None


def answers_of(folder: Path, entry: Entry, gold: Gold, *, isolated: bool) -> Answers:
    """The answers in an entry's folder; ``isolated``: read in a process with limits, for strangers'.

    Raises:
        ResultError: as ``read_answers``.
    """
    return read_answers(
        folder,
        probabilities=entry.probabilities,
        isolated=isolated,
        places=entry.places,
        labels=gold.labels_by_id if entry.words else None,
    )


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
    found, words = None, answers.words
    predictions = words.reading.predictions if words else answers.predictions
    if metrics and predictions is not None:
        scored = Scored(predictions, gold.labels, gold.origins, gold.image_sha256)
        found = Metrics.from_scored(scored, near_tie_epsilon=near_tie_epsilon)
    right = gold.hits(answers.top5)
    n = len(right)
    return Rescored(
        top1=Rate.of(int(right[:, 0].sum()), n),
        top5=Rate.of(int(right.any(axis=1).sum()), n) if answers.places > 1 else None,
        correct=right[:, 0],
        top1_class=answers.top5[:, 0],
        metrics=found,
        words=AnswersInfo.of(words.raw, words.reading, gold.origins, None) if words else None,
    )


def read_by_another(entry: Entry) -> bool:
    """Whether another matcher than this release's read the answers of an entry, which are in words."""
    return entry.words is not None and entry.words.matcher != this_matcher()


def check_claim(entry: Entry, rescored: Rescored) -> None:
    """The counts that were typed are the counts that the answers give; but of another matcher's, which may.

    Raises:
        ResultError: they are not.
    """
    if read_by_another(entry):
        return
    for what, typed, found in (
        ("top-1", entry.claim.n_correct, rescored.top1.n_correct),
        ("top-5", entry.claim.n_top5, rescored.top5.n_correct if rescored.top5 else None),
    ):
        if typed != found:
            raise ResultError(
                f"{what} is claimed to be {typed} of {entry.claim.n_total} images: predictions get {found}"
            )


def check_metrics(entry: Entry, answers: Answers, rescored: Rescored) -> None:
    """Every metric of the entry's result follows from the answers and the gold; but those of another matcher.

    Raises:
        ResultError: the first that does not.
    """
    if entry.result is None or rescored.metrics is None or read_by_another(entry):
        return
    _check_same("metrics", entry.result.metrics, rescored.metrics)
    if entry.words is None or rescored.words is None or answers.words is None:
        return
    _check_same("answers", entry.words, rescored.words.model_copy(update={"asked": entry.words.asked}))
    if (got := predictions_sha256(answers.words.reading.predictions)) != entry.result.predictions_sha256:
        raise ResultError(
            f"what the answers name hashes to {got[:16]}...: the result names "
            f"{entry.result.predictions_sha256[:16]}..."
        )


def _check_same(what: str, claimed: Record, found: Record) -> None:
    for name in type(claimed).model_fields:
        if name == "per_superclass" and not getattr(claimed, name):
            continue  # an earlier release's
        if not _same(getattr(claimed, name), getattr(found, name)):
            raise ResultError(
                f"result.{what}.{name} does not follow from the predictions and the gold labels"
            )


def _same(got: object, expected: object) -> bool:
    """Equal; means within a rounding."""
    if isinstance(got, Calibration) and isinstance(expected, Calibration):
        pairs = ((getattr(got, name), value) for name, value in expected.model_dump().items())
        return all(np.allclose(each, value, rtol=0, atol=_TOLERANCE) for each, value in pairs)
    if isinstance(got, float) and isinstance(expected, float):
        return abs(got - expected) < _TOLERANCE
    return got == expected
