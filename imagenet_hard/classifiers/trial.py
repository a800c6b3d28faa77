"""A trial: fixed images through a classifier. Does it run, and if not, why?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.base.text import reason
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.transform import ImageTransform, fixed_images

HINTS = (
    (r"to have (\d+) channels", "Its first layer takes {0} channels, and images have 3"),
    (
        r"be the same|same dtype|expected scalar type",
        "Its weights are not float32: model.float() makes them so",
    ),
    (r"same device", "Its parts lie on different devices: model.to() brings them together"),
    (
        r"positional argument|unexpected keyword",
        "It is called with one argument, the batch: wrap what takes more",
    ),
    (
        r"shapes cannot be multiplied|size mismatch|doesn't match|must match|invalid for input|"
        r"[Ii]mage (size|height|width)|input size|output size is too small|can't be greater|divisible",
        "A model of a fixed input size needs its own transform",
    ),
)
"""What a failure says -> what it comes from. Any other failure has to speak for itself."""


@dataclass(frozen=True)
class TrialView:
    """An image of ``images`` as a batch of one, and what it is."""

    image: Image.Image
    batch: torch.Tensor
    what: str


def images() -> list[tuple[Image.Image, str]]:
    """A black image and the two of ``fixed_images``, each with what it is."""
    made = [(each, f"a test image of {each.width} x {each.height}") for each in fixed_images()]
    return [(Image.new("RGB", (224, 224)), "one black image"), *made]


def probe(module: Any, transform: ImageTransform, name: str) -> Any:
    """What ``module`` gives for one image under ``transform``.

    Raises:
        ClassifierError: if one of the two fails, with the size of the input.
    """
    view = views(module, transform, name)[0]
    with undisturbed(module):
        return run(module, view.batch, name, view.what)


def views(module: Any, transform: ImageTransform, name: str) -> list[TrialView]:
    """Those of ``images`` that the transform can take, on the module's device; real images may be larger.

    Raises:
        ClassifierError: it can take none, or makes of one what is no classifier's input.
    """
    found = []
    failures: list[tuple[str, Exception]] = []
    for image, what in images():
        try:
            batch = transform.batch([transform.pixels(image)], device_of(module))
        except ClassifierError as error:
            failures.append((f"{name}: {error}", error))
        except Exception as error:  # anything may go wrong in a transform of one's own
            text = f"the transform of {name} failed on {what} ({image.width} x {image.height})"
            failures.append((f"{text}: {reason(error)}", error))
        else:
            _check_input(batch, what, name)
            # As a plain loop gives it; whether the model takes channels last is seen on real images.
            found.append(TrialView(image, batch.clone(memory_format=torch.contiguous_format), what))
    if not found:
        raise ClassifierError(failures[0][0]) from failures[0][1]
    return found


def device_of(module: Any) -> torch.device:
    """That of its first weight; the CPU where none can be seen."""
    weights = module.parameters() if isinstance(module, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device("cpu"))


def run(module: Any, batch: torch.Tensor, name: str, what: str) -> Any:
    """What it gives for a copy of ``batch``, into which it may write.

    Raises:
        ClassifierError: it fails; with the cause, where that is known.
    """
    try:
        with torch.no_grad():
            return module(batch.clone())
    except Exception as error:  # anything may go wrong in a model of one's own
        text = str(error)
        reason = text.splitlines()[0] if text else type(error).__name__
        hint = next(
            (f". {say.format(*m.groups())}" for cause, say in HINTS if (m := re.search(cause, text))), ""
        )
        raise ClassifierError(
            f"{name} failed on a batch of shape {tuple(batch.shape)} ({what}): "
            f"{type(error).__name__}: {reason}{hint}"
        ) from error


def _check_input(batch: Any, what: str, name: str) -> None:
    if not isinstance(batch, torch.Tensor) or not batch.is_floating_point():
        problem = (
            f"{batch.dtype if isinstance(batch, torch.Tensor) else type(batch).__name__}, expected float32"
        )
    elif batch.ndim != 4 or batch.shape[:2] != (1, 3):
        problem = f"a batch of shape {tuple(batch.shape)}, expected (1, 3, H, W)"
    elif not torch.isfinite(batch).all():
        problem = "NaN or infinite pixels"
    else:
        return
    raise ClassifierError(f"the transform of {name} makes {problem}, of {what}")
