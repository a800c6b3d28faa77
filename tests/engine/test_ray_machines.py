"""A machine of a cluster dies in the middle of a run."""

from __future__ import annotations

import threading

import pytest

from imagenet_hard.engine.job import Job
from imagenet_hard.engine.ray_engine import RayEngine
from imagenet_hard.engine.run import score
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.engine.workers import Workers
from tests.engine.clusters import assert_same, slow_classifier, two_machines
from tests.engine.small import benchmark, classifier

pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own warnings are not ours to raise


def test_a_machine_that_dies_costs_its_shards_only():
    """The other one does the rest; the result is that of one machine."""
    with two_machines() as (cluster, other), Workers() as workers:
        workers.gather(60)
        assert sum(workers.devices.values()) == 2
        killer = threading.Timer(1.5, lambda: cluster.remove_node(other, allow_graceful=False))
        killer.start()
        job = Job(slow_classifier(0.1), RunSettings(), Store(None, "k"))
        ((scored, report),) = RayEngine(workers).score([job], benchmark(320))
        killer.join()
        assert report.n_scored == 320
        assert sum(workers.devices.values()) == 1
        expected, _ = score(classifier(), benchmark(320), RunSettings(device="cpu"), Store(None, "k"))
        assert_same(scored, expected)
