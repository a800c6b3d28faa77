"""What a model gives, read as logits of the 1000 classes: its form, a background class, a mask of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.base.types import N_CLASSES, DropClass, OutputForm
from imagenet_hard.classifiers.base import Classifier, Outputs, in_eval_mode

if TYPE_CHECKING:
    from imagenet_hard.imagenet.mask import ClassMask

SUM_TOLERANCE = 0.01
"""How far a row of probabilities may sum from 1: bfloat16 rounds each to 3 digits."""

SMALLEST = 2.0**-126
"""What a probability of 0 counts as: the least normal float32, whose log (-87.3) still has a gradient."""

MASKED = -1e4
"""At or below it no logit of a network lies: that is a mask, written as -inf, -1e9, or the least number."""

ALMOST = 1e-3


class AsLogits(nn.Module):
    """``model`` with what it gives read as ``outputs`` say: float32 logits (n, 1000).

    Log probabilities are logits already. Of probabilities the log is taken; a row that is none becomes
    NaN, which no engine keeps. What has another shape is handed on for the engine to name.
    """

    kept: torch.Tensor | None

    def __init__(self, model: nn.Module, outputs: Outputs) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs
        mask = None if outputs.classes is None else torch.from_numpy(outputs.classes.kept())
        self.register_buffer("kept", mask, persistent=False)

    def forward(self, batch: torch.Tensor) -> Any:
        output, drop = self.model(batch), self.outputs.drop_class
        width = N_CLASSES if drop is None else N_CLASSES + 1
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or output.shape[1] != width:
            return output
        logits = output.float()
        if self.outputs.form == "probabilities":
            valid = (logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() <= SUM_TOLERANCE)
            logits = logits.clamp_min(SMALLEST).log().masked_fill(~valid[:, None], torch.nan)
        if drop is not None:
            logits = torch.cat([logits[:, :drop], logits[:, drop + 1 :]], dim=1)
        return logits if self.kept is None else logits.masked_fill(~self.kept, -torch.inf)


def read_as(classifier: Classifier, form: OutputForm, drop_class: DropClass | None = None) -> Classifier:
    """``classifier`` whose bare module gives this; plain logits of 1000 classes need no wrapper."""
    outputs = Outputs(form, drop_class)
    if form != "probabilities" and drop_class is None:
        return replace(classifier, outputs=outputs)
    return replace(classifier, module=in_eval_mode(AsLogits(classifier.module, outputs)), outputs=outputs)


def unread(module: nn.Module) -> nn.Module:
    """``module`` without what ``read_as`` put around it."""
    return module.model if isinstance(module, AsLogits) else module


def with_classes(classifier: Classifier, classes: ClassMask | None) -> Classifier:
    """``classifier`` among these classes only."""
    if classes is None:
        return classifier
    mask = in_eval_mode(AsLogits(classifier.module, Outputs(classes=classes)))
    return replace(classifier, module=mask, outputs=replace(classifier.outputs, classes=classes))


def background(drop_class: int | None) -> DropClass | None:
    """``drop_class`` if it can be one.

    Raises:
        UsageError: neither the first of 1001 nor the last.
    """
    if drop_class is None:
        return None
    if drop_class in (0, N_CLASSES):
        return 0 if drop_class == 0 else 1000
    raise UsageError(
        f"drop class {drop_class}: a background class is the first (0) or the last ({N_CLASSES}) of "
        f"{N_CLASSES + 1} outputs"
    )


def check_shape(output: Any, name: str, drop_class: int | None = None) -> None:
    """Refuse what is not float (1, 1000), or (1, 1001) with a class to drop.

    Raises:
        ClassifierError: naming the type or the shape.
    """
    if not isinstance(output, torch.Tensor):
        raise ClassifierError(
            f"{name} gave {type(output).__name__}: expected a tensor of logits (n, {N_CLASSES})"
        )
    width = N_CLASSES if drop_class is None else N_CLASSES + 1
    if output.shape == (1, width) and output.is_floating_point():
        return
    hint = ""
    if output.ndim == 2 and output.shape[0] == 1:
        n = output.shape[1]
        hint = f": {n} outputs are not the {N_CLASSES} classes of ImageNet-1k, in wnid order"
        if drop_class is not None:
            hint = f": --drop-class {drop_class} is for {N_CLASSES + 1} outputs"
        elif n == N_CLASSES + 1:
            hint += (
                f"; one of {n} is a background class, in TensorFlow's models the first: --drop-class 0 "
                f"(drop_class=0 in Python), or {N_CLASSES} where it is the last"
            )
    raise ClassifierError(
        f"{name} gave {output.dtype} {tuple(output.shape)} for one image, expected float (1, {width}){hint}"
    )


def recognise(rows: torch.Tensor, name: str) -> OutputForm:
    """What the outputs for a few different images are: float (n, 1000 or 1001).

    Raises:
        ClassifierError: scores of which no softmax makes sense, with what to give instead.
    """
    x = rows.detach().double().cpu()
    if not bool(((x == x) & (x < torch.inf)).all()):
        return "logits"  # NaN or infinite: the engine names the image
    low, high = float(x.min()), float(x.max())
    if low >= 0 and _sum_to(x, 1):
        return "probabilities"
    if high <= ALMOST and _sum_to(x.exp(), 1):
        return "log-probabilities"
    what = None
    if low >= -ALMOST and _sum_to((-x).exp(), 1):
        what = "are negative log probabilities, of which the least is the best: give them with a minus sign"
    elif low >= 0 and _sum_to(x, 100):
        what = "sum to 100: give shares that sum to 1, or the logits"
    elif low >= 0 and high <= 1 and low < high:
        what = (
            "all lie in [0, 1] and do not sum to 1, as those of a sigmoid or cosine similarities do: a "
            "softmax of them means nothing. Give the logits: what goes into the sigmoid, or the similarities "
            "times the model's scale"
        )
    if what is not None:
        raise ClassifierError(f"the outputs of {name} {what}")
    return "logits"


def _sum_to(rows: torch.Tensor, total: float) -> bool:
    return bool(((rows.sum(dim=1) - total).abs() <= SUM_TOLERANCE * total).all())


def remarks(rows: torch.Tensor, form: OutputForm) -> list[str]:
    """What a reader of the numbers must know of such outputs; float (n, 1000 or 1001)."""
    found = []
    if rows.dtype in (torch.float16, torch.bfloat16):
        kind = str(rows.dtype).removeprefix("torch.")
        found.append(f"the model gives {kind}: logits are rounded, and near-ties are more than are counted")
    never = (rows == 0) if form == "probabilities" else (rows <= MASKED)
    if n := int(never.all(dim=0).sum()):
        found.append(f"the model never predicts {n} of its {rows.shape[1]} classes: it masks them itself")
    if form == "logits" and float(rows.abs().max()) <= 1:
        found.append(
            "all outputs on the test images lie in [-1, 1]: if they are cosine similarities without the "
            "model's scale, calibration and near-ties mean nothing"
        )
    return found


class LogitsOf(nn.Module):
    """Calls ``model`` and takes the logits out of what it gives.

    That is the tensor itself, the ``logits`` of an output object or mapping (transformers), or
    the first element of a tuple. A function may read the memory of its input (an inference runtime does):
    it gets contiguous batches.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: torch.Tensor) -> Any:
        output = self.model(batch if isinstance(self.model, nn.Module) else batch.contiguous())
        if isinstance(output, torch.Tensor):
            return output
        if isinstance(output, Mapping) and "logits" in output:
            return output["logits"]
        if hasattr(output, "logits"):
            return output.logits
        return output[0] if isinstance(output, (tuple, list)) and output else output


def bare(module: Any) -> Any:
    """The module or function inside what is put around it here and in ``outputs``."""

    while isinstance(module, LogitsOf | AsLogits):
        module = module.model
    return module
