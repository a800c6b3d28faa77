"""A list of classifiers in one pass: each image is decoded once, and each result is as if it were alone."""

from __future__ import annotations

import sys

import pytest

import imagenet_hard
from imagenet_hard.base.errors import ClusterLostError, UnknownModelError, UsageError
from imagenet_hard.classifiers import registry
from imagenet_hard.engine import prepare
from imagenet_hard.engine.engine import LocalEngine
from imagenet_hard.evaluation import shared_pass
from imagenet_hard.evaluation.result import Result
from imagenet_hard.evaluation.run import evaluate_all, evaluate_each
from imagenet_hard.evaluation.suite import SuiteModel
from imagenet_hard.tta.settings import tta_settings

NAMES = ("efficientnet_lite0", "efficientnet_lite1")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The names of three networks that take no time."""
    (tmp_path / "small_nets.py").write_text(
        "import functools, torch\n"
        "from torch import nn\n"
        "def net(seed):\n"
        "    torch.manual_seed(seed)\n"
        "    layers = nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000)\n"
        "    return nn.Sequential(*layers), {'resize': 40, 'crop': 32}\n"
        "first, second, third = (functools.partial(net, seed) for seed in range(3))\n"
    )
    monkeypatch.chdir(tmp_path)
    return [f"small_nets:{each}" for each in ("first", "second", "third")]


@pytest.fixture
def data():
    return imagenet_hard.load_dataset("sample").take(6)


@pytest.fixture
def decoded(monkeypatch):
    """Ids of the images that are decoded, as it happens."""
    ids: list[str] = []
    real = prepare.decode

    def noting(image, *, id, exif):
        ids.append(id)
        return real(image, id=id, exif=exif)

    monkeypatch.setattr(prepare, "decode", noting)
    return ids


def run(data, *models, **options):
    return list(evaluate_all(models, data, device="cpu", **options))


@pytest.mark.usefixtures("small_networks")
def test_results_are_those_of_one_alone_and_images_are_decoded_once(data, decoded, tmp_path):
    """Predictions bit for bit, files as always; the times of both add up to the pass."""
    found = run(data, *NAMES, out=tmp_path)
    assert len(decoded) == 6
    for name, (model, result) in zip(NAMES, found, strict=True):
        assert model == name
        alone = imagenet_hard.evaluate(name, data, device="cpu")
        assert result.predictions_sha256 == alone.predictions_sha256
        assert result.run_key == alone.run_key
        assert result.runtime.n_scored == 6
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    assert not list(tmp_path.rglob(".*"))
    again = run(data, *NAMES, out=tmp_path)
    assert [result for _, result in again] == [result for _, result in found]


def test_several_sets_with_one_loading(small, tmp_path, monkeypatch):
    """Each model is loaded once; every result is that of a run of its own, and is read again."""
    names, loaded = small[:2], []
    real = registry.load_classifier
    monkeypatch.setattr(registry, "load_classifier", lambda *a, **k: loaded.append(a[0]) or real(*a, **k))
    sample = imagenet_hard.load_dataset("sample")
    other = imagenet_hard.load_dataset([(e.image, e.labels[0]) for e in sample.take(4)])
    sets = [sample.take(6), other]
    found = list(evaluate_each(names, sets, device="cpu", out=tmp_path / "out"))
    assert loaded == names
    assert [(model, on) for model, on, _ in found] == [(name, on) for on in sets for name in names]
    for model, on, result in found:
        alone = imagenet_hard.evaluate(model, on, device="cpu", out=tmp_path / "alone")
        assert result.predictions_sha256 == alone.predictions_sha256
        assert (result.run_key, result.benchmark) == (alone.run_key, alone.benchmark)
    again = list(evaluate_each(names, sets, device="cpu", out=tmp_path / "out"))
    assert [result for *_, result in again] == [result for *_, result in found]
    failed = list(evaluate_each(["no_such_model", small[0]], sets, device="cpu", out=tmp_path / "out"))
    assert [(model, isinstance(result, Result)) for model, _, result in failed] == [
        *[("no_such_model", False)] * 2,
        *[(small[0], True)] * 2,
    ]
    with pytest.raises(UsageError, match="two data sets are called sample"):
        next(evaluate_each(names, ["sample", sample], device="cpu"))


def test_one_by_one_where_that_is_asked_for(data, decoded, small):
    """Or where test-time augmentation makes many views of each image."""
    run(data, *small[:2], together=1)
    assert len(decoded) == 12
    run(data, *small[:2], tta=tta_settings("zoom", views=2))
    assert len(decoded) == 24


def test_as_many_as_memory_has_room_for(data, decoded, small, monkeypatch):
    """Models that do not fit together take turns; one alone always gets its try."""
    monkeypatch.setattr(shared_pass, "free_bytes", lambda device: 0)
    assert all(isinstance(result, Result) for _, result in run(data, *small[:2]))
    assert len(decoded) == 12
    monkeypatch.setattr(shared_pass, "free_bytes", lambda device: None)
    run(data, *small[:2])
    assert len(decoded) == 18


def test_a_failure_is_told_at_once_and_ends_no_other(data, small):
    """The others share their pass."""
    found = run(data, small[0], "no_such_model", small[1])
    assert [model for model, _ in found] == ["no_such_model", *small[:2]]
    assert isinstance(found[0][1], UnknownModelError)
    assert all(isinstance(result, Result) for _, result in found[1:])


@pytest.mark.usefixtures("small_networks")
def test_a_pass_that_is_given_up_keeps_its_rows(data, tmp_path):
    """Both stores are closed, and the next run goes on from them."""

    class Stop(BaseException):
        pass

    def told(name):
        def progress(n, resumed=0):
            if n and name == NAMES[1]:
                raise Stop

        return progress

    with pytest.raises(Stop):
        run(data, *NAMES, out=tmp_path, on_progress=told)
    assert len(list(tmp_path.rglob(".*.sqlite"))) == 2
    (_, first), (_, second) = run(data, *NAMES, out=tmp_path)
    assert first.runtime.n_resumed == second.runtime.n_resumed == 6


@pytest.mark.usefixtures("small_networks")
def test_one_model_under_two_names_is_scored_once(data, tmp_path):
    """The second finds the first one's result; two transforms of one model leave two results."""
    (_, first), (_, second) = run(data, NAMES[0], f"bundled:{NAMES[0]}", out=tmp_path)
    assert first == second
    crops = [SuiteModel(model=NAMES[0], transform={"resize": r, "crop": 224}) for r in (232, 256)]
    (_, third), (_, fourth) = run(data, *crops, out=tmp_path)
    assert third.run_key != fourth.run_key
    assert len(list(tmp_path.rglob("*.json"))) == len(list(tmp_path.rglob("*.parquet"))) == 3


