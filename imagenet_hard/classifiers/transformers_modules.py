"""Models of transformers as the engine calls a module: a batch in, logits out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from imagenet_hard.classifiers.outputs import LogitsOf
from imagenet_hard.classifiers.processor_transform import Patches


def inputs(batch: Tensor, patches: Patches | None) -> dict[str, Tensor]:
    """What a vision model is called with."""
    return {"pixel_values": batch} if patches is None else patches.inputs(batch)


class ClassifierLogits(LogitsOf):
    """An image classifier with its outputs in the order of the classes.

    ``places``: the output that comes first, second and so on; None where they are in order.
    """

    def __init__(self, model: nn.Module, places: tuple[int, ...] | None, patches: Patches | None) -> None:
        super().__init__(model)
        self.places, self.patches = places, patches

    def forward(self, batch: Tensor) -> Any:
        logits = self.model(**inputs(batch, self.patches)).logits
        return logits if self.places is None else logits[:, list(self.places)]
