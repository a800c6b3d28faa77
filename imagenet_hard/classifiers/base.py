"""What every loader returns: a module, its transform, and who it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagenet_hard.types import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from imagenet_hard.classifiers.transform import ImageTransform


@dataclass(frozen=True)
class Classifier:
    """A classifier of the 1000 ImageNet classes.

    ``module`` maps float32 (n, 3, H, W), as made by ``transform.batch``, to logits (n, 1000);
    it is in eval mode and on the CPU in float32: the engine moves and casts it.
    ``spec.transform`` is ``transform.describe()``.
    """

    spec: ModelSpec
    module: nn.Module
    transform: ImageTransform

    def with_transform(self, transform: ImageTransform) -> Classifier:
        """The same weights under another evaluation transform."""
        spec = self.spec.model_copy(
            update={"transform": transform.describe(), "transform_sha256": transform.sha256()}
        )
        return replace(self, spec=spec, transform=transform)
