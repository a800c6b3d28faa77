"""A lane: one classifier at one precision, and the crops that wait for its next full batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.curation.judge import NEAR_TIE, judge
from imagenet_hard.curation.store import ImageRecord, Views
from imagenet_hard.imagenet.resizing import Enlarged
from imagenet_hard.imagenet.zoom import ZoomGrid, resize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagenet_hard.engine.forward import Forward


@dataclass(eq=False)
class Candidate:
    """An image at work: decoded, with its record and the steps that are left to try.

    ``waiting``: crops that are being made or queued. ``broken``: classifiers that cannot run on it.
    """

    record: ImageRecord
    mask: NDArray[np.bool_] | None
    image: Image.Image
    steps: Iterator[tuple[str, list[int]]]
    waiting: int = 0
    resized: tuple[int, Image.Image | Enlarged] | None = None

    def __post_init__(self) -> None:
        self.broken: dict[str, str] = {}

    @property
    def decided(self) -> bool:
        """Whether nothing more has to be tried."""
        return self.record.state != "open"

    def views(self, name: str, n: int) -> Views:
        """What classifier ``name`` with ``n`` zooms has seen of it."""
        return self.record.views.setdefault(name, Views.empty(n))

    def next_block(self, sizes: dict[str, int]) -> tuple[str, list[int]] | None:
        """The next classifier and zooms that have not been tried; None when all have been."""
        for name, zooms in self.steps:
            if name in self.broken:
                continue
            tried = self.views(name, sizes[name]).tried
            if block := [zoom for zoom in zooms if not tried[zoom]]:
                return name, block
        return None

    def crops(self, grid: ZoomGrid, zooms: list[int]) -> list[tuple[int, NDArray[np.uint8]]]:
        """The crops of ``zooms``; the last resize is kept, as the next classifier wants it too."""
        made = []
        for zoom in zooms:
            scale, kept = grid.scale_of(zoom), self.resized  # another block may be cut in another thread
            if kept is None or kept[0] != scale:
                kept = self.resized = (scale, resize(self.image, scale))
            made.append((zoom, grid.crop(kept[1], zoom)))
        return made


@dataclass(frozen=True, eq=False)
class Crop:
    """One candidate under one zoom, uint8 (size, size, 3).

    ``screened``: the deficit that a screening gave it, where it comes from one.
    """

    candidate: Candidate
    zoom: int
    pixels: NDArray[np.uint8]
    screened: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What a lane says of a crop: a deficit and a prediction, or why there is none."""

    crop: Crop
    deficit: float = np.nan
    predicted: int = -1
    error: str | None = None


class Lane:
    """Batches of crops from many images through one classifier.

    ``exact``: its verdicts are final, so near-ties are settled; False for a screening.
    """

    def __init__(self, name: str, forward: Forward, grid: ZoomGrid, *, exact: bool = True) -> None:
        self.name, self.forward, self.grid, self.exact = name, forward, grid, exact
        self.queue: deque[Crop] = deque()
        self.n_crops = 0

    @property
    def full(self) -> bool:
        """Whether a whole batch waits."""
        return len(self.queue) >= self.forward.batch_size

    def run(self) -> list[Verdict]:
        """The verdicts on one batch; crops of images decided meanwhile are dropped.

        Raises:
            ClassifierError: the classifier fails on several images alike.
        """
        batch: list[Crop] = []
        while self.queue and len(batch) < self.forward.batch_size:
            crop = self.queue.popleft()
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

    def _verdicts(self, batch: list[Crop]) -> list[Verdict]:
        self.n_crops += len(batch)
        deficits, predicted = judge(
            self._logits(batch),
            [crop.candidate.record.labels for crop in batch],
            [crop.candidate.mask for crop in batch],
        )
        return [
            Verdict(crop, float(d), int(p)) for crop, d, p in zip(batch, deficits, predicted, strict=True)
        ]

    def _logits(self, batch: list[Crop]) -> NDArray[np.float32]:
        import torch

        while True:
            try:
                logits = self.forward.logits(
                    [crop.pixels for crop in batch], [crop.candidate.record.id for crop in batch]
                )
                return np.asarray(logits.cpu().numpy(), np.float32)
            except torch.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                if not self.forward.shrink():
                    raise ClassifierError(
                        f"out of memory on {self.forward.device} at batch size {self.forward.batch_size}: "
                        "give a smaller --batch-size"
                    ) from error
                half = self.forward.batch_size
                if len(batch) > half:
                    return np.concatenate([self._logits(batch[:half]), self._logits(batch[half:])])

    def _settled(self, verdict: Verdict) -> Verdict:
        """A near-tie again, in a batch of copies of itself."""
        if verdict.error is not None or not abs(verdict.deficit) < NEAR_TIE:
            return verdict
        return self._verdicts([verdict.crop])[0]

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
