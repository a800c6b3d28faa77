"""Workers on a Ray cluster: each holds one replica of a task and does one shard of the data after another.

A worker that dies costs the shards that it was at, which go to others; a new worker takes its place where
there is room. Whatever a worker needs it is sent: nothing is read from a disk that it would have to share.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from imagenet_hard.base.errors import ClusterError, ClusterLostError, UsageError
from imagenet_hard.engine.ray.cluster import Capacity, cause_of, connect, find_capacity, first_line, sent
from imagenet_hard.engine.ray.worker import (
    Call,
    LogLines,
    Task,
    Worker,
    WorkerInfo,
    check_versions,
    worker_info,
)

log = logging.getLogger(__name__)

QUEUE = 2
"""Shards that a worker has at a time: one to do, one that lies ready."""

MOST_LOSSES = 3
"""Workers that may die over one shard before the shard is taken to be the reason."""

MOST_IDLE = 180.0
"""Seconds to wait for a worker when there is none."""

RECHECK = 15.0
"""Seconds between two looks at what machines the cluster has."""

Shard = TypeVar("Shard")


class WorkerPool:
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
        self._mine = connect(address)
        try:
            self.capacity: Capacity = find_capacity(device, cpus)
            self._idle_since = self._checked = time.monotonic()
            self._failed_starts = 0
            self._logged: set[str] = set()
            self._starting: dict[Any, Any] = {}
            self._ready: dict[Any, WorkerInfo] = {}
            self._tasks = 0
            for _ in range(self.capacity.n):
                self._start()
            while not self._ready:
                self._admit(timeout=1.0)
        except BaseException:
            self.close()
            raise
        log.info("Ray: %d workers of %s", self.capacity.n, self.capacity.describe())

    @property
    def n(self) -> int:
        """Workers that there is room for."""
        return self.capacity.n

    @property
    def devices(self) -> Counter[str]:
        """Those of the workers that are there, and how many workers have each."""
        return Counter(each.device for each in self._ready.values())

    def wait_for_all(self, seconds: float) -> None:
        """Wait until all are there, but no longer than that; work would begin with the first one."""
        end = time.monotonic() + seconds
        while self._starting and time.monotonic() < end:
            self._admit(timeout=1.0)

    def map(self, task: Task, shards: Iterable[Shard]) -> Iterator[tuple[Shard, Any]]:
        """Each shard with what came of it, in the order in which they are done.

        ``shards`` are taken as workers get free: it may be a generator that reads them.

        Raises:
            ClusterError: all workers are lost, or workers die over one shard.
            ImageNetHardError: what a worker raised.
        """
        import ray

        self._tasks += 1
        reference, source = sent(task), iter(shards)
        again: deque[tuple[Shard, int]] = deque()
        in_flight: dict[Any, tuple[Any, Shard, int]] = {}
        try:
            while True:
                self._grow()
                self._admit(timeout=0)
                for worker in self._with_room(in_flight):
                    shard, losses = again.popleft() if again else (next(source, None), 0)
                    if shard is None:
                        break
                    in_flight[worker.run.remote(self._tasks, reference, shard)] = (worker, shard, losses)
                if not in_flight:
                    if self._ready and not again:
                        return
                    self._admit(timeout=1.0)
                    continue
                done, _ = ray.wait(list(in_flight), num_returns=1, timeout=1.0)
                for reply in done:
                    if reply not in in_flight:  # its worker was lost meanwhile
                        continue
                    worker, shard, losses = in_flight[reply]
                    try:
                        found, lines = ray.get(reply)
                    except ray.exceptions.RayTaskError as error:
                        raise cause_of(error) from error
                    except ray.exceptions.RayError as error:
                        self._lose(worker, error)
                        # What it was at comes first; what lay ready for it is not to blame.
                        (shard, losses), *others = _taken(in_flight, worker)
                        again.extend(others)
                        if losses + 1 >= MOST_LOSSES:
                            raise ClusterError(
                                f"{losses + 1} workers died over the same shard ({shard}), the last with: "
                                f"{first_line(error)}. A worker may need more memory than it has (give "
                                "a smaller --batch-size, or more --cpus-per-worker for fewer workers), or an "
                                "image crashes it. What was scored is kept"
                            ) from error
                        again.append((shard, losses + 1))
                    else:
                        del in_flight[reply]
                        self._log(lines)
                        yield shard, found
        finally:
            for reply in in_flight:
                ray.cancel(reply, force=False)

    def call(self, function: Callable[[], Any]) -> Any:
        """What ``function`` gives on one of the workers."""
        ((_, found),) = self.map(Call(function), ["a call"])
        return found

    def close(self) -> None:
        """Stop the workers, and the cluster if it was started here."""
        import ray

        for worker in [*getattr(self, "_ready", {}), *getattr(self, "_starting", {}).values()]:
            ray.kill(worker)
        if self._mine:
            ray.shutdown()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        import ray

        capacity = self.capacity
        actor: Any = ray.remote(Worker)
        made = actor.options(
            num_cpus=capacity.cpus,
            num_gpus=1 if capacity.device == "cuda" else 0,
            max_concurrency=2 if capacity.device == "cuda" else 1,
            scheduling_strategy="SPREAD",
        )
        worker = made.remote(capacity.device, capacity.cpus)
        self._starting[worker.info.remote()] = worker

    def _admit(self, timeout: float) -> None:
        """Let workers in that have started meanwhile."""
        import ray

        if self._starting:
            done, _ = ray.wait(list(self._starting), num_returns=1, timeout=timeout)
            for reply in done:
                worker = self._starting.pop(reply)
                try:
                    said: WorkerInfo = ray.get(reply)
                except ray.exceptions.RayError as error:
                    self._retry(error)
                    continue
                check_versions(worker_info(self.capacity.device), said)
                self._failed_starts = 0
                self._ready[worker] = said
        if self._ready:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > MOST_IDLE:
            raise ClusterLostError(
                f"no worker of {self.capacity.describe()} could be had for {MOST_IDLE:.0f} seconds: the "
                "cluster has no free room, or its machines are gone (`ray status` tells). What was scored is "
                "kept: run the same command again"
            )

    def _retry(self, error: Exception) -> None:
        """A worker that died as it started: its machine may be gone, or it can never start."""
        self._failed_starts += 1
        if self._failed_starts >= MOST_LOSSES and not self._ready:
            raise ClusterError(
                f"{self._failed_starts} workers died as they started, the last with: {first_line(error)}. "
                "Is imagenet-hard installed on each machine of the cluster, and is there enough memory?"
            ) from error
        log.warning("a worker died as it started: %s", first_line(error))
        if self._failed_starts < MOST_LOSSES + self.n:
            self._start()

    def _grow(self) -> None:
        """Start workers on machines that have joined the cluster since."""
        if time.monotonic() - self._checked < RECHECK:
            return
        self._checked = time.monotonic()
        try:
            now = find_capacity(self.capacity.device, self.capacity.cpus)
        except ClusterError:  # all of its machines are gone for now
            return
        for _ in range(now.n - len(self._ready) - len(self._starting)):
            self._start()
        self.capacity = replace(now, n=max(now.n, self.capacity.n))

    def _with_room(self, in_flight: dict[Any, tuple[Any, Any, int]]) -> Iterator[Any]:
        """Ready workers, those with nothing to do first, as long as they have room for a shard."""
        for full in range(QUEUE):
            for worker in list(self._ready):
                if sum(w is worker for w, _, _ in in_flight.values()) == full:
                    yield worker

    def _log(self, lines: LogLines) -> None:
        """What workers logged, once each: it would not get here otherwise."""
        for level, text in lines:
            if text not in self._logged:
                self._logged.add(text)
                log.log(level, "%s", text)

    def _lose(self, worker: Any, error: Exception) -> None:
        import ray

        if worker in self._ready:
            ray.kill(worker)  # it may only have been out of reach, and would keep its GPU
            log.warning("a worker was lost, its shards go to others: %s", first_line(error))
            del self._ready[worker]
            self._start()


def _taken(in_flight: dict[Any, tuple[Any, Any, int]], worker: Any) -> list[tuple[Any, int]]:
    """The shards of ``worker``, which are taken out, oldest first, with their losses."""
    replies = [reply for reply, (who, _, _) in in_flight.items() if who is worker]
    return [in_flight.pop(reply)[1:] for reply in replies]
