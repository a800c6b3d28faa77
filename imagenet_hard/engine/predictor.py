"""What the engine runs over images: one view through the model, or many by test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Predictor(Protocol):
    """An image to logits: ``prepare`` runs in decode threads, ``launch`` and ``finish`` on the device.

    Between the two the device may compute while the host makes the next batch. For one thread at a time.
    """

    device: torch.device
    optimizations: list[str]

    @property
    def batch_size(self) -> int:
        """Views in one pass through the model."""

    @property
    def images(self) -> int:
        """Images that one call of ``launch`` takes at most."""

    @property
    def ahead(self) -> int | None:
        """Images that may be prepared ahead, where each takes much memory; None: the engine's own number."""

    def prepare(self, image: Image.Image, digest: str) -> Any:
        """A decoded image and the sha256 of its file -> what ``launch`` takes."""

    def launch(self, prepared: Sequence[Any]) -> Any:
        """Begin with some images, at most ``images``; an accelerator goes on by itself."""

    def finish(self, launched: Any, ids: Sequence[str]) -> torch.Tensor:
        """What was launched, float32 (n, 1000): logits, or log probabilities, which are logits as well."""

    def shrink(self) -> bool:
        """Take less memory after it ran out; False where that can't help."""
