"""Folding batch norms: the same function, and what is left as it is."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from imagenet_hard.engine.optimize import fold_batch_norms


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
