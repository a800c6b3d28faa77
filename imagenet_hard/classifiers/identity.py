"""Who a model is: a hash of its weights that does not depend on the file they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.types import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.classifiers.transform import ImageTransform


def weights_sha256(module: nn.Module) -> str:
    """sha256 over the state dict: for each key in sorted order its name, dtype, shape and raw bytes.

    Tensors are read where they lie, one at a time; only one that is on a device or not contiguous
    is copied. A checkpoint, its safetensors twin and the loaded module have one hash.
    """
    return tensors_sha256(module.state_dict())


def tensors_sha256(tensors: Mapping[str, Any]) -> str:
    """The same over any tensors by name."""
    digest = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        if not hasattr(tensor, "dtype"):
            continue  # a module's extra state is configuration, not weights
        digest.update(f"{key}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(_raw_bytes(tensor))
    return digest.hexdigest()


def with_true_weights(classifier: Classifier) -> Classifier:
    """``classifier`` with the hash of the weights that its module has now: they may have been changed since.

    That of a zero-shot model is of its text tower too, which is not there any more: it stays.
    """
    from imagenet_hard.classifiers.wrap import bare

    spec, module = classifier.spec, classifier.module
    if spec.weights_sha256 is None or spec.head is not None:
        return classifier
    true = weights_sha256(bare(module))
    return replace(classifier, spec=spec.model_copy(update={"weights_sha256": true}))


def describe(
    module: nn.Module,
    transform: ImageTransform,
    *,
    backend: str,
    name: str,
    tag: str | None,
    input_size: tuple[int, int] | None,
) -> ModelSpec:
    """The ``ModelSpec`` of a loaded module: hashes and counts filled in."""
    return ModelSpec(
        backend=backend,
        name=name,
        tag=tag,
        weights_sha256=weights_sha256(module),
        parameters=sum(p.numel() for p in module.parameters()),
        input_size=input_size,
        transform=transform.describe(),
        transform_sha256=transform.sha256(),
        head=None,  # the class head is among the weights
    )


def _raw_bytes(tensor: torch.Tensor) -> memoryview:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    # numpy has no bfloat16, but every dtype is bytes.
    raw: memoryview = flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")
    return raw
