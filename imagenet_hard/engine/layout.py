"""How weights and batches lie in memory: channels last, in which convolutions are faster, or contiguous.

The values are the same, and the models of the known libraries take either. Another may not:
``x.view(...)`` after a convolution fails on channels last, and what reads the buffer behind a tensor finds
other numbers in it. So such a model is tried in both on the first real images, and gets what a plain
PyTorch loop would give it where the two do not agree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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

    from imagenet_hard.classifiers.wrap import bare

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
