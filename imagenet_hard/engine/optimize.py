"""The same function, faster: memory that is channels last, batch norms folded, ``torch.compile``.

A model that looks at what it should not may compute something else then. So each is tried on the first real
images, and is not used where the two do not agree there (``forward.Forward``).
"""

from __future__ import annotations

import copy
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.children import search_path
from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.classifiers.module_state import memory_back, undisturbed
from imagenet_hard.classifiers.own_code import brings_own_code, of_known_layers

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier

log = logging.getLogger(__name__)

TRIED = 2
"""Images: enough to tell another function from rounding, and quick."""


class Layout:
    """That of one module and its batches. ``trusted``: it takes channels last, and is not tried."""

    def __init__(self, module: nn.Module, *, trusted: bool) -> None:
        self._module = module
        self._channels_last: bool | None = None
        if trusted:
            self._channels_last = True
            self.apply(module)

    @property
    def settled(self) -> bool:
        """Whether it is known; until then ``settle`` has to be called."""
        return self._channels_last is not None

    def settle(self, batch: torch.Tensor, run: Callable[[torch.Tensor], Any], tolerance: float) -> None:
        """Choose by the first images of ``batch``, and lay the module's weights out.

        ``run``: a batch to logits, through the module. ``tolerance``: of ``difference``.
        """
        import torch

        batch = batch[:TRIED]
        back = memory_back(self._module)
        with undisturbed(self._module):
            try:
                plain = run(batch.clone(memory_format=torch.contiguous_format))
            except torch.OutOfMemoryError:
                raise
            except Exception:  # it may need the other; if not, its first whole batch says what is wrong
                plain = None
        try:
            with torch.inference_mode(False):  # or the caller's weights could not be trained any more
                self._module.to(memory_format=torch.channels_last)
            torch.clear_autocast_cache()
            with undisturbed(self._module):
                other = run(batch.clone(memory_format=torch.channels_last))
            agrees = plain is None or difference(other, plain) <= tolerance
            why = "gives other logits"
        except torch.OutOfMemoryError:
            back()
            raise
        except Exception as error:
            agrees, why = False, f"fails ({type(error).__name__})"
        self._channels_last = agrees
        if not agrees:
            back()
            log.info("the model %s where memory is channels last: its batches are contiguous", why)

    def of(self, batch: torch.Tensor) -> torch.Tensor:
        """The batch as the module is to get it."""
        return batch if self._channels_last else batch.contiguous()

    def apply(self, module: nn.Module) -> nn.Module:
        """``module``, which is rewritten from this one, with its weights laid out alike."""
        import torch

        return module.to(memory_format=torch.channels_last) if self._channels_last else module


def layout_of(classifier: Classifier) -> Layout:
    """Of a classifier's module, on its device by now; a function's is seen to by ``LogitsOf``."""
    from torch import nn

    from imagenet_hard.classifiers.outputs import bare

    module = classifier.module
    inner = bare(module)
    known = not isinstance(inner, nn.Module) or of_known_layers(inner)
    return Layout(module, trusted=known or not brings_own_code(classifier))


def difference(got: Any, expected: Any) -> float:
    """Largest difference of a logit, relative to the largest logit; infinite where there is a NaN.

    A class that both mask with -inf makes none.
    """
    masked = (got == expected) & expected.isinf()
    got, expected = got.masked_fill(masked, 0), expected.masked_fill(masked, 0)
    found = float((got - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
    return found if found == found else float("inf")


def fold_batch_norms(module: nn.Module, example: torch.Tensor) -> tuple[nn.Module, int]:
    """A copy of ``module`` with batch norms folded away, and how many.

    ``module`` is in eval mode; ``example``: float32 (n, 3, H, W) on its device, of which a copy is run.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    if not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
        return module, 0
    folded = copy.deepcopy(module)
    pairs = _convolutions_and_norms(folded, example)
    left: dict[nn.Module, nn.Module] = {}  # of each norm
    for conv, norm in pairs:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # In float64 and back: the folded weights are then the nearest float32 to the exact ones.
        weight, bias = fuse_conv_bn_weights(
            conv.weight.double(),
            None if conv.bias is None else conv.bias.double(),
            norm.running_mean.double(),
            norm.running_var.double(),
            norm.eps,
            None if norm.weight is None else norm.weight.double(),
            None if norm.bias is None else norm.bias.double(),
        )
        dtype = conv.weight.dtype
        conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        conv.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        left[norm] = _activation(norm)
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if child in left:
                setattr(parent, name, left[child])
    return folded, len(pairs)


def _convolutions_and_norms(
    module: nn.Module, example: torch.Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Pairs in which the norm's input is the very tensor that the convolution gave, each called once."""
    import torch
    from torch import nn

    made_by: dict[int, nn.Conv2d] = {}
    kept: list[torch.Tensor] = []  # keeps ids of tensors from being used again
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: Counter[nn.Module] = Counter()

    def after(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[layer] += 1
        if isinstance(layer, nn.Conv2d):
            kept.append(output)
            made_by[id(output)] = layer
        elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
            conv = made_by.pop(id(inputs[0]), None)
            if conv is not None and conv.out_channels == layer.num_features:
                pairs.append((conv, layer))

    hooks = [
        layer.register_forward_hook(after)
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        with torch.inference_mode(), undisturbed(module):
            module(example[:1].clone())
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1]


def _activation(norm: nn.BatchNorm2d) -> nn.Module:
    """What is left of the norm: timm's BatchNormAct2d also drops out and activates."""
    from torch import nn

    parts = [getattr(norm, name, None) for name in ("drop", "act")]
    return nn.Sequential(*[part for part in parts if isinstance(part, nn.Module)])


def compiled(module: nn.Module, batch: torch.Tensor, *, freeze: bool, name: str) -> tuple[nn.Module, Any]:
    """``module`` compiled for batches of this shape, and its output for ``batch``.

    ``freeze``: let the compiler take the weights as constants (it then folds and repacks them), which is
    worth most on a CPU. To be called under the inference mode and autocast of the passes to come.

    Raises:
        ClassifierError: the compiler fails, or is not there.
    """
    import torch

    torch._dynamo.reset()  # a compiled model that is gone must not count towards the limit of recompiles
    made = torch.compile(module, dynamic=False, options={"freezing": True} if freeze else None)
    try:
        with _compiler_apart():
            output = made(batch)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ClassifierError(
            f"torch.compile failed on {name}: {type(error).__name__}: {reason[0] if reason else ''}. "
            "Leave out --compile; on a CPU it needs a C++ compiler"
        ) from error
    return made, output  # type: ignore[return-value]


@contextmanager
def _compiler_apart() -> Iterator[None]:
    """Processes that the compiler starts inside the block do not look for modules in the current folder."""
    import torch

    folders = [str(Path(torch.__file__).parents[1]), *search_path()]
    wanted = {"TORCH_CUSTOM_PYTHONPATH": os.pathsep.join(folders), "PYTHONSAFEPATH": "1"}
    added = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)
