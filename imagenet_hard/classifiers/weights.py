"""A module's weights: loaded whole or not at all, never a silent random layer, and known by their hash.

The hash does not depend on the file that they came from.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import WeightsError
from imagenet_hard.base.types import N_CLASSES, ModelSpec
from imagenet_hard.classifiers.checkpoint import NOT_WEIGHTS, load_checkpoint
from imagenet_hard.classifiers.normalisation import Normalisation

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.classifiers.transform import ImageTransform

    State = dict[str, torch.Tensor]

log = logging.getLogger(__name__)


def load_into(
    module: nn.Module,
    path: str | Path,
    *,
    architecture: str,
    remap: Callable[[State, nn.Module], Mapping[str, torch.Tensor]] | None = None,
    optional: str | None = None,
) -> Normalisation | None:
    """Load a checkpoint file into ``module``, whole or not at all; the mean and std that stand beside it.

    ``remap`` turns older key names into the module's own; it is tried where the keys differ.
    ``optional`` is a pattern of keys that may be in the file only, such as auxiliary heads.

    Raises:
        WeightsError: as ``load_checkpoint``, and for keys or shapes of another architecture, for
            another number of classes, and for a weight that is NaN or infinite.
    """
    own = module.state_dict()
    checkpoint = load_checkpoint(path, own)
    state = checkpoint.state
    if remap is not None and state.keys() != own.keys():
        try:
            state = dict(remap(state, module))
        except Exception as error:  # a filter that meets a foreign layout; the comparison below says more
            log.debug("the key filter of %s does not apply to %s: %r", architecture, path, error)
    dropped = [k for k in state if NOT_WEIGHTS.search(k) or (optional and re.match(optional, k))]
    for key in set(dropped) - own.keys():
        del state[key]
    _check_shapes(state, own, path, architecture)
    if not hasattr(state, "_metadata"):
        # Some modules (MNASNet) read their version from it; safetensors and renaming lose it.
        state = OrderedDict(state)
        state._metadata = own._metadata  # type: ignore[attr-defined]
    try:
        result = module.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path} does not fit {architecture}: {str(error).splitlines()[-1].strip()}"
        ) from error
    # Old files lack the batch counters, which evaluation does not use.
    missing = [k for k in result.missing_keys if not k.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise WeightsError(
            f"{path} holds weights of another architecture than {architecture}: "
            f"{_few('missing', missing)}; {_few('unexpected', result.unexpected_keys)}. "
            "Name the model that was trained, or pass the file that belongs to this one. It holds "
            f"{checkpoint.held}; FILE#NAME takes one of several"
        )
    check_finite(module, path)
    return checkpoint.normalisation


def check_finite(module: nn.Module, source: str | Path) -> None:
    """Refuse weights with a NaN or an infinity: they would score as a constant prediction.

    Raises:
        WeightsError: naming the first such weight.
    """
    import torch

    for key, tensor in module.state_dict().items():
        if torch.is_tensor(tensor) and tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise WeightsError(
                f"{source}: {bad} of the {tensor.numel()} values of {key!r} are NaN or infinite: "
                "the training diverged or the file is damaged; take an earlier checkpoint"
            )


def _check_shapes(state: State, own: Mapping[str, torch.Tensor], path: str | Path, architecture: str) -> None:
    wrong = [k for k in state if k in own and state[k].shape != own[k].shape]
    heads = [k for k in wrong if own[k].shape[:1] == (N_CLASSES,) and state[k].shape[1:] == own[k].shape[1:]]
    if heads and len(heads) == len(wrong):
        n = state[heads[0]].shape[0]
        background = (
            "; with a background class, build the model in a function of your own, and give --drop-class 0"
            if n == N_CLASSES + 1
            else ""
        )
        raise WeightsError(
            f"{path} has {n} classes ({heads[0]!r}), expected the {N_CLASSES} of "
            "ImageNet-1k in the order of their wnids: a head of other classes cannot be scored here"
            + background
        )
    if wrong:
        key = wrong[0]
        raise WeightsError(
            f"{path} holds weights of another architecture than {architecture}: {len(wrong)} shapes differ, "
            f"for instance {key!r} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        )


def _few(what: str, keys: list[str], n: int = 3) -> str:
    """'2 missing (a, b)', with the first ``n`` keys."""
    if not keys:
        return f"none {what}"
    return f"{len(keys)} {what} ({', '.join(keys[:n])}{', ...' if len(keys) > n else ''})"


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
    from imagenet_hard.classifiers.outputs import bare

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