def test_a_module_that_its_file_keeps_comes_back_as_it_was(data, tmp_path, monkeypatch):
    """Its strides and flags, though it was scored twice in the pass."""
    (tmp_path / "kept_model.py").write_text(
        "from torch import nn\n"
        "pool = nn.AdaptiveAvgPool2d(1)\n"
        "MODEL = nn.Sequential(nn.Conv2d(3, 8, 3), pool, nn.Flatten(), nn.Linear(8, 1000))\n"
        "T = {'resize': 40, 'crop': 32}\n"
        "def build(): return MODEL, T\n"
        "def again(): return MODEL, T\n"
    )
    monkeypatch.chdir(tmp_path)
    found = run(data, "kept_model:build", "kept_model:again")
    first, second = (result.predictions_sha256 for _, result in found)
    assert first == second
    weight = sys.modules["kept_model"].MODEL[0].weight
    assert weight.is_contiguous()
    assert weight.requires_grad


def test_when_a_cluster_is_lost_all_that_are_left_have_failed(data, small):
    """Those that are done are told as ever."""

    class Lost(LocalEngine):
        passes = 0

        def score(self, jobs, benchmark):
            self.passes += 1
            if self.passes == 2:
                raise ClusterLostError("no worker could be had")
            return super().score(jobs, benchmark)

    found = run(data, *small, engine=Lost(), together=1)
    assert [model for model, _ in found] == small
    assert isinstance(found[0][1], Result)
    assert all(isinstance(error, ClusterLostError) for _, error in found[1:])
