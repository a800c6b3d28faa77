"""Engines by name, room on a cluster, versions, launchers: what is refused, and how it is said."""

from __future__ import annotations

import dataclasses

import pytest

from imagenet_hard.base.errors import ClusterError, UsageError
from imagenet_hard.cli.engine import refuse_copies
from imagenet_hard.engine.engine import open_engine
from imagenet_hard.engine.ray.cluster import Capacity, capacity_of
from imagenet_hard.engine.ray.pool import WorkerPool
from imagenet_hard.engine.ray.worker import check_versions, worker_info


def test_engines_by_name():
    """Options of the cluster need the cluster's engine."""
    with open_engine() as engine:
        assert engine.workers is None
        assert engine.device_type("cpu") == "cpu"
        with open_engine(engine) as same:
            assert same is engine
    with pytest.raises(UsageError, match="add --engine ray"), open_engine("local", address="auto"):
        pass
    with pytest.raises(UsageError, match="engine 'dask': expected local or ray"), open_engine("dask"):
        pass


def test_a_cluster_that_is_not_there(monkeypatch):
    """Found out at once, where Ray would try for minutes; and a device is the workers' own."""
    pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(ClusterError, match=f"no Ray cluster at {address}: .*refused.*ray start --head"):
            WorkerPool(address)
    with pytest.raises(UsageError, match="device 'cuda:1' is one of this machine's"):
        WorkerPool(device="cuda:1")

    def slow(**options):
        if options["address"] == "auto":
            raise ConnectionError("none runs")
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", slow)
    with pytest.raises(ClusterError, match="cluster at local cannot be used: The current node timed out"):
        WorkerPool()


@pytest.mark.parametrize(
    ("device", "cpus", "expected"),
    [
        ("auto", None, Capacity(5, "cuda", 4)),
        ("auto", 8, Capacity(3, "cuda", 8)),
        ("cpu", None, Capacity(24, "cpu", 1)),
        ("cpu", 5, Capacity(4, "cpu", 5)),
    ],
)
def test_room_for_workers(device, cpus, expected):
    """One for each GPU that has cores beside it, else one for each slot of cores."""
    assert capacity_of([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 1.0}, {}], device, cpus) == expected


def test_no_room_says_what_there_is():
    """Also where GPUs are asked for and there are none."""
    with pytest.raises(ClusterError, match=r"a GPU and 1 core: its machines have 8 CPU / 0 GPU"):
        capacity_of([{"CPU": 8.0}], "cuda", None)
    with pytest.raises(ClusterError, match=r"worker of 9 cores: .* 8 CPU.*fewer --cpus-per-worker"):
        capacity_of([{"CPU": 8.0}], "cpu", 9)
    with pytest.raises(ClusterError, match="its machines have none"):
        capacity_of([], "auto", None)


def test_other_versions_are_refused():
    """A worker with another Pillow decodes other pixels."""
    mine = worker_info("cpu")
    check_versions(mine, mine)
    other = dataclasses.replace(mine, node="far", versions={**mine.versions, "pillow": "1.0"})
    with pytest.raises(ClusterError, match=r"worker on far has other versions.*pillow 1.0 \(here"):
        check_versions(mine, other)


def test_copies_that_a_launcher_started_are_refused():
    """torchrun's ranks would each score everything; a single process under it is fine."""
    with pytest.raises(UsageError, match=r"torchrun started 4 copies.*--engine ray"):
        refuse_copies({"WORLD_SIZE": "4", "RANK": "1", "LOCAL_RANK": "1"})
    refuse_copies({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"})
    refuse_copies({"WORLD_SIZE": "4"})  # set by something else
    refuse_copies({})
