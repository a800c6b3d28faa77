"""What the engine runs over images: one view through the model, or many by test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from imagenet_hard.base.types import Precision


class Predictor(Protocol):
    """An image to logits: ``prepare`` runs in decode threads, ``launch`` on the device, in one thread."""

    name: str
    precision: Precision
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

    def launch(self, prepared: Sequence[Any], ids: Sequence[str]) -> torch.Tensor:
        """Logits, or log probabilities, of at most ``images`` images: float32 (n, 1000) on the device.

        An accelerator need not have computed them yet, and they may hold what is not finite.
        """

    def shrink(self) -> bool:
        """Take less memory after it ran out; False where that can't help."""
