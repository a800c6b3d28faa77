"""The other end of the pool: one process of a cluster, which holds a task and does shards.

It must compute what the process that sends the shards would: both have the same versions of everything that
moves a number. What it logs goes back with each shard.
"""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from imagenet_hard.base.errors import ClusterError
from imagenet_hard.base.runtime import COMPUTING, extending_packages, package_versions


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker says of itself. ``node``: its machine's name; ``device``: as in a result's record."""

    node: str
    device: str
    versions: Mapping[str, str]


def worker_info(device: str) -> WorkerInfo:
    """Of this process."""
    import torch

    from imagenet_hard.engine.settings import device_name

    installed = package_versions()
    computing = ("imagenet-hard", *COMPUTING, *extending_packages())
    versions = {name: installed.get(name, "none") for name in computing}
    versions["python"] = ".".join(platform.python_version_tuple()[:2])
    cuda = device == "cuda" and torch.cuda.is_available()
    return WorkerInfo(
        platform.node(), device_name(torch.device(device)) if cuda or device == "cpu" else device, versions
    )


def check_versions(mine: WorkerInfo, worker: WorkerInfo) -> None:
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


class Task(Protocol):
    """What the workers are to do, sent to each of them once; can be pickled."""

    def begin(self, device: str, threads: int) -> Callable[[Any], Any]:
        """Make it ready on a worker with a device ("cpu" or "cuda") and so many cores.

        Returns a function from a shard to what comes of it; both are pickled on their way.
        """


@dataclass(frozen=True)
class Call:
    """A function as a task: the shard says nothing."""

    function: Callable[[], Any]

    def begin(self, device: str, threads: int) -> Callable[[Any], Any]:
        return lambda shard: self.function()


class Worker:
    """One process. ``run`` is called in several threads only where the device computes beside the CPU."""

    def __init__(self, device: str, threads: int) -> None:
        from threading import Lock

        import torch

        torch.set_num_threads(threads)
        self._device, self._threads, self._lock = device, threads, Lock()
        self._number: int | None = None
        self._work: Callable[[Any], Any] | None = None

    def info(self) -> WorkerInfo:
        return worker_info(self._device)

    def run(self, number: int, task: list[Any], shard: Any) -> tuple[Any, LogLines]:
        """What comes of a shard of the task of that ``number``, as ``cluster.sent`` sends it; and the log."""
        with self._lock, collected_log() as lines:
            if number != self._number:
                self._begin(number, task)
            work = self._work
        assert work is not None
        with collected_log() as more:
            found = work(shard)
        return found, lines + more

    def _begin(self, number: int, task: list[Any]) -> None:
        import gc

        import ray
        import torch

        self._number = self._work = None  # the memory of the last one first
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        reference, *folders = task
        sys.path[:0] = [each for each in folders if each not in sys.path]
        self._work = ray.get(reference).begin(self._device, self._threads)
        self._number = number


LogLines = list[tuple[int, str]]
"""Level and text."""


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: LogLines = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))


@contextmanager
def collected_log() -> Iterator[LogLines]:
    """Collect what the package logs inside the block, from INFO on."""
    logger, collector = logging.getLogger("imagenet_hard"), _Lines()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(collector)
    try:
        yield collector.lines
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
