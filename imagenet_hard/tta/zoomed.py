"""Zoom test-time augmentation: the mean of the softmax over an image's views (paper, section on zooming)."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, log
from typing import TYPE_CHECKING

from imagenet_hard.engine.forward import Forward
from imagenet_hard.tta.views import ImageViews, ahead, cutter

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.settings import TtaSettings

MOST_VIEWS = 1024
"""Views of several images that are run in one go, so that their last batches are full."""


class ZoomPredictor:
    """Predicts an image from all its views; batches go across images. No weight changes."""

    def __init__(
        self, classifier: Classifier, tta: TtaSettings, settings: RunSettings, device: torch.device
    ) -> None:
        viewing, self._cut = cutter(classifier, tta)
        self._forward = Forward(viewing, settings, device)
        self._n = tta.views
        self.name, self.precision = self._forward.name, self._forward.precision
        self.device, self.optimizations = device, self._forward.optimizations
        self._ahead = ahead(tta, viewing.transform)

    @property
    def batch_size(self) -> int:
        """Views in a forward pass."""
        return self._forward.batch_size

    @property
    def images(self) -> int:
        """As many as fill whole batches of views."""
        fill = self.batch_size // gcd(self.batch_size, self._n)
        return max(1, min(fill, max(MOST_VIEWS, self.batch_size) // self._n))

    @property
    def ahead(self) -> int | None:
        return self._ahead

    def prepare(self, image: Image.Image, digest: str) -> ImageViews:
        return self._cut(image, digest)

    def launch(self, prepared: Sequence[ImageViews], ids: Sequence[str]) -> torch.Tensor:
        """float32 (n, 1000): log of the mean probability; of one view, its logits as they are."""
        import torch

        return torch.stack([log_mean(logits) for logits in self.view_logits(prepared, ids)])

    def view_logits(self, prepared: Sequence[ImageViews], ids: Sequence[str]) -> list[torch.Tensor]:
        """For each image float32 (views, 1000), the logits of its views."""
        import torch

        pixels = [view for views in prepared for view in views.pixels]
        names = [id for id, views in zip(ids, prepared, strict=True) for _ in views.pixels]
        size = self.batch_size
        parts = [
            self._forward.launch(pixels[i : i + size], names[i : i + size])
            for i in range(0, len(pixels), size)
        ]
        return list(torch.split(torch.cat(parts), [len(views.pixels) for views in prepared]))

    def shrink(self) -> bool:
        return self._forward.shrink()


def log_mean(logits: torch.Tensor) -> torch.Tensor:
    """Logits (views, 1000) -> (1000,): the log of the mean of their softmax, computed in log space.

    One view is given back as it is: logits are log probabilities but for a constant, and so no bit of
    what a plain evaluation gives changes.
    """
    import torch

    if len(logits) == 1:
        return logits[0]
    return torch.logsumexp(torch.log_softmax(logits, dim=1), dim=0) - log(len(logits))
