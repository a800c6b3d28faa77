"""Ray on this machine: two workers against one, and what Ray costs beside the local engine, in one run.

    python benchmarks/cluster.py [--data FOLDER] [--images N] [--repeats N] [--model NAME]

Workers have one core each. The overhead counts everything that a user waits for: starting the cluster and
the workers, sending the model, scoring. Top-1 predictions of all must be equal but for near-ties, which are
counted. Without --data the 20 sample images are repeated.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import ray
from images import Repeated
from record import record

from imagenet_hard.base.runtime import available_cores
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.engine.engine import LocalEngine
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.ray.engine import RayEngine
from imagenet_hard.engine.ray.pool import WorkerPool
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store

EPSILON = 1e-3
"""Logits: a margin below this is a near-tie, which float32 may decide either way."""


def scored(engine: Any, model: str, images: Repeated) -> tuple[float, Any]:
    """Seconds of scoring, and the predictions."""
    with Store(None, "k") as store:
        job = Job(load_classifier(model), RunSettings(device="cpu"), store)
        start = time.perf_counter()
        (outcome,) = engine.score([job], images)
        seconds = time.perf_counter() - start
        if isinstance(outcome, Exception):
            raise outcome
        return seconds, outcome[0].predictions


def on_ray(n: int, model: str, images: Repeated) -> tuple[float, float, Any]:
    """Seconds of all, of scoring alone once the workers are there, and the predictions."""
    start = time.perf_counter()
    ray.init(address="local", num_cpus=n, include_dashboard=False, log_to_driver=False)
    try:
        with WorkerPool(device="cpu") as workers:
            workers.wait_for_all(120)
            seconds, predictions = scored(RayEngine(workers), model, images)
    finally:
        ray.shutdown()
    return time.perf_counter() - start, seconds, predictions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", default="efficientnet_lite0")
    options = parser.parse_args()
    images = Repeated(load_dataset(options.data), options.images)
    cores = available_cores()
    seconds: dict[str, list[float]] = {name: [] for name in ("one", "all", "all, whole", "local")}
    for _ in range(options.repeats):
        _, alone, first = on_ray(1, options.model, images)
        whole, together, second = on_ray(cores, options.model, images)
        local, third = scored(LocalEngine(), options.model, images)
        for name, value in zip(seconds, (alone, together, whole, local), strict=True):
            seconds[name].append(value)
        near = (third.margin < EPSILON).sum()
        for other in (first, second):
            differ = other.top5[:, 0] != third.top5[:, 0]
            assert not np.any(differ & (third.margin >= EPSILON)), "predictions differ"
            print(
                f"{differ.sum()} of {options.images} top-1 differ from the local engine's; {near} near-ties"
            )
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.model}, {options.images} images, {cores} cores, medians of {options.repeats}")
    for name, value in median.items():
        print(f"{name:10} {value:7.1f} s  {options.images / value:6.1f} images/s")
    record(
        f"Ray, {cores} workers of one core, {options.images} images, against one worker",
        seconds["all"],
        reference=seconds["one"],
    )
    record(
        f"Ray with its start-up, {options.images} images, against the local engine",
        seconds["all, whole"],
        reference=seconds["local"],
    )
    print(f"{cores} workers are {median['one'] / median['all']:.2f} times one")
    print(f"Ray costs {100 * (median['all, whole'] / median['local'] - 1):+.1f} % with its start-up")


if __name__ == "__main__":
    main()
