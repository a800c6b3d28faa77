"""A machine of a cluster dies in the middle of a run."""

from __future__ import annotations

import pytest

from imagenet_hard.engine.job import Job
from imagenet_hard.engine.ray import pool as pool_module
from imagenet_hard.engine.ray.engine import RayEngine
from imagenet_hard.engine.ray.pool import WorkerPool
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from tests.engine.clusters import assert_same, slow_classifier, two_machines
from tests.engine.small import benchmark, classifier, score

pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to raise
]


def test_machines_that_die_and_machines_that_join(monkeypatch):
    """One that dies costs its shards only, the result is that of one machine; those that join are used."""
    monkeypatch.setattr(pool_module, "RECHECK", 0.5)
    with two_machines() as (cluster, other), WorkerPool() as workers:
        workers.wait_for_all(60)
        assert sum(workers.devices.values()) == 2
        killed = []

        def kill(n):  # with the first shard that is done, while the others are under way
            if not killed:
                killed.append(other)
                cluster.remove_node(other, allow_graceful=False)

        job = Job(slow_classifier(0.1), RunSettings(), Store(None, "k"), kill)
        ((scored, report),) = RayEngine(workers).score([job], benchmark(320))
        assert report.n_scored == 320
        assert sum(workers.devices.values()) == 1
        expected, _ = score(classifier(), benchmark(320), RunSettings(device="cpu"), Store(None, "k"))
        assert_same(scored, expected)
        for _ in range(2):  # one in place of the dead one, one more
            cluster.add_node(num_cpus=1, include_dashboard=False)
        job = Job(slow_classifier(0.01), RunSettings(), Store(None, "k"))
        ((scored, _),) = RayEngine(workers).score([job], benchmark(320))
        assert_same(scored, expected)
        workers.wait_for_all(60)
        assert workers.n == sum(workers.devices.values()) == 3
