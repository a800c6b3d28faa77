"""How many workers a Ray cluster has room for: one for each GPU, or for each slot of CPU cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagenet_hard.base.errors import ClusterError


@dataclass(frozen=True)
class Slots:
    """``n`` workers of ``cpus`` cores each, and of a GPU where ``device`` is "cuda"."""

    n: int
    device: str
    cpus: int

    def describe(self) -> str:
        """For messages."""
        cores = f"{self.cpus} core{'s' if self.cpus > 1 else ''}"
        return f"a GPU and {cores}" if self.device == "cuda" else cores


def find_slots(device: str, cpus: int | None) -> Slots:
    """Of the cluster that this process is connected to; see ``slots_of``."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return slots_of([node["Resources"] for node in nodes if node["Alive"]], device, cpus)


def slots_of(nodes: Sequence[Mapping[str, Any]], device: str, cpus: int | None) -> Slots:
    """``nodes``: what each has, as Ray names it ("CPU", "GPU"). ``device`` "auto": GPUs, if there are.

    ``cpus`` None: one core a worker; with GPUs, as many as every GPU of the cluster can have.

    Raises:
        ClusterError: there is no room for a single worker.

    >>> slots_of([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0}], "auto", None)
    Slots(n=4, device='cuda', cpus=4)
    >>> slots_of([{"CPU": 16.0}, {"CPU": 8.0}], "auto", 3)
    Slots(n=7, device='cpu', cpus=3)
    """
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if device == "cuda" or (device == "auto" and with_gpu):
        each = cpus or max(1, min((int(node.get("CPU", 0) // node["GPU"]) for node in with_gpu), default=1))
        n = sum(min(int(node["GPU"]), int(node.get("CPU", 0) // each)) for node in with_gpu)
        found = Slots(n, "cuda", each)
    else:
        each = cpus or 1
        found = Slots(sum(int(node.get("CPU", 0) // each) for node in nodes), "cpu", each)
    if found.n == 0:
        has = (
            ", ".join(f"{node.get('CPU', 0):g} CPU / {node.get('GPU', 0):g} GPU" for node in nodes) or "none"
        )
        raise ClusterError(
            f"no machine of the Ray cluster has room for a worker of {found.describe()}: its machines "
            f"have {has}. Give another --device or fewer --cpus-per-worker, or add machines"
        )
    return found
