"""What every loader returns: a module, its transform, and who it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from imagenet_hard.base.types import DropClass, ModelSpec, OutputForm

if TYPE_CHECKING:
    from torch import nn

    from imagenet_hard.classifiers.transform import ImageTransform
    from imagenet_hard.classifiers.weights_source import WeightsSource
    from imagenet_hard.imagenet.mask import ClassMask


@dataclass(frozen=True)
class Outputs:
    """How what a model gives becomes logits.

    ``drop_class``: the background class among 1001, which is left out before the softmax. ``classes``:
    those that compete; the others get -inf, so that softmax, means and entropies run over the mask.
    """

    form: OutputForm = "logits"
    drop_class: DropClass | None = None
    classes: ClassMask | None = None


class Described(Protocol):
    """What a classifier says of itself, whether it is loaded or recalled."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def outputs(self) -> Outputs: ...

    @property
    def warnings(self) -> list[str]: ...


@dataclass(frozen=True)
class Classifier:
    """A classifier of the 1000 ImageNet classes.

    ``module`` maps float32 (n, 3, H, W), as made by ``transform.batch``, to logits (n, 1000);
    it is in eval mode and on the CPU in float32: the engine moves and casts it.
    ``spec.transform`` is ``transform.describe()``. ``outputs``: what the model itself gives, which
    ``module`` turns into logits; ``remarks``: what a reader of its numbers must know. ``sources``: where all
    files that it was made of are had from; none where that is not known.
    """

    spec: ModelSpec
    module: nn.Module
    transform: ImageTransform
    outputs: Outputs = Outputs()
    remarks: tuple[str, ...] = ()
    sources: tuple[WeightsSource, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What the result has to say of the model and of its transform."""
        return [*self.remarks, *getattr(self.transform, "remarks", ())]

    def with_transform(self, transform: ImageTransform) -> Classifier:
        """The same weights under another evaluation transform."""
        spec = self.spec.model_copy(
            update={"transform": transform.describe(), "transform_sha256": transform.sha256()}
        )
        return replace(self, spec=spec, transform=transform)


def in_eval_mode(module: nn.Module) -> nn.Module:
    """``module`` with each layer in eval mode; a program of ``torch.export`` stays as it was exported."""
    try:
        return module.eval()
    except NotImplementedError:  # by the program, which may lie inside
        for layer in module.modules():
            layer.training = False
        return module
