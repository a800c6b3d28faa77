"""What any softmax over 1000 classes obeys, whoever ran the model."""

from __future__ import annotations

import numpy as np

from imagenet_hard.base.errors import ResultError
from imagenet_hard.base.types import N_CLASSES, Predictions

TOLERANCE = 1e-3
"""Absolute and relative: logits and their log probabilities are float32, each rounded on its own."""


def check_softmax(predictions: Predictions) -> None:
    """Two laws beyond those of ``check_predictions`` (finite, falling, summing to at most 1).

    The margin is the difference of the first two log probabilities, and each of the 995 classes that are
    not stored has at most the fifth one's probability.

    Raises:
        ResultError: how many rows break a law, and the first of them.
    """
    log_p = predictions.logprob5.astype(np.float64)
    margin = predictions.margin.astype(np.float64)
    p = np.exp(log_p)
    rest = (N_CLASSES - 5) * p[:, 4]
    for bad, law in (
        (
            np.abs(margin - (log_p[:, 0] - log_p[:, 1])) > TOLERANCE + TOLERANCE * margin,
            "the margin is not the difference of the first two log probabilities",
        ),
        (
            1 - p.sum(axis=1) > rest + TOLERANCE + TOLERANCE * rest,
            "the other 995 classes would be likelier than the fifth",
        ),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise ResultError(
                f"no softmax over {N_CLASSES} classes gives these probabilities: in {int(bad.sum())} rows, "
                f"the first row {row} (id {predictions.ids[row]!r}), {law}"
            )
