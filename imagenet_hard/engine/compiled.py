"""``torch.compile`` for runs that are long enough to pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError

if TYPE_CHECKING:
    import torch
    from torch import nn


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
