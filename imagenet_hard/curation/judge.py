"""From logits to verdicts: is the prediction right, and how far from it (paper, section 3).

Logits are cut to the classes of the image's variant before the argmax; any label counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEAR_TIE = 1e-3
"""Logits: closer verdicts are computed once more in a batch of their own.

What else is in a batch may move a logit in its last digits; a batch that holds nothing but copies
of one crop always gives the same, so verdicts depend neither on the order nor on a resumed run.
"""


def judge(
    logits: NDArray[np.float32],
    labels: Sequence[tuple[int, ...]],
    masks: Sequence[NDArray[np.bool_] | None],
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Deficits float32 (n,) and predictions int16 (n,) of logits float32 (n, 1000).

    ``masks[i]``: bool (1000,), the classes that count for row i, or None for all. The deficit is the
    best wrong logit minus the best right one: below 0 if and only if the prediction is among
    ``labels[i]``. On equal logits the lower class index is predicted.

    >>> logits = np.zeros((1, 1000), np.float32)
    >>> logits[0, 7], logits[0, 9] = 2, 5
    >>> judge(logits, [(7,)], [None])
    (array([3.], dtype=float32), array([9], dtype=int16))
    """
    masked = logits.copy()
    is_label = np.zeros(logits.shape, np.bool_)
    for i, (own, mask) in enumerate(zip(labels, masks, strict=True)):
        is_label[i, list(own)] = True
        if mask is not None:
            masked[i, ~mask] = -np.inf
    rows = np.arange(len(logits))
    predicted = masked.argmax(axis=1)
    best_right = np.where(is_label, masked, -np.inf).max(axis=1)
    best_wrong = np.where(is_label, -np.inf, masked).max(axis=1)
    deficit = (best_wrong - best_right).astype(np.float32)
    # An exact tie is right or wrong by the index: the smallest number keeps the sign.
    tie = deficit == 0
    deficit[tie] = np.where(is_label[rows, predicted][tie], -1, 1) * np.finfo(np.float32).tiny
    return deficit, predicted.astype(np.int16)
