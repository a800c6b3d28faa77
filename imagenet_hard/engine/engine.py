"""Engines: where jobs run. This process by default, or the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine.settings import device_type, resolve_device

if TYPE_CHECKING:
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.job import Job, Outcome
    from imagenet_hard.engine.ray.pool import WorkerPool

EngineName = Literal["local", "ray"]


class Engine(Protocol):
    """Runs jobs over a benchmark; predictions are the same on each but for near-ties."""

    @property
    def workers(self) -> WorkerPool | None:
        """Those of a cluster; None where everything runs in this process."""

    def device_type(self, device: str) -> str:
        """What ``device`` ("auto", "cpu", "cuda", ...) is where the jobs run: cpu, cuda or mps.

        Raises:
            UsageError: there is no such device.
        """

    def loading_device(self, device: str) -> str:
        """The device of this machine on which classifiers are loaded and zero-shot heads are built.

        Raises:
            UsageError: as ``device_type``.
        """

    def score(self, jobs: Sequence[Job], benchmark: Benchmark) -> list[Outcome]:
        """See ``score_together``."""


class LocalEngine:
    """This process."""

    workers = None

    def device_type(self, device: str) -> str:
        return device_type(device)

    def loading_device(self, device: str) -> str:
        return str(resolve_device(device))

    def score(self, jobs: Sequence[Job], benchmark: Benchmark) -> list[Outcome]:
        from imagenet_hard.engine.run import score_together

        return score_together(jobs, benchmark)


@contextmanager
def open_engine(
    engine: EngineName | Engine = "local",
    *,
    address: str | None = None,
    device: str = "auto",
    cpus_per_worker: int | None = None,
) -> Iterator[Engine]:
    """The engine of that name, started and stopped again; an engine that is open already as it is.

    ``address``: of a running Ray cluster ("auto", "HOST:PORT"); "local" starts one here; None takes that of
    the environment (RAY_ADDRESS) or of this machine, else starts one here. ``cpus_per_worker``: cores of each
    worker, by default one, or an equal share of a node's for each of its GPUs.

    Raises:
        UsageError: an unknown name, options that do not go with it, or Ray is not installed.
        ClusterError: the cluster cannot be reached, or has no room for a worker.
    """
    if not isinstance(engine, str):
        if address is not None or cpus_per_worker is not None:
            raise UsageError(
                "an address and CPUs per worker are for an engine's name: this one is open already"
            )
        yield engine
    elif engine == "local":
        if address is not None or cpus_per_worker is not None:
            raise UsageError("an address and CPUs per worker belong to the engine 'ray': add --engine ray")
        yield LocalEngine()
    elif engine == "ray":
        from imagenet_hard.engine.ray.engine import RayEngine
        from imagenet_hard.engine.ray.pool import WorkerPool

        with WorkerPool(address, device=device, cpus=cpus_per_worker) as workers:
            yield RayEngine(workers)
    else:
        raise UsageError(f"engine {engine!r}: expected local or ray")
