"""Top-5 order and log-probabilities."""

from __future__ import annotations

import numpy as np
import torch

from imagenet_hard.engine.topk import top5


def test_equal_logits_keep_the_lower_index_first():
    """ "missile" and "sunglasses" name two classes each: the order must not depend on the machine."""
    logits = torch.zeros(3, 1000)
    logits[0, [657, 744]] = 3.0
    logits[1, [837, 836, 1]] = 2.0
    indices, logprob, margin = top5(logits)
    assert indices[0, :2].tolist() == [657, 744]
    assert indices[1, :3].tolist() == [1, 836, 837]
    assert indices[2].tolist() == [0, 1, 2, 3, 4]
    assert margin.tolist() == [0, 0, 0]
    np.testing.assert_allclose(logprob[2], np.log(1 / 1000), rtol=1e-6)


def test_log_probabilities_are_never_positive():
    """A certain classifier has probability one, not a rounding more."""
    logits = torch.full((1, 1000), -100.0)
    logits[0, 7] = 100.0
    indices, logprob, margin = top5(logits)
    assert (indices[0, 0], logprob[0, 0], margin[0]) == (7, 0, 200)
    assert indices.dtype == np.int16
    assert logprob.dtype == margin.dtype == np.float32
