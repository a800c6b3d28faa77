"""The other end of the pool: one process of a cluster, which holds a task and does shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from imagenet_hard.engine.notes import Notes, noted
from imagenet_hard.engine.versions import Hello, hello


class Step(Protocol):
    """A task at work on a worker."""

    def __call__(self, shard: Any) -> Any:
        """What comes of a shard; both are pickled on their way."""


class Task(Protocol):
    """What the workers are to do, sent to each of them once; can be pickled."""

    def begin(self, device: str, threads: int) -> Step:
        """Make it ready on a worker with a device ("cpu" or "cuda") and so many cores."""


@dataclass(frozen=True)
class Call:
    """A function as a task: the shard says nothing."""

    function: Callable[[], Any]

    def begin(self, device: str, threads: int) -> Step:
        return lambda shard: self.function()


class Worker:
    """One process. ``run`` is called in several threads only where the device computes beside the CPU."""

    def __init__(self, device: str, threads: int) -> None:
        from threading import Lock

        import torch

        torch.set_num_threads(threads)
        self._device, self._threads, self._lock = device, threads, Lock()
        self._number: int | None = None
        self._step: Step | None = None

    def hello(self) -> Hello:
        return hello(self._device)

    def run(self, number: int, task: list[Any], shard: Any) -> tuple[Any, Notes]:
        with self._lock, noted() as notes:
            if number != self._number:
                self._begin(number, task)
            step = self._step
        assert step is not None
        with noted() as more:
            found = step(shard)
        return found, notes + more

    def _begin(self, number: int, task: list[Any]) -> None:
        import gc

        import ray
        import torch

        self._number = self._step = None  # the memory of the last one first
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()
        self._step = ray.get(task[0]).begin(self._device, self._threads)
        self._number = number
