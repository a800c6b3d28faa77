"""Ray itself: connecting to a cluster or starting one, and its errors as ours."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from imagenet_hard.base.errors import ClassifierError, ClusterError, ImageNetHardError, UsageError
from imagenet_hard.base.runtime import available_cores
from imagenet_hard.classifiers.file_module import file_modules
from imagenet_hard.engine.worker import Task


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
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    wanted = address or os.environ.get("RAY_ADDRESS")
    # On the loopback: who reaches a cluster can run code on it.
    mine: dict[str, Any] = {
        "num_cpus": available_cores(),
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }
    if wanted:
        _knock(wanted)
    try:
        ray.init(address=wanted or "auto", **quiet, **(mine if wanted == "local" else {}))
    except ConnectionError as error:
        if wanted:
            raise _no_cluster(wanted, error) from error
        ray.init(address="local", **quiet, **mine)
    except ImportError as error:  # ray:// needs more of Ray
        raise UsageError(f"{wanted}: {first_line(error)}: pip install 'ray[client]'") from error
    except (ValueError, RuntimeError) as error:
        raise ClusterError(f"the Ray cluster at {wanted} cannot be used: {first_line(error)}") from error
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
        f"no Ray cluster at {address}: {first_line(error)}. Start one with `ray start --head`, or leave "
        "--address out to use this machine alone"
    )


def cause_of(error: Any) -> Exception:
    """What the worker raised, as an error of ours."""
    cause = error.cause
    if isinstance(cause, ImageNetHardError):
        return cause
    return ClusterError(f"a worker failed: {type(cause).__name__}: {first_line(cause)}\n{error}")


def first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


def sent(task: Task) -> Any:
    """A reference to the task.

    Raises:
        ClassifierError: it cannot be pickled.
    """
    import ray
    from ray import cloudpickle

    for module in file_modules():  # there is no such module on a worker
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        return ray.put(task)
    except (TypeError, AttributeError, ValueError) as error:
        raise ClassifierError(
            f"the classifier cannot be sent to the workers: {first_line(error.__cause__ or error)}. With "
            "--engine ray it must be one that pickle can take: no open files, locks or generators in it"
        ) from error
