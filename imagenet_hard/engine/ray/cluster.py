"""Ray itself: connecting to a cluster or starting one, what it has room for, and its errors as ours."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import ClassifierError, ClusterError, ImageNetHardError, UsageError
from imagenet_hard.base.runtime import available_cores
from imagenet_hard.classifiers.file_module import file_modules
from imagenet_hard.engine.ray.worker import Task


def connect(address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine; whether it is this process's to shut down."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of this run
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs the extra: pip install 'imagenet-hard[ray]' ({error})"
        ) from error
    if ray.is_initialized():
        return False
    wanted = address or os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if "://" not in (wanted or ""):  # there Ray knows no folder of this machine
        common["job_config"] = _job_config()
    # On the loopback: who reaches a cluster can run code on it.
    mine: dict[str, Any] = {
        "num_cpus": available_cores(),
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }
    if wanted:
        _check_reachable(wanted)
    try:
        try:
            ray.init(address=wanted or "auto", **common, **(mine if wanted == "local" else {}))
        except ConnectionError as error:
            if wanted:
                raise _no_cluster(wanted, error) from error
            ray.init(address="local", **common, **mine)
    except ClusterError:
        raise
    except ImportError as error:  # ray:// needs more of Ray
        raise UsageError(f"{wanted}: {first_line(error)}: pip install 'ray[client]'") from error
    except Exception as error:  # a bare one where a node of its own starts too slowly
        raise ClusterError(
            f"the Ray cluster at {wanted or 'local'} cannot be used: {first_line(error)}"
        ) from error
    return True


def _job_config() -> Any:
    """Ray's own, but that workers do not look for modules in the current folder, and there before all others.

    It may be a stranger's checkout. The folder of a script that runs stays, and that of this package where it
    is run from a checkout; see ``sent`` for modules of one's own.
    """
    from ray.job_config import JobConfig

    class Config(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # for then Ray adds no folder

    main = getattr(sys.modules["__main__"], "__file__", None)
    folders = [str(Path(main).resolve().parent)] if main else []
    folders = [each for each in folders if each in sys.path]
    if Path.cwd() == Path(__file__).resolve().parents[3]:
        folders.append(str(Path.cwd()))
    return Config(_py_driver_sys_path=folders)


def _check_reachable(address: str) -> None:
    """At once: Ray itself tries for minutes.

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
        f"no Ray cluster at {address}: {first_line(error)}. Start one with `ray start --head`, or leave "
        "--address out to use this machine alone"
    )


@dataclass(frozen=True)
class Capacity:
    """``n`` workers of ``cpus`` cores each, and of a GPU where ``device`` is "cuda"."""

    n: int
    device: str
    cpus: int

    def describe(self) -> str:
        """For messages."""
        cores = f"{self.cpus} core{'s' if self.cpus > 1 else ''}"
        return f"a GPU and {cores}" if self.device == "cuda" else cores


def find_capacity(device: str, cpus: int | None) -> Capacity:
    """Of the cluster that this process is connected to; see ``capacity_of``."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return capacity_of([node["Resources"] for node in nodes if node["Alive"]], device, cpus)


def capacity_of(nodes: Sequence[Mapping[str, Any]], device: str, cpus: int | None) -> Capacity:
    """``nodes``: what each has, as Ray names it ("CPU", "GPU"). ``device`` "auto": GPUs, if there are.

    ``cpus`` None: one core a worker; with GPUs, as many as every GPU of the cluster can have.

    Raises:
        ClusterError: there is no room for a single worker.

    >>> capacity_of([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0}], "auto", None)
    Capacity(n=4, device='cuda', cpus=4)
    >>> capacity_of([{"CPU": 16.0}, {"CPU": 8.0}], "auto", 3)
    Capacity(n=7, device='cpu', cpus=3)
    """
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if device == "cuda" or (device == "auto" and with_gpu):
        each = cpus or max(1, min((int(node.get("CPU", 0) // node["GPU"]) for node in with_gpu), default=1))
        n = sum(min(int(node["GPU"]), int(node.get("CPU", 0) // each)) for node in with_gpu)
        found = Capacity(n, "cuda", each)
    else:
        each = cpus or 1
        found = Capacity(sum(int(node.get("CPU", 0) // each) for node in nodes), "cpu", each)
    if found.n == 0:
        has = (
            ", ".join(f"{node.get('CPU', 0):g} CPU / {node.get('GPU', 0):g} GPU" for node in nodes) or "none"
        )
        raise ClusterError(
            f"no machine of the Ray cluster has room for a worker of {found.describe()}: its machines "
            f"have {has}. Give another --device or fewer --cpus-per-worker, or add machines"
        )
    return found


def cause_of(error: Any) -> Exception:
    """What the worker raised, as an error of ours."""
    cause = error.cause
    if isinstance(cause, ImageNetHardError):
        return cause
    return ClusterError(f"a worker failed: {type(cause).__name__}: {first_line(cause)}\n{error}")


def first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


def sent(task: Task) -> list[Any]:
    """A reference to the task, and the folders in which a worker on this machine has to look for its modules.

    Raises:
        ClassifierError: it cannot be pickled.
    """
    import ray
    from ray import cloudpickle

    for module in file_modules():  # there is no such module on a worker
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        return [ray.put(task), *_folders_in_use()]
    except (TypeError, AttributeError, ValueError) as error:
        raise ClassifierError(
            f"the classifier cannot be sent to the workers: {first_line(error.__cause__ or error)}. With "
            "--engine ray it must be one that pickle can take: no open files, locks or generators in it"
        ) from error


def _folders_in_use() -> list[str]:
    """The current folder, if this process has imported modules from it already (``module:function`` does)."""
    here = Path.cwd()
    for name, module in list(sys.modules.items()):
        # Not by getattr: that makes lazy modules import something.
        place = Path(getattr(module, "__dict__", {}).get("__file__") or "")
        if place.is_relative_to(here):
            first = place.relative_to(here).parts[0]
            if first.removesuffix(".py") == name.partition(".")[0]:
                return [str(here)]
    return []
