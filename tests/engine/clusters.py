"""A Ray cluster of two machines on this one, and a classifier that is slow enough to be killed at work."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from imagenet_hard.classifiers.base import Classifier
from tests.engine.small import classifier


class Slow(nn.Module):
    """``inner``, after a pause in each pass."""

    def __init__(self, inner: nn.Module, seconds: float) -> None:
        super().__init__()
        self.inner, self.seconds = inner, seconds

    def forward(self, x: Any) -> Any:
        time.sleep(self.seconds)
        return self.inner(x)


class Fatal(nn.Module):
    """Takes its process down."""

    def forward(self, x: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def slow_classifier(seconds: float = 0.05) -> Classifier:
    model = classifier()
    return dataclasses.replace(model, module=Slow(model.module, seconds))


@contextmanager
def two_machines() -> Iterator[tuple[Any, Any]]:
    """A cluster of a head and another machine, of one core each; yields it and the other machine."""
    import ray
    from ray.cluster_utils import Cluster

    options = {
        "num_cpus": 1,
        "include_dashboard": False,
        # Two processes that nothing here asks for anything.
        "include_log_monitor": False,
        "no_monitor": True,
        # A machine that is gone is noticed within seconds, not half a minute.
        "_system_config": {
            "health_check_initial_delay_ms": 1000,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 4,
        },
    }
    try:
        cluster = Cluster(initialize_head=True, head_node_args=options)
    except Exception:  # Ray gives a machine 30 seconds to start, which no setting makes more
        cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        other = cluster.add_node(num_cpus=1, include_dashboard=False)
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster, other
    finally:
        ray.shutdown()
        cluster.shutdown()


def assert_same(scored, expected):
    """Of two runs: the same images, and the same top-1."""
    assert scored.predictions.ids == expected.predictions.ids
    assert (scored.predictions.top5[:, 0] == expected.predictions.top5[:, 0]).all()
    assert abs(scored.predictions.logprob5 - expected.predictions.logprob5).max() < 1e-4
    for name in ("labels", "origins", "image_sha256"):
        assert getattr(scored, name) == getattr(expected, name)
