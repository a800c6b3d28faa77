"""Workers must compute what this process would: the same versions of everything that moves a number."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from imagenet_hard.base.errors import ClusterError
from imagenet_hard.base.runtime import COMPUTING, package_versions


@dataclass(frozen=True)
class Hello:
    """What a worker says of itself. ``node``: its machine's name; ``device``: as in a result's record."""

    node: str
    device: str
    versions: Mapping[str, str]


def hello(device: str) -> Hello:
    """Of this process."""
    import torch

    from imagenet_hard.engine.settings import device_name

    installed = package_versions()
    versions = {name: installed.get(name, "none") for name in ("imagenet-hard", *COMPUTING)}
    versions["python"] = ".".join(platform.python_version_tuple()[:2])
    cuda = device == "cuda" and torch.cuda.is_available()
    return Hello(
        platform.node(), device_name(torch.device(device)) if cuda or device == "cpu" else device, versions
    )


def check_same(mine: Hello, worker: Hello) -> None:
    """Raises:
    ClusterError: the worker has other versions; each is named.
    """
    other = [
        f"{name} {worker.versions.get(name, 'none')} (here {have})"
        for name, have in mine.versions.items()
        if worker.versions.get(name) != have
    ]
    if other:
        raise ClusterError(
            f"the worker on {worker.node} has other versions than this process, and might give other "
            f"numbers: {', '.join(other)}. Install the same on every machine of the cluster"
        )
