"""The hardness filter on a Ray cluster of two machines: the survivors of one, also when a worker dies."""

from __future__ import annotations

import dataclasses
import os
import signal

import numpy as np
import psutil
import pytest

from imagenet_hard.base.errors import ClassifierError, DatasetError
from imagenet_hard.curation.score import screening
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.ray_filter import FilterTask, RayFilter
from imagenet_hard.curation.score.run import score
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.engine.ray.engine import RayEngine
from tests.curation.small import GRID, SETTINGS, by_protocol, made, net, recipe
from tests.curation.small import run as run_here
from tests.engine.clusters import Slow

pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to raise
]

NETS = (net(0), net(1))


def run(workers, store, sources, classifiers=NETS, *, screened=(), exhaustive=False, told=None):
    task = FilterTask(classifiers, SETTINGS, screened, False, exhaustive, ())
    run = RayFilter(sources, store, workers, task, told.append if told is not None else lambda p: None)
    return run.run()


def slowed(who: ZoomClassifier) -> ZoomClassifier:
    model = dataclasses.replace(who.model, module=Slow(who.model.module, 0.02))
    return dataclasses.replace(who, model=model)


def hard(store):
    return {record.id for record in store.images(state="hard")}


def test_survivors_are_those_of_one_machine(workers):
    """The same images, and for each of them the same deficits under each zoom."""
    data, told = made(30), []
    with CurationStore(None) as mine, CurationStore(None) as theirs:
        run_here(mine, [data.source()], NETS)
        last = run(workers, theirs, [data.source()], told=told)
        assert hard(theirs) == hard(mine) == data.hard
        for id in data.hard:
            a, b = mine.views(id), theirs.views(id)
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_allclose(a[name].deficit, b[name].deficit, atol=1e-4)
                assert (a[name].predicted == b[name].predicted).all()
        assert theirs.summary().complete
        assert (last.solved, last.hard, last.failed) == (20, 10, 0)
        assert len(told) >= 8  # as many shards: each of two workers gets four
        tried = {key: n for key, (n, _) in theirs.rates().items()}
        assert max(tried.values()) <= 30
        assert sum(tried.values()) <= last.crops


def test_every_zoom_of_every_image(workers):
    """The study's matrix is the protocol's."""
    data = made(12)
    with CurationStore(None) as store:
        run(workers, store, [data.source()], exhaustive=True)
        for id, image in zip(data.ids, data.data, strict=True):
            for who in NETS:
                assert (store.views(id)[who.id].predicted == by_protocol(image, who)).all()


def test_screening_keeps_the_survivors(workers, monkeypatch):
    """What the workers have compared comes together here."""
    data = made(30)
    with CurationStore(None) as store:
        run(workers, store, [data.source()], screened=("net0", "net1"))
        assert hard(store) == data.hard
        compared = screening.Tolerance.load(store.fact("tolerance:net0")).compared
    assert compared > 10


def test_a_run_goes_on_on_the_cluster(workers, tmp_path):
    """Begun here, images half tried; nothing that was decided is tried again."""
    data = made(30)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.done >= 8:
            raise Stop

    with CurationStore(tmp_path / FILE, create=True) as store:
        with pytest.raises(Stop):
            run_here(store, [data.source()], NETS, on_progress=stop)
        before = {r.id: r.state for r in store.images() if r.state != "open"}
        begun = [r.id for r in store.images(state="open")]
        assert before
        assert begun
        last = run(workers, store, [data.source()])
        assert hard(store) == data.hard
        assert {r.id: r.state for r in store.images() if r.id in before} == before
        assert last.done == 30


def test_bad_images_and_changed_ones(workers):
    """One that cannot be read is named and undecided; one that has changed in between ends the run."""
    data = made(6)
    broken = dataclasses.replace(data, data=[b"no image", *data.data[1:]])
    with CurationStore(None) as store:
        last = run(workers, store, [broken.source()])
        assert last.failed == 1
        assert "imagenet/000" in store.summary().failures
        last = run(workers, store, [data.source(state="mended")])
        assert last.failed == 0
        assert hard(store) == data.hard
        with pytest.raises(DatasetError, match="has changed"):
            run(workers, store, [broken.source(state="changed")])


def test_a_classifier_that_fails_is_told(workers):
    """As on one machine: a classifier that fails on several images alike ends the run."""
    model = net(0).model
    model = dataclasses.replace(model, module=model.module[:-1])
    with CurationStore(None) as store, pytest.raises(ClassifierError, match=r"expected logits"):
        run(workers, store, [made(30).source()], [ZoomClassifier("net0", model, GRID)])


def test_score_orders_the_classifiers_on_a_worker(workers, tmp_path):
    """`curate score --engine ray`: the store is as one machine leaves it."""
    data = made(30)
    summary = score(
        recipe(classifiers=[{"model": "net0"}, {"model": "net1"}]),
        [data.source()],
        tmp_path,
        SETTINGS,
        classifiers=NETS,
        engine=RayEngine(workers),
    )
    assert summary.hard == {"imagenet": len(data.hard)}
    assert summary.complete


def test_a_worker_that_is_killed_costs_its_shard_only(workers):
    """kill -9 in the middle: the survivors are those of one machine."""
    pid = workers.call(os.getpid)
    data, seen = made(30), []

    class Killing(list):
        def append(self, progress):  # with the first shard that is done, while the others are under way
            if not seen:
                os.kill(pid, signal.SIGKILL)
            seen.append(progress)

    with CurationStore(None) as store:
        last = run(workers, store, [data.source()], [slowed(each) for each in NETS], told=Killing())
        assert hard(store) == data.hard
        assert last.done == 30
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
