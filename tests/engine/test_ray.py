"""Scoring on a Ray cluster of two machines: the numbers of one, also when workers and machines die."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import threading
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from torch import nn

import imagenet_hard
from imagenet_hard import load_classifier
from imagenet_hard.base.errors import ClassifierError, ClusterError, ImageError, ResultError, UsageError
from imagenet_hard.engine.batch_size import LADDERS, choose_batch_size, choose_runtime
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.openvino import converted, openvino_version
from imagenet_hard.engine.ray.engine import RayEngine
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.evaluation.draw import difficulties, write_difficulties
from imagenet_hard.imagenet.classes import wnids
from tests.classifiers.small_transformers import save_classifier
from tests.classifiers.test_transformers_zero_shot import save
from tests.engine.clusters import Fatal, assert_same, slow_classifier
from tests.engine.small import benchmark, classifier, score
from tests.evaluation.test_estimate_runs import Reads, pixels
from tests.evaluation.test_estimate_runs import data as greys

pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to raise
]

AUTO = RunSettings()


def run(workers, *models, data=None, stores=None, told=None):
    stores = stores or [Store(None, "k") for _ in models]
    progress = (lambda n: told.append(n)) if told is not None else (lambda n: None)
    jobs = [Job(m, AUTO, s, progress) for m, s in zip(models, stores, strict=True)]
    return RayEngine(workers).score(jobs, data or benchmark(50))


def test_predictions_are_those_of_one_machine(workers):
    """Also of two classifiers in one pass; both workers took part, and the record says so."""
    told: list[int] = []
    models = [classifier(0), classifier(1)]
    outcomes = run(workers, *models, told=told)
    for model, outcome in zip(models, outcomes, strict=True):
        expected, _ = score(model, benchmark(50), RunSettings(device="cpu"), Store(None, "k"))
        assert_same(outcome[0], expected)
        report = outcome[1]
        assert (report.n_scored, report.workers) == (50, 2)
        assert report.device.startswith("Ray: 2 x cpu")
        assert report.optimizations == ("2 batch norms folded",)
    assert sum(told) == 100


@pytest.mark.skipif(openvino_version() is None, reason="needs the extra: pip install '.[cpu]'")
def test_a_worker_runs_openvino_on_its_own_cores(workers):
    """As many threads as it has cores; the same predictions, and the record says what ran."""
    model, settings = classifier(), RunSettings(runtime="openvino")
    (outcome,) = RayEngine(workers).score([Job(model, settings, Store(None, "k"))], benchmark(50))
    expected, _ = score(model, benchmark(50), RunSettings(device="cpu"), Store(None, "k"))
    assert_same(outcome[0], expected)
    assert outcome[1].optimizations[-1] == f"OpenVINO {openvino_version()}"
    # A function of this module would have the worker import all that the tests need.
    graph = partial(converted, model, model.module, torch.zeros(1, 3, 32, 32), "fp32")
    assert workers.call(lambda: graph().threads) == 1
    assert choose_runtime("auto", model, AUTO, RayEngine(workers)) in ("torch", "openvino")


def test_models_of_transformers_are_those_of_one_machine(workers, tmp_path):
    """An image classifier whose outputs are put in order, and a zero-shot model of patches (NaFlex)."""
    pytest.importorskip("transformers", reason="needs the extra: pip install '.[hf]'")
    save_classifier(tmp_path / "vit", wnids()[::-1])
    save(tmp_path / "siglip2", "siglip2")
    models = [load_classifier(f"transformers:{tmp_path / name}", templates=words)
              for name, words in (("vit", None), ("siglip2", "single"))]  # fmt: skip
    for model, (scored, report) in zip(models, run(workers, *models), strict=True):
        expected, _ = score(model, benchmark(50), RunSettings(device="cpu"), Store(None, "k"))
        assert_same(scored, expected)
        assert (scored.predictions.top5 == expected.predictions.top5).all()
        assert (report.n_scored, report.workers) == (50, 2)


def test_what_was_scored_elsewhere_is_not_scored_again(workers, tmp_path):
    """A run that was begun on one machine goes on on the cluster, with the same store."""
    store = Store(tmp_path / "s.sqlite", "k")
    score(classifier(), dataclasses.replace(benchmark(50), examples=benchmark(20).examples), AUTO, store)
    ((scored, report),) = run(workers, classifier(), stores=[store])
    assert (report.n_resumed, report.n_scored) == (20, 30)
    expected, _ = score(classifier(), benchmark(50), AUTO, Store(None, "k"))
    assert_same(scored, expected)


def test_bad_images_and_models_are_told_as_on_one_machine(workers):
    """The bad image is named, the others are kept; the bad model ends alone."""
    data = benchmark(20)
    data.examples[3] = dataclasses.replace(data.examples[3], image=data.examples[3].image[:200])
    store = Store(None, "k")
    (outcome,) = run(workers, classifier(), data=data, stores=[store])
    assert isinstance(outcome, ImageError)
    assert "1 of 20 images" in str(outcome)
    assert "003.jpg" in str(outcome)
    assert len(store.rows()) == 19
    bad, good = run(workers, classifier(classes=10), classifier())
    assert isinstance(bad, ClassifierError)
    assert "(16, 1000)" in str(bad)
    assert good[1].n_scored == 50


def test_a_store_that_fails_ends_its_job_alone(workers, monkeypatch):
    """Rows of replaced images are removed before anything is sent; a full disk shows there."""
    bad, good = Store(None, "k"), Store(None, "k")
    run(workers, classifier(), data=benchmark(4), stores=[bad])
    data = benchmark(8)
    data.examples[0] = dataclasses.replace(data.examples[0], labels=(7,))

    def full(ids):
        raise ResultError("no space is left")

    monkeypatch.setattr(bad, "remove", full)
    outcomes = run(workers, classifier(), classifier(), data=data, stores=[bad, good])
    assert isinstance(outcomes[0], ResultError)
    assert outcomes[1][1].n_scored == 8


def test_an_error_of_ones_own_comes_back_with_its_trace(workers):
    """Whatever a module raises, the message says where."""

    class Odd(nn.Module):
        def forward(self, x):
            raise KeyError("odd")

    (outcome,) = run(workers, dataclasses.replace(classifier(), module=Odd()))
    assert isinstance(outcome, ClassifierError)
    assert "KeyError: 'odd'" in str(outcome)


def test_a_function_is_run_on_a_worker(workers):
    """As measuring a batch size is; it is another process."""
    assert workers.call(os.getpid) != os.getpid()


def test_a_worker_that_is_killed_costs_its_shards_only(workers):
    """kill -9 in the middle: another takes over, and the result is that of one machine."""
    pid = workers.call(os.getpid)
    told: list[int] = []

    class Killing(list):
        def append(self, n):  # with the first shard that is done, while the others are under way
            if not told:
                os.kill(pid, signal.SIGKILL)
            told.append(n)

    ((scored, report),) = run(workers, slow_classifier(0.1), data=benchmark(160), told=Killing())
    assert report.n_scored == sum(told) == 160
    expected, _ = score(classifier(), benchmark(160), RunSettings(device="cpu"), Store(None, "k"))
    assert_same(scored, expected)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_kills_every_worker_ends_alone(workers):
    """An image or a model that takes the process down is named after three workers, and the next one runs."""
    model = dataclasses.replace(classifier(), module=Fatal())
    (outcome,) = run(workers, model, data=benchmark(8))
    assert isinstance(outcome, ClusterError)
    assert "3 workers died over the same shard (8 images, '000.jpg' to '007.jpg')" in str(outcome)
    ((_, report),) = run(workers, classifier())
    assert report.n_scored == 50


def test_a_model_that_cannot_be_sent(workers):
    """It is told what is in the way."""
    model = classifier()
    model.module.lock = threading.Lock()
    (outcome,) = run(workers, model)
    assert isinstance(outcome, ClassifierError)
    assert "cannot be sent to the workers: cannot pickle '_thread.lock'" in str(outcome)


def test_what_workers_log_is_told_once(workers, caplog):
    """A batch size that was halved, say."""
    with caplog.at_level("INFO"):
        for _ in range(2):
            workers.call(lambda: logging.getLogger("imagenet_hard.x").warning("batch size halved"))
    assert caplog.text.count("batch size halved") == 1


def test_a_run_that_only_lacks_its_result_records_the_same_settings(workers):
    """Killed after the last batch: nothing is sent, and the batch size is what it was."""
    store = Store(None, "k")
    run(workers, classifier(), stores=[store])
    ((_, report),) = run(workers, classifier(), stores=[store])
    assert (report.n_scored, report.n_resumed, report.batch_size) == (0, 50, 16)


def test_options_of_one_machine_are_refused(workers):
    """Nothing that was asked for is dropped in silence."""
    engine = RayEngine(workers)
    assert engine.device_type("auto") == engine.device_type("cpu") == "cpu"
    with pytest.raises(UsageError, match="'cuda': the workers of the open engine have cpu"):
        engine.device_type("cuda")
    with pytest.raises(UsageError, match="decode threads of this process: give the engine cpus_per_worker"):
        imagenet_hard.evaluate(classifier(), "sample", engine=engine, workers=3)


def test_an_estimate_until_it_is_narrow_stops_where_one_machine_does(workers, tmp_path):
    """Round after round on the cluster: the same images, predictions and interval, none scored twice."""
    images = greys(60)
    rng = np.random.default_rng(0)
    table = difficulties(
        rng.random((5, 60)) < np.linspace(0.2, 0.9, 60),
        images.ids,
        list("abcde"),
        benchmark="greys",
        fingerprint=images.fingerprint(),
    )
    write_difficulties(tmp_path / "table.json", table)
    asked = {"until": 14.0, "difficulty": tmp_path / "table.json", "seed": 3, "transform": pixels}
    here = imagenet_hard.evaluate(Reads(set(range(30))), images, device="cpu", workers=1, **asked)
    there = imagenet_hard.evaluate(Reads(set(range(30))), images, engine=RayEngine(workers), **asked)
    assert 24 < here.estimate.drawn < 60
    assert there.estimate == here.estimate
    assert there.benchmark.selection == here.benchmark.selection
    assert there.predictions_sha256 == here.predictions_sha256
    assert there.runtime.n_scored == there.estimate.drawn
    assert there.runtime.device.startswith("Ray: ")


def test_the_fastest_batch_size_is_measured_on_a_worker_and_remembered_here(workers, monkeypatch, tmp_path):
    """Another worker's clock cannot change it on a resume."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    engine = RayEngine(workers)
    first = choose_batch_size("fastest", classifier(), AUTO, engine)
    assert first in LADDERS["cpu"]
    (file,) = tmp_path.rglob("*.json")
    other = next(size for size in LADDERS["cpu"] if size != first)
    file.write_text(str(other))
    assert choose_batch_size("fastest", classifier(), AUTO, engine) == other
