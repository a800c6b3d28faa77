"""Top-5 order, folding, settings and the allocator, each on its own."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.optimize import fold_batch_norms
from imagenet_hard.engine.settings import RunSettings, resolve_device
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


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "convnext_atto"]
)
def test_folding_is_the_same_function(name):
    """timm's models (with activations inside their batch norms) give the same logits, and are not changed."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        before = model(x)
        folded, n = fold_batch_norms(model, x)
        assert (model(x) == before).all()
        norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
        assert n == norms
        torch.testing.assert_close(folded(x), before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))


def test_what_cannot_be_folded_is_left():
    """A norm that follows no convolution, or a convolution used twice, stays as it is."""

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.second(self.conv(self.first(self.conv(x)))) + self.first(x)

    _, n = fold_batch_norms(Shared().eval(), torch.randn(1, 3, 8, 8))
    assert n == 0


def test_settings_say_what_they_expect():
    """Wrong values are refused where they are given."""
    with pytest.raises(UsageError, match="precision 'fp8': expected fp32, bf16, fp16"):
        RunSettings(precision="fp8")
    with pytest.raises(UsageError, match="batch_size is 0: expected 1 or more"):
        RunSettings(batch_size=0)


def test_devices():
    """A GPU that isn't there is named with a way out."""
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="device 'tpu'"):
        resolve_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="'cuda:3' was asked for.*sees 0 CUDA devices.*--device cpu"):
            resolve_device("cuda:3")
        assert resolve_device("auto").type in ("cpu", "mps")


def test_activations_are_reused_inside_the_block():
    """Freed blocks of 100 MB are not faulted in again (where the C library is glibc)."""
    import resource

    with keep_activations() as could:
        if not could:
            pytest.skip("not glibc")
        for _ in range(20):  # until the heap has found its shape
            torch.empty(25_000_000).fill_(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.empty(25_000_000).fill_(1)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 50_000  # five times 24,414 pages otherwise


def test_the_callers_tensors_are_not_faulted_in_anew_afterwards():
    """The process is left no slower than it was: blocks of 8 MB are reused, as glibc does on its own."""
    import resource

    with keep_activations() as could:
        if not could:
            pytest.skip("not glibc")
    for _ in range(20):
        torch.empty(2_000_000).fill_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.empty(2_000_000).fill_(1)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 10_000  # 20 times 1,953 pages otherwise
