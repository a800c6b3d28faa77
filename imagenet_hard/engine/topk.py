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
    """``logits``: float (n, 1000) -> ``top5`` (n, 5), ``logprob5`` (n, 5), ``margin`` (n,).

    Equal logits keep the lower index first (``torch.topk`` does not promise that), so classes
    with one name ("missile", "sunglasses") always resolve alike. Softmax in float32 over all 1000.
    """
    import torch

    logits = logits.float()
    values, indices = torch.sort(logits, dim=1, descending=True, stable=True)
    logprob = values[:, :5] - torch.logsumexp(logits, dim=1, keepdim=True)
    # Rounding can leave the log of a probability of one at +1e-8.
    return (
        indices[:, :5].to(torch.int16).cpu().numpy(),
        logprob.clamp_(max=0).cpu().numpy(),
        (values[:, 0] - values[:, 1]).cpu().numpy(),
    )
