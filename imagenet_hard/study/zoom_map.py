"""One image under every zoom of one classifier: what it says, how sure it is, whether that is right.

The crops go through the study's own queue, so predictions are those of ``study run``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.module_state import as_it_was
from imagenet_hard.classifiers.transform import to_rgb
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.crops import Candidate, Crop
from imagenet_hard.curation.score.verdicts import CropQueues
from imagenet_hard.curation.store import ImageRecord
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import ANCHORS, ZoomGrid


@dataclass(frozen=True)
class ZoomMap:
    """One image; rows of the arrays are the grid's zooms, in their order.

    ``predicted``: int16 (zooms,), class indices. ``confidence``: float32 (zooms,), its softmax over all 1000
    classes. ``deficit``: float32 (zooms,), best wrong logit minus best right one, < 0 where the prediction is
    among ``labels``; without labels there is nothing right, and it is infinite.
    """

    image: Image.Image
    labels: tuple[int, ...]
    grid: ZoomGrid
    predicted: NDArray[np.int16]
    confidence: NDArray[np.float32]
    deficit: NDArray[np.float32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """bool (zooms,): whether the prediction is among the labels."""
        return self.deficit < 0

    @property
    def best(self) -> int:
        """Number of the zoom that is right by most, or nearest to it; without labels, of the surest."""
        return int(self.deficit.argmin() if self.labels else self.confidence.argmax())


def zoom_map(
    classifier: ZoomClassifier,
    data: bytes,
    labels: Sequence[int],
    settings: RunSettings,
    *,
    id: str,
    exif: bool = False,
) -> ZoomMap:
    """The map of an encoded image.

    ``exif``: turn it as its EXIF orientation says, which ``study run`` does where the recipe does. ``id``:
    what messages call it.

    Raises:
        ImageError: it cannot be decoded.
        ClassifierError: the classifier fails on it.
    """
    image = to_rgb(decode(data, id=id, exif=exif))
    record = ImageRecord(id, "", tuple(labels), hashlib.sha256(data).hexdigest())
    candidate, grid = Candidate(record, None, image, iter(())), classifier.grid
    n = len(grid)
    predicted, confidence = np.zeros(n, np.int16), np.zeros(n, np.float32)
    deficit = np.zeros(n, np.float32)
    with as_it_was(classifier.model.module):
        (queue,) = CropQueues([classifier], settings)
        for scale in range(0, n, len(ANCHORS)):  # a scale at a time: crops of 324 zooms need not all be there
            zooms = list(range(scale, scale + len(ANCHORS)))
            queue.waiting.extend(Crop(candidate, *made) for made in candidate.crops(grid, zooms))
            while queue.full or (queue.waiting and zooms[-1] == n - 1):
                for verdict in queue.run():
                    if verdict.logits is None:
                        raise ClassifierError(verdict.error or f"{classifier.id} failed on {id!r}")
                    zoom = verdict.crop.zoom
                    predicted[zoom], deficit[zoom] = verdict.predicted, verdict.deficit
                    confidence[zoom] = softmax(verdict.logits)[verdict.predicted]
    return ZoomMap(image, tuple(labels), grid, predicted, confidence, deficit)
