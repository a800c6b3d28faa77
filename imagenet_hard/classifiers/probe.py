"""One black image through a classifier: does it run, and does it have the 1000 classes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.errors import ClassifierError
from imagenet_hard.types import N_CLASSES

if TYPE_CHECKING:
    from imagenet_hard.classifiers.transform import ImageTransform


def probe(module: Any, transform: ImageTransform, name: str) -> Any:
    """What ``module`` gives for one black image of 224 x 224 under ``transform``.

    Raises:
        ClassifierError: if it fails, with the size of its input.
    """
    import torch
    from PIL import Image

    device = "cpu"
    if isinstance(module, torch.nn.Module):
        device = str(next((p.device for p in module.parameters()), device))
    # As a plain loop would give it; whether the model takes channels last is found out on real images.
    batch = transform.batch([transform.pixels(Image.new("RGB", (224, 224)))], device).contiguous()
    try:
        with torch.no_grad(), undisturbed(module):
            return module(batch)
    except Exception as error:  # anything may go wrong in a model of one's own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClassifierError(
            f"{name} failed on a batch of shape {tuple(batch.shape)} (one black image): "
            f"{type(error).__name__}: {reason}. A model of a fixed input size needs its own transform"
        ) from error


def check_logits(output: Any, name: str) -> None:
    """Refuse what is not float (1, 1000).

    Raises:
        ClassifierError: naming the type or the shape.
    """
    import torch

    if not isinstance(output, torch.Tensor):
        raise ClassifierError(
            f"{name} gave {type(output).__name__}: expected a tensor of logits (n, {N_CLASSES})"
        )
    if output.shape == (1, N_CLASSES) and output.is_floating_point():
        return
    hint = ""
    if output.ndim == 2 and output.shape[0] == 1:
        hint = f": {output.shape[1]} outputs are not the {N_CLASSES} classes of ImageNet-1k, in wnid order"
    raise ClassifierError(
        f"{name} gave {output.dtype} {tuple(output.shape)} for one image, "
        f"expected float (1, {N_CLASSES}){hint}"
    )
