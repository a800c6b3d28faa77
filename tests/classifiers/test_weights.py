"""The hash of a model's weights."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from imagenet_hard.classifiers.weights import weights_sha256


def test_the_hash_is_the_documented_one() -> None:
    """By hand: sorted keys, dtype, shape and little-endian bytes."""
    module = nn.BatchNorm1d(2)
    expected = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        expected.update(f"{key}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode() + tensor.numpy().tobytes())
    assert weights_sha256(module) == expected.hexdigest()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_memory_layout_does_not_matter_and_one_bit_does(dtype: torch.dtype) -> None:
    """channels_last is the same model; another dtype or value is not."""
    module = nn.Conv2d(3, 4, 3).to(dtype)
    first = weights_sha256(module)
    assert weights_sha256(module.to(memory_format=torch.channels_last)) == first
    with torch.no_grad():
        module.weight[0, 0, 0, 0] += 1
    assert weights_sha256(module) != first


def test_dtypes_shapes_and_names_are_part_of_it() -> None:
    """Equal bytes under another name, shape or dtype are other weights; no weights have a hash as well."""

    def holding(name: str, tensor: torch.Tensor) -> str:
        module = nn.Module()
        module.register_buffer(name, tensor)
        return weights_sha256(module)

    zeros = torch.zeros(4, 2)
    hashes = {
        holding("a", zeros),
        holding("b", zeros),
        holding("a", zeros.reshape(2, 4)),
        holding("a", zeros.to(torch.int32)),
        holding("a", torch.zeros(0)),
        weights_sha256(nn.Identity()),
    }
    assert len(hashes) == 6
