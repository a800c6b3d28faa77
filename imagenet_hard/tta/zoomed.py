"""Zoom test-time augmentation: the mean of the softmax over an image's views (paper, section on zooming)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, log
from typing import TYPE_CHECKING, Any

from imagenet_hard.engine.forward import Forward
from imagenet_hard.tta.views import Views, ahead, cutter

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.settings import TtaSettings

MOST_VIEWS = 1024
"""Views of several images that are run in one go, so that their last batches are full."""


@dataclass(frozen=True)
class Launched:
    """Passes that are under way: views of each image, and for each pass its views and its output."""

    sizes: list[int]
    parts: list[tuple[int, Any]]


class ZoomPredictor:
    """Predicts an image from all its views; batches go across images. No weight changes."""

    def __init__(
        self, classifier: Classifier, tta: TtaSettings, settings: RunSettings, device: torch.device
    ) -> None:
        viewing, self._cut = cutter(classifier, tta)
        self._forward = Forward(viewing, settings, device)
        self._n = tta.views
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

    def prepare(self, image: Image.Image, digest: str) -> Views:
        return self._cut(image, digest)

    def launch(self, prepared: Sequence[Views]) -> Launched:
        """The passes over all views, begun one after another."""
        pixels = [view for views in prepared for view in views.pixels]
        size = self.batch_size
        parts = [pixels[i : i + size] for i in range(0, len(pixels), size)]
        sizes = [len(views.pixels) for views in prepared]
        return Launched(sizes, [(len(part), self._forward.launch(part)) for part in parts])

    def finish(self, launched: Launched, ids: Sequence[str]) -> torch.Tensor:
        """float32 (n, 1000): log of the mean probability; of one view, its logits as they are."""
        import torch

        return torch.stack([log_mean(logits) for logits in self._views(launched, ids)])

    def view_logits(self, prepared: Sequence[Views], ids: Sequence[str]) -> list[torch.Tensor]:
        """For each image float32 (views, 1000), the logits of its views."""
        return self._views(self.launch(prepared), ids)

    def _views(self, launched: Launched, ids: Sequence[str]) -> list[torch.Tensor]:
        import torch

        names = [id for id, n in zip(ids, launched.sizes, strict=True) for _ in range(n)]
        found, position = [], 0
        for n, output in launched.parts:
            found.append(self._forward.finish(output, names[position : position + n]))
            position += n
        return list(torch.split(torch.cat(found), launched.sizes))

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
