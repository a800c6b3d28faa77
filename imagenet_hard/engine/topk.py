"""Logits to the five classes that are kept, in an order that does not depend on the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Top5 = tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]
"""``top5`` (n, 5), ``logprob5`` (n, 5) and ``margin`` (n,) of ``Predictions``."""


def top5(logits: torch.Tensor) -> Top5:
    """``logits``: float (n, 1000) -> ``top5`` (n, 5), ``logprob5`` (n, 5), ``margin`` (n,)."""
    scores, _ = Pending(logits).wait()
    return scores


class Pending:
    """The top-5 of ``logits`` on their way from the device; nothing waits for it before ``wait``.

    Equal logits keep the lower index first (``torch.topk`` does not promise that), so classes
    with one name ("missile", "sunglasses") always resolve alike. Softmax in float32 over all 1000, or over
    those that a mask leaves above -inf.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        import torch

        logits = logits.float()
        values, indices = torch.sort(logits, dim=1, descending=True, stable=True)
        logprob = values[:, :5] - torch.logsumexp(logits, dim=1, keepdim=True)
        self._parts = [
            indices[:, :5].to(torch.int16),
            logprob.clamp_(max=0),  # rounding can leave the log of a probability of one at +1e-8
            values[:, 0] - values[:, 1],
            torch.isfinite(values[:, :5]).all(dim=1),  # NaN sorts first, and so does +inf
        ]
        self._event: torch.cuda.Event | None = None
        if logits.is_cuda:
            self._parts = [
                torch.empty(part.shape, dtype=part.dtype, pin_memory=True).copy_(part, non_blocking=True)
                for part in self._parts
            ]
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def wait(self) -> tuple[Top5, NDArray[np.bool_]]:
        """The scores, and bool (n,): whether an image's best five are finite.

        Others may be -inf: a mask of the classes.
        """
        if self._event is not None:
            self._event.synchronize()
        classes, logprob, margin, finite = (part.cpu().numpy() for part in self._parts)
        return (classes, logprob, margin), finite
