"""Launchers that start many copies of a command (torchrun, accelerate): told what to use instead."""

from __future__ import annotations

import os
from collections.abc import Mapping

from imagenet_hard.base.errors import UsageError


def refuse_copies(environment: Mapping[str, str] = os.environ) -> None:
    """Copies would score the same images into the same files: the work is split by the engine, not by ranks.

    Raises:
        UsageError: this process is one of several that a launcher started.
    """
    size = environment.get("WORLD_SIZE", "")
    if "LOCAL_RANK" in environment and size.isdigit() and int(size) > 1:
        raise UsageError(
            f"a launcher such as torchrun started {size} copies of this command (WORLD_SIZE={size}), and "
            "each would score all images. Start it once, without the launcher: --engine ray splits the work "
            "over all GPUs and machines (docs/cluster.md)"
        )
