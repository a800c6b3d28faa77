"""Libraries are imported without torch's compiler, and it is there for whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FIRST_USE = """
import sys
import torch
from imagenet_hard.classifiers.without_compiler import without_compiler

with without_compiler():
    import timm
    import torchvision

    @torch.compiler.disable
    def double(x):
        return 2 * x

assert not any(name.startswith("torch._dynamo") for name in sys.modules), "the compiler was imported"
assert sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu") is True
assert sys.modules["torch._dynamo"].__file__
assert double(3) == 6
assert torch._dynamo.utils.is_compile_supported.__module__ == "torch._dynamo.utils"
"""

ASKED_INSIDE = """
import sys
import torch
from imagenet_hard.classifiers.without_compiler import without_compiler

with without_compiler():
    before = torch._dynamo
    assert isinstance(before.config.cache_size_limit, int)  # the module itself, from here on
    assert sys.modules["torch._dynamo"] is not before
assert sys.modules["torch._dynamo"].__file__
with without_compiler():  # which is here now, and stays
    assert sys.modules["torch._dynamo"].__file__
"""


IN_FORKS = """
import os
import sys
import torch

for script in sys.argv[1:]:
    if (child := os.fork()) == 0:
        exec(script)
        break
    _, status = os.waitpid(child, 0)
    assert status == 0, script
"""
"""Each in a process of its own in which torch has been imported, and nothing else."""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
def test_its_first_use_brings_it():
    """What was marked as not to be compiled, and what asks whether it is compiled, works as before; and
    what is asked inside the block is the compiler itself."""
    command = [sys.executable, "-c", IN_FORKS, FIRST_USE, ASKED_INSIDE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
