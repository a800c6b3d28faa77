"""Workers on a Ray cluster: each holds one replica of a task and does one shard of the data after another.

A worker that dies costs the shards that it was at, which go to others; a new worker takes its place where
there is room. Whatever a worker needs it is sent: nothing is read from a disk that it would have to share.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from imagenet_hard.engine.notes import Notes, noted
from imagenet_hard.engine.slots import Slots, find_slots
from imagenet_hard.engine.versions import Hello, check_same, hello
from imagenet_hard.errors import (
    ClassifierError,
    ClusterError,
    ClusterLostError,
    ImageNetHardError,
    UsageError,
)

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)

DEPTH = 2
"""Shards that a worker has at a time: one to do, one that lies ready."""

MOST_LOSSES = 3
"""Workers that may die over one shard before the shard is taken to be the reason."""

PATIENCE = 180.0
"""Seconds to wait for a worker when there is none."""

LOOK_AGAIN = 15.0
"""Seconds between two looks at what machines the cluster has."""

Shard = TypeVar("Shard")


class Step(Protocol):
    """A task at work on a worker."""

    def __call__(self, shard: Any) -> Any:
        """What comes of a shard; both are pickled on their way."""


class Task(Protocol):
    """What the workers are to do, sent to each of them once; can be pickled."""

    def begin(self, device: str, threads: int) -> Step:
        """Make it ready on a worker with a device ("cpu" or "cuda") and so many cores."""


@dataclass(frozen=True)
class _Call:
    """A function as a task: the shard says nothing."""

    function: Callable[[], Any]

    def begin(self, device: str, threads: int) -> Step:
        return lambda shard: self.function()


class _Worker:
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


class Workers:
    """The workers of one cluster, as many as it has room for. Use as a context manager.

    ``address``, ``device`` and ``cpus`` as in ``open_engine``.

    Raises:
        UsageError: Ray is not installed, or ``device`` is one of this machine's.
        ClusterError: the cluster cannot be reached, has no room, or other versions of what gives the numbers.
    """

    def __init__(self, address: str | None = None, *, device: str = "auto", cpus: int | None = None) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"device {device!r} is one of this machine's: with --engine ray give auto, cpu or cuda"
            )
        self._mine = _connect(address)
        try:
            self.slots: Slots = find_slots(device, cpus)
            self._idle_since = self._looked = time.monotonic()
            self._failed_starts = 0
            self._told: set[str] = set()
            self._starting: dict[Any, Any] = {}
            self._ready: dict[Any, Hello] = {}
            self._tasks = 0
            for _ in range(self.slots.n):
                self._start()
            while not self._ready:
                self._welcome(timeout=1.0)
        except BaseException:
            self.close()
            raise
        log.info("Ray: %d workers of %s", self.slots.n, self.slots.describe())

    @property
    def n(self) -> int:
        """Workers that there is room for."""
        return self.slots.n

    @property
    def devices(self) -> Counter[str]:
        """Those of the workers that are there, and how many workers have each."""
        return Counter(each.device for each in self._ready.values())

    def gather(self, seconds: float) -> None:
        """Wait until all are there, but no longer than that; work would begin with the first one."""
        end = time.monotonic() + seconds
        while self._starting and time.monotonic() < end:
            self._welcome(timeout=1.0)

    def map(self, task: Task, shards: Iterable[Shard]) -> Iterator[tuple[Shard, Any]]:
        """Each shard with what came of it, in the order in which they are done.

        ``shards`` are taken as workers get free: it may be a generator that reads them.

        Raises:
            ClusterError: all workers are lost, or workers die over one shard.
            ImageNetHardError: what a worker raised.
        """
        import ray

        self._tasks += 1
        reference, source = [_sent(task)], iter(shards)
        again: deque[tuple[Shard, int]] = deque()
        flights: dict[Any, tuple[Any, Shard, int]] = {}
        try:
            while True:
                self._grow()
                self._welcome(timeout=0)
                for worker in self._with_room(flights):
                    shard, losses = again.popleft() if again else (next(source, None), 0)
                    if shard is None:
                        break
                    flights[worker.run.remote(self._tasks, reference, shard)] = (worker, shard, losses)
                if not flights and not again:
                    if self._ready:
                        return
                    self._welcome(timeout=1.0)
                    continue
                if not flights:
                    self._welcome(timeout=1.0)
                    continue
                done, _ = ray.wait(list(flights), num_returns=1, timeout=1.0)
                for reply in done:
                    if reply not in flights:  # its worker was lost meanwhile
                        continue
                    worker, shard, losses = flights[reply]
                    try:
                        found, notes = ray.get(reply)
                    except ray.exceptions.RayTaskError as error:
                        raise _cause(error) from error
                    except ray.exceptions.RayError as error:
                        self._lose(worker, error)
                        # What it was at comes first; what lay ready for it is not to blame.
                        (shard, losses), *others = _taken(flights, worker)
                        again.extend(others)
                        if losses + 1 >= MOST_LOSSES:
                            raise ClusterError(
                                f"{losses + 1} workers died over the same shard ({shard}), the last with: "
                                f"{_first_line(error)}. A worker may need more memory than it has (give "
                                "a smaller --batch-size, or more --cpus-per-worker for fewer workers), or an "
                                "image crashes it. What was scored is kept"
                            ) from error
                        again.append((shard, losses + 1))
                    else:
                        del flights[reply]
                        self._tell(notes)
                        yield shard, found
        finally:
            for reply in flights:
                ray.cancel(reply, force=False)

    def call(self, function: Callable[[], Any]) -> Any:
        """What ``function`` gives on one of the workers."""
        ((_, found),) = self.map(_Call(function), ["a call"])
        return found

    def close(self) -> None:
        """Stop the workers, and the cluster if it was started here."""
        import ray

        for worker in [*getattr(self, "_ready", {}), *getattr(self, "_starting", {}).values()]:
            ray.kill(worker)
        if self._mine:
            ray.shutdown()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        import ray

        slots = self.slots
        actor: Any = ray.remote(_Worker)
        made = actor.options(
            num_cpus=slots.cpus,
            num_gpus=1 if slots.device == "cuda" else 0,
            max_concurrency=2 if slots.device == "cuda" else 1,
            scheduling_strategy="SPREAD",
        )
        worker = made.remote(slots.device, slots.cpus)
        self._starting[worker.hello.remote()] = worker

    def _welcome(self, timeout: float) -> None:
        """Let workers in that have started meanwhile."""
        import ray

        if self._starting:
            done, _ = ray.wait(list(self._starting), num_returns=1, timeout=timeout)
            for reply in done:
                worker = self._starting.pop(reply)
                try:
                    said: Hello = ray.get(reply)
                except ray.exceptions.RayError as error:
                    self._retry(error)
                    continue
                check_same(hello(self.slots.device), said)
                self._failed_starts = 0
                self._ready[worker] = said
        if self._ready:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > PATIENCE:
            raise ClusterLostError(
                f"no worker of {self.slots.describe()} could be had for {PATIENCE:.0f} seconds: the cluster "
                "has no free room, or its machines are gone (`ray status` tells). What was scored is kept: "
                "run the same command again"
            )

    def _retry(self, error: Exception) -> None:
        """A worker that died as it started: its machine may be gone, or it can never start."""
        self._failed_starts += 1
        if self._failed_starts >= MOST_LOSSES and not self._ready:
            raise ClusterError(
                f"{self._failed_starts} workers died as they started, the last with: {_first_line(error)}. "
                "Is imagenet-hard installed on each machine of the cluster, and is there enough memory?"
            ) from error
        log.warning("a worker died as it started: %s", _first_line(error))
        if self._failed_starts < MOST_LOSSES + self.n:
            self._start()

    def _grow(self) -> None:
        """Start workers on machines that have joined the cluster since."""
        if time.monotonic() - self._looked < LOOK_AGAIN:
            return
        self._looked = time.monotonic()
        try:
            now = find_slots(self.slots.device, self.slots.cpus)
        except ClusterError:  # all of its machines are gone for now
            return
        for _ in range(now.n - len(self._ready) - len(self._starting)):
            self._start()
        self.slots = replace(now, n=max(now.n, self.slots.n))

    def _with_room(self, flights: dict[Any, tuple[Any, Any, int]]) -> Iterator[Any]:
        """Ready workers, those with nothing to do first, as long as they have room for a shard."""
        for full in range(DEPTH):
            for worker in list(self._ready):
                if sum(w is worker for w, _, _ in flights.values()) == full:
                    yield worker

    def _tell(self, notes: Notes) -> None:
        """What workers logged, once each: it would not get here otherwise."""
        for level, text in notes:
            if text not in self._told:
                self._told.add(text)
                log.log(level, "%s", text)

    def _lose(self, worker: Any, error: Exception) -> None:
        if worker in self._ready:
            log.warning("a worker was lost, its shards go to others: %s", _first_line(error))
            del self._ready[worker]
            self._start()


def _taken(flights: dict[Any, tuple[Any, Any, int]], worker: Any) -> list[tuple[Any, int]]:
    """The shards of ``worker``, which are taken out, oldest first, with their losses."""
    replies = [reply for reply, (who, _, _) in flights.items() if who is worker]
    return [flights.pop(reply)[1:] for reply in replies]


def _sent(task: Task) -> Any:
    """A reference to the task.

    Raises:
        ClassifierError: it cannot be pickled.
    """
    import ray

    try:
        return ray.put(task)
    except (TypeError, AttributeError, ValueError) as error:
        raise ClassifierError(
            f"the classifier cannot be sent to the workers: {_first_line(error.__cause__ or error)}. With "
            "--engine ray it must be one that pickle can take: no open files, locks or generators in it"
        ) from error


def _connect(address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine; whether it is this process's to shut down."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of this run
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs the extra: pip install 'imagenet-hard[ray]' ({error})"
        ) from error
    from imagenet_hard.engine.settings import available_cores

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    wanted = address or os.environ.get("RAY_ADDRESS")
    if wanted:
        _knock(wanted)
    try:
        ray.init(address=wanted or "auto", **quiet)
    except ConnectionError as error:
        if wanted:
            raise _no_cluster(wanted, error) from error
        # On the loopback: who reaches a cluster can run code on it.
        ray.init(
            address="local",
            num_cpus=available_cores(),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
    except ImportError as error:  # ray:// needs more of Ray
        raise UsageError(f"{wanted}: {_first_line(error)}: pip install 'ray[client]'") from error
    except (ValueError, RuntimeError) as error:
        raise ClusterError(f"the Ray cluster at {wanted} cannot be used: {_first_line(error)}") from error
    return True


def _knock(address: str) -> None:
    """Ray itself tries for minutes.

    Raises:
        ClusterError: nothing listens at HOST:PORT or ray://HOST:PORT.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():  # "auto", "local"
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: BaseException) -> ClusterError:
    return ClusterError(
        f"no Ray cluster at {address}: {_first_line(error)}. Start one with `ray start --head`, or leave "
        "--address out to use this machine alone"
    )


def _cause(error: Any) -> Exception:
    """What the worker raised, as an error of ours."""
    cause = error.cause
    if isinstance(cause, ImageNetHardError):
        return cause
    return ClusterError(f"a worker failed: {type(cause).__name__}: {_first_line(cause)}\n{error}")


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
