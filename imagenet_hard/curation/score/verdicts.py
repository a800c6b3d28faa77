"""From crops to verdicts: is the prediction right, and how far from it (paper, section 3).

Crops of many images wait in queues, one for each classifier at each precision, and go through it in full
batches. Logits are cut to the classes of the image's variant before the argmax; any label counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.crops import Crop
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.imagenet.zoom import ZoomGrid

NEAR_TIE = 1e-3
"""Logits: closer verdicts are computed once more in a batch of their own.

What else is in a batch, or what runs it, may move a logit in its last digits; a batch that holds nothing but
copies of one crop, run by torch, always gives the same. So verdicts depend neither on the order, nor on a
resumed run, nor on the runtime.
"""


def deficits(
    logits: NDArray[np.float32],
    labels: Sequence[tuple[int, ...]],
    masks: Sequence[NDArray[np.bool_] | None],
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Deficits float32 (n,) and predictions int16 (n,) of logits float32 (n, 1000).

    ``masks[i]``: bool (1000,), the classes that count for row i, or None for all. The deficit is the
    best wrong logit minus the best right one: below 0 if and only if the prediction is among
    ``labels[i]``. On equal logits the lower class index is predicted; -inf ranks last, so deficits may be
    infinite, and where all classes that count have it, the first of them is predicted.

    >>> logits = np.zeros((1, 1000), np.float32)
    >>> logits[0, 7], logits[0, 9] = 2, 5
    >>> deficits(logits, [(7,)], [None])
    (array([3.], dtype=float32), array([9], dtype=int16))
    """
    masked, counts = logits.copy(), np.ones(logits.shape, np.bool_)
    is_label = np.zeros(logits.shape, np.bool_)
    for i, (own, mask) in enumerate(zip(labels, masks, strict=True)):
        is_label[i, list(own)] = True
        if mask is not None:
            masked[i, ~mask], counts[i] = -np.inf, mask
    rows = np.arange(len(logits))
    predicted = np.where(np.isneginf(masked.max(axis=1)), counts.argmax(axis=1), masked.argmax(axis=1))
    best_right = np.where(is_label, masked, -np.inf).max(axis=1)
    best_wrong = np.where(is_label, -np.inf, masked).max(axis=1)
    tie = best_wrong == best_right  # of -inf as well, which has no difference
    deficit = np.subtract(best_wrong, best_right, out=np.zeros(len(rows), np.float32), where=~tie)
    # An exact tie is right or wrong by the index: the smallest number keeps the sign.
    deficit[tie] = np.where(is_label[rows, predicted][tie], -1, 1) * np.finfo(np.float32).tiny
    return deficit, predicted.astype(np.int16)


@dataclass(frozen=True)
class Verdict:
    """What a queue says of a crop: a deficit and a prediction, or why there is none.

    ``logits``: float32 (1000,), without a mask; a view into its batch's.
    """

    crop: Crop
    deficit: float = np.nan
    predicted: int = -1
    logits: NDArray[np.float32] | None = None
    error: str | None = None


