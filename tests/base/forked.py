"""Processes to be killed at work, and others that are not to import anew: forks of one that has imported what
takes seconds.

Each has the environment of its parent and what it is given, as a command that is started anew.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["hypothesis", "imagenet_hard.curation.score.run", "pytest", "timm"])


def started(target: Callable[..., Any], *args: Any, daemon: bool = True) -> ForkServerProcess:
    """A process that has begun with ``target(*args)``, which a module defines.

    ``daemon``: it ends with this process at the latest, and may start none in the same way.
    """
    ready, begins = _server.Pipe(duplex=False)
    process = _server.Process(target=_begin, args=(begins, dict(os.environ), target, args), daemon=daemon)
    process.start()
    begins.close()
    assert ready.recv() == "begins"
    ready.close()
    return process


def _begin(
    begins: Connection, environment: Mapping[str, str], target: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    import torch

    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    begins.send("begins")
    begins.close()
    target(*args)
