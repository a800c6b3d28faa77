"""torchvision's ImageNet classifiers with any of their published weights, or with one's own file."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError, UnknownModelError, WeightsError
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.classifiers.backends import Backend
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.download import url_file
from imagenet_hard.classifiers.normalisation import normalised
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.classifiers.weights import describe, load_into
from imagenet_hard.classifiers.weights_file import find, is_file_name
from imagenet_hard.classifiers.weights_source import WeightsSource

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

PAPER_TAG = "IMAGENET1K_V1"
"""The weights of the paper; torchvision's DEFAULT is the newest, V2 for most."""

# Heads that torchvision's GoogLeNet and Inception use in training only.
_AUXILIARY = r"(aux1|aux2|AuxLogits)\."


def load_torchvision(
    name: str, *, tag: str | None = None, file: str | None = None, progress: bool = False
) -> Classifier:
    """The classifier ``name`` with the weights ``tag`` (default IMAGENET1K_V1), or with those of ``file``.

    A file gets the architecture options and the transform of ``tag``.

    Raises:
        UnknownModelError: if torchvision has no such model.
        ClassifierError: if it is no classifier of the 1000 classes.
        WeightsError: for a tag that it does not have, and as ``load_into``.
    """
    members = _members(name)
    chosen = _choose(name, members, tag)
    if tag is None and file is None:
        others = ", ".join(m.name for m in members if m is not chosen)
        log.info("torchvision:%s: weights %s%s", name, chosen.name, f"; others: {others}" if others else "")
    path = file if file is not None else str(url_file(chosen.url, name=name, progress=progress))
    model = _build(name, chosen)
    own = load_into(model, path, architecture=name, remap=_old_densenet_keys, optional=_AUXILIARY)
    preset = from_preset(chosen.transforms())
    transform = normalised(preset, own, name)
    spec = describe(
        model.eval(),
        transform,
        backend="torchvision",
        name=name,
        tag=find(file)[0].name if file is not None else chosen.name,
        input_size=preset.crop,
    )
    source = (
        WeightsSource(kind="url", place=chosen.url)
        if file is None
        else WeightsSource(kind="file", place=file)
    )
    return Classifier(spec, model, transform, sources=(source,))


def names() -> list[tuple[str, list[str], tuple[int, int]]]:
    """Every classifier as (name, tags, input size of the default tag); the default tag comes first."""
    from torchvision.models import list_models

    found = []
    for name in list_models():
        if members := _classifiers(name):
            default = _choose(name, members, None)
            tags = [default.name, *(m.name for m in members if m is not default)]
            size = from_preset(default.transforms()).crop
            assert size is not None
            found.append((name, tags, size))
    return found


def tags(name: str) -> list[str] | None:
    """The weights tags of a classifier, or None where torchvision has no such model."""
    from torchvision.models import list_models

    return [m.name for m in _classifiers(name)] + ["DEFAULT"] if name in list_models() else None


def from_preset(preset: Any) -> Transform:
    """torchvision's ``ImageClassification`` preset as data, bit for bit the same on PIL images."""
    return Transform(
        resize=int(preset.resize_size[0]),
        crop=(int(preset.crop_size[0]), int(preset.crop_size[-1])),
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _members(name: str) -> list[Any]:
    from torchvision.models import list_models

    if name not in list_models():
        from imagenet_hard.classifiers.listing import unknown_model

        raise UnknownModelError(unknown_model(name, "torchvision"))
    if members := _classifiers(name):
        return members
    if name.startswith("quantized_"):
        raise ClassifierError(
            f"torchvision:{name} is a quantised model, whose weights exist for one CPU backend only: "
            f"use torchvision:{name.removeprefix('quantized_')}"
        )
    raise ClassifierError(
        f"torchvision:{name} is not an image classifier of the {N_CLASSES} ImageNet classes (detection, "
        "segmentation, video and flow models are not): see `imagenet-hard models --backend torchvision`"
    )


def _classifiers(name: str) -> list[Any]:
    """The weights of ``name`` that classify images into the 1000 classes."""
    from torchvision.models import get_model_weights

    if name.startswith("quantized_"):
        return []
    members = list(get_model_weights(name))
    return [
        m
        for m in members
        if getattr(m.transforms, "func", m.transforms).__name__ == "ImageClassification"
        and len(m.meta.get("categories") or ()) == N_CLASSES
    ]


def _choose(name: str, members: list[Any], tag: str | None) -> Any:
    by_name = {m.name: m for m in members}
    if tag is None:
        return by_name.get(PAPER_TAG, members[0])
    wanted = tag.rpartition(".")[2].upper()  # ResNet50_Weights.IMAGENET1K_V2 as well
    if wanted == "DEFAULT":
        from torchvision.models import get_model_weights

        return get_model_weights(name).DEFAULT
    if wanted not in by_name:
        raise WeightsError(
            f"torchvision:{name} has no weights {tag!r}: it has {', '.join(by_name)} and DEFAULT"
            + ("" if is_file_name(tag) else "; a file of that name does not exist either")
        )
    return by_name[wanted]


def _build(name: str, weights: Any) -> nn.Module:
    """The architecture as torchvision builds it for ``weights``, before they are loaded."""
    from torchvision.models import get_model_builder

    options: dict[str, Any] = {"weights": None}
    size = weights.meta.get("min_size")
    if name.startswith("vit_"):
        options["image_size"] = size[0]
    elif name.startswith("maxvit"):
        options["input_size"] = size
    elif name in ("googlenet", "inception_v3"):
        options.update(transform_input=True, aux_logits=False, init_weights=False)
    model: nn.Module = get_model_builder(name)(**options)
    return model


def _old_densenet_keys(state: dict[str, torch.Tensor], module: nn.Module) -> dict[str, torch.Tensor]:
    """torchvision's DenseNet files spell ``norm.1.weight`` what the module spells ``norm1.weight``."""
    return {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", k): v for k, v in state.items()}


BACKEND = Backend(
    lambda name, o: load_torchvision(name, tag=o.tag, file=o.file, progress=o.progress),
    takes_tag=True,
    names=names,
    tags=tags,
    published=True,
    packages=("torchvision",),
    libraries=("torchvision",),
)