class CropQueue:
    """Batches of crops from many images through one classifier.

    ``exact``: its verdicts are final, so near-ties are settled, by ``settling``; False for a screening.
    """

    def __init__(
        self,
        name: str,
        forward: Forward,
        grid: ZoomGrid,
        *,
        exact: bool = True,
        settling: Forward | None = None,
    ) -> None:
        self.name, self.forward, self.grid, self.exact = name, forward, grid, exact
        self._settling = settling or forward
        self.waiting: deque[Crop] = deque()
        self.n_crops = 0

    @property
    def full(self) -> bool:
        """Whether a whole batch waits."""
        return len(self.waiting) >= self.forward.batch_size

    def run(self) -> list[Verdict]:
        """The verdicts on one batch; crops of images decided meanwhile are dropped.

        Raises:
            ClassifierError: the classifier fails on several images alike.
        """
        batch: list[Crop] = []
        while self.waiting and len(batch) < self.forward.batch_size:
            crop = self.waiting.popleft()
            if crop.candidate.decided:
                crop.candidate.waiting -= 1
            else:
                batch.append(crop)
        if not batch:
            return []
        try:
            verdicts = self._verdicts(batch)
        except ClassifierError as error:
            verdicts = self._one_by_one(batch, error)
        return [self._settled(verdict) for verdict in verdicts] if self.exact else verdicts

    def _verdicts(self, batch: list[Crop], forward: Forward | None = None) -> list[Verdict]:
        self.n_crops += len(batch)
        logits = self._logits(batch, forward or self.forward)
        found, predicted = deficits(
            logits,
            [crop.candidate.record.labels for crop in batch],
            [crop.candidate.mask for crop in batch],
        )
        return [
            Verdict(crop, float(d), int(p), row)
            for crop, d, p, row in zip(batch, found, predicted, logits, strict=True)
        ]

    def _logits(self, batch: list[Crop], forward: Forward) -> NDArray[np.float32]:
        import torch

        while True:
            try:
                logits = forward.logits(
                    [crop.pixels for crop in batch], [crop.candidate.record.id for crop in batch]
                )
                return np.asarray(logits.cpu().numpy(), np.float32)
            except torch.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                if not forward.shrink():
                    raise ClassifierError(
                        f"out of memory on {forward.device} at batch size {forward.batch_size}: "
                        "give a smaller --batch-size"
                    ) from error
                half = forward.batch_size
                if len(batch) > half:
                    return np.concatenate(
                        [self._logits(batch[:half], forward), self._logits(batch[half:], forward)]
                    )

    def _settled(self, verdict: Verdict) -> Verdict:
        """A near-tie again, in a batch of copies of itself."""
        if verdict.error is not None or not abs(verdict.deficit) < NEAR_TIE:
            return verdict
        return self._verdicts([verdict.crop], self._settling)[0]

    def _one_by_one(self, batch: list[Crop], error: ClassifierError) -> list[Verdict]:
        """Which of a failed batch fail on their own: one bad image must not end the run."""
        verdicts: list[Verdict] = []
        for crop in batch:
            try:
                verdicts += self._verdicts([crop])
            except ClassifierError as own:
                verdicts.append(Verdict(crop, error=str(own)))
        failed = {id(v.crop.candidate) for v in verdicts if v.error is not None}
        if len(failed) > 1 and all(v.error is not None for v in verdicts):
            raise error
        return verdicts


class CropQueues:
    """``classifiers``: cheapest first. ``screened``: ids of those that bfloat16 screens. Serves many runs."""

    def __init__(
        self, classifiers: Sequence[ZoomClassifier], settings: RunSettings, screened: Collection[str] = ()
    ) -> None:
        self.device = resolve_device(settings.device)
        self.grids = {classifier.id: classifier.grid for classifier in classifiers}
        self.exact = {c.id: self._queue(c, settings) for c in classifiers}
        half = replace(settings, precision="bf16")
        self.screens = {c.id: self._queue(c, half) for c in classifiers if c.id in screened}

    def __iter__(self) -> Iterator[CropQueue]:
        # float32 first: what it solves needs no screening.
        yield from self.exact.values()
        yield from self.screens.values()

    @property
    def batch_size(self) -> int:
        """The largest of the classifiers'."""
        return max(queue.forward.batch_size for queue in self.exact.values())

    @property
    def n_crops(self) -> int:
        """Crops that went through any of them."""
        return sum(queue.n_crops for queue in self)

    @property
    def n_waiting(self) -> int:
        """Crops that wait for their batch."""
        return sum(len(queue.waiting) for queue in self)

    def _queue(self, classifier: ZoomClassifier, settings: RunSettings) -> CropQueue:
        forward = Forward(classifier.model, settings, self.device)
        settling = None
        if settings.runtime != "torch":
            settling = Forward(classifier.model, replace(settings, runtime="torch"), self.device)
        exact = settings.precision == "fp32"
        return CropQueue(classifier.id, forward, classifier.grid, exact=exact, settling=settling)
