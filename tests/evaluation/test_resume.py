"""What is read again and gone on with: everything of the same model, nothing of one that was changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import imagenet_hard
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.engine import run as engine_run
from imagenet_hard.engine.openvino import openvino_version
from imagenet_hard.engine.witness import IMAGES, needs_witness
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.tta.settings import tta_settings
from tests.engine.small import classifier, jpeg

N = 40
TRANSFORM = Transform(40, (32, 32))


@pytest.fixture(scope="module")
def data():
    images = [jpeg(i) for i in range(N)]
    ids = [f"{i:02}.jpg" for i in range(N)]
    return Benchmark(
        Source("memory", "folder"), ids, [(i % 7,) for i in range(N)], [""] * N, images.__getitem__
    )


class Net(nn.Module):
    """The same weights each time; ``order`` is of its outputs, ``rarely`` sets in for bright images."""

    def __init__(self, order=None, above=9.0):
        super().__init__()
        self.net, self.order, self.above = classifier().module, order, above

    def forward(self, x):
        logits = self.net(x)
        logits = logits if self.order is None else logits[:, self.order]
        return torch.where((x.mean((1, 2, 3)) > self.above)[:, None], -logits, logits)


class Random(Net):
    """Never the same twice."""

    def forward(self, x):
        return super().forward(x) + torch.rand(len(x), 1000)


def swapped(a, b):
    order = list(range(1000))
    order[a], order[b] = b, a
    return order


@pytest.fixture
def scored(monkeypatch):
    """How many images were scored by each run of the engine."""
    numbers: list[int] = []
    real = engine_run.score_together

    def noting(jobs, benchmark):
        outcomes = real(jobs, benchmark)
        numbers.extend(-1 if isinstance(o, Exception) else o[1].n_scored for o in outcomes)
        return outcomes

    monkeypatch.setattr(engine_run, "score_together", noting)
    return numbers


def evaluate(model, data, out, **options):
    options = {"transform": {"resize": 40, "crop": 32}, "device": "cpu", **options}
    return imagenet_hard.evaluate(model, data, out=out, **options)


def test_the_same_model_is_read(data, tmp_path, scored, caplog):
    """Another object of the same code and weights is scored once, and no word is said."""
    first = evaluate(Net(), data, tmp_path)
    assert evaluate(Net(), data, tmp_path) == first
    assert scored == [N]
    assert first.witness.images == IMAGES
    assert "scored again" not in caplog.text


def transform(shift):
    """With ``shift`` where the images are of this benchmark's size: on no image that is fixed beforehand."""

    def f(image):
        return TRANSFORM.batch([TRANSFORM.pixels(image)], "cpu")[0] + shift * (image.size == (60, 48))

    return f


CHANGES = {
    "two classes that no image has on top": (Net(), Net(swapped(998, 999)), {}),
    "what shows on other images": (Net(), Net(above=8.0), {}),
    "a transform, of a model of the library": (classifier(), classifier(), "transform"),
    "under test-time augmentation": (Net(), Net(swapped(3, 4)), {"tta": tta_settings("zoom", views=2)}),
    "a function": (Net().eval().forward, Net(swapped(3, 4)).eval().forward, {}),
    "no attribute and no name": (lambda x: Net().eval()(x), lambda x: Net(swapped(3, 4)).eval()(x), {}),
}


@pytest.mark.parametrize(("before", "after", "options"), CHANGES.values(), ids=CHANGES)
def test_a_changed_model_is_scored_again(data, tmp_path, scored, caplog, before, after, options):
    """Its weights are the same; the old result stays, is named, and comes back with the old model."""
    first_options, second_options = options, options
    if options == "transform":
        first_options, second_options = {"transform": transform(0)}, {"transform": transform(1e-3)}
    first = evaluate(before, data, tmp_path, **first_options)
    second = evaluate(after, data, tmp_path, **second_options)
    assert scored == [N, N]
    assert first.run_key != second.run_key
    (warning,) = [r.getMessage() for r in caplog.records if "scored again" in r.getMessage()]
    old, new = sorted(tmp_path.rglob("*.json"), key=lambda path: len(path.name))
    assert str(old) in warning
    assert "its code" in warning
    assert evaluate(before, data, tmp_path, **first_options) == first == read_result(old)[0]
    assert evaluate(after, data, tmp_path, **second_options) == second == read_result(new)[0]
    assert scored == [N, N]


@pytest.mark.skipif(openvino_version() is None, reason="needs the extra: pip install '.[cpu]'")
def test_a_runtime_has_results_of_its_own(data, tmp_path, scored):
    """What another runtime has scored is neither read nor gone on with; the record says which one it was."""
    plain = evaluate(classifier(), data, tmp_path)
    assert evaluate(classifier(), data, tmp_path, runtime="torch") == plain
    other = evaluate(classifier(), data, tmp_path, runtime="openvino")
    assert scored == [N, N]
    assert plain.run_key != other.run_key
    assert other.protocol.optimizations == [f"OpenVINO {openvino_version()}"]
    assert other.environment.versions["openvino"].startswith(openvino_version())
    assert other.metrics.n_correct == plain.metrics.n_correct
    again = evaluate(classifier(), data, tmp_path, runtime="openvino")
    assert (again, scored) == (other, [N, N])


def test_what_cannot_repeat_is_never_read(data, tmp_path, scored, caplog):
    """A model with dropout that stays on, or noise: scored each time, and said."""
    evaluate(Random(), data, tmp_path)
    evaluate(Random(), data, tmp_path)
    assert scored == [N, N]
    assert "its logits differ from one pass to the next" in caplog.text


def test_a_changed_weight_of_a_loaded_classifier_is_seen(data, tmp_path, scored):
    """Its spec was written when it was loaded, its module is what is scored."""
    one = imagenet_hard.classifiers.custom.from_module(Net(), {"resize": 40, "crop": 32})
    first = evaluate(one, data, tmp_path, transform="native")
    with torch.no_grad():
        one.module.net[7].weight[5] += 1e-3
    second = evaluate(one, data, tmp_path, transform="native")
    assert scored == [N, N]
    assert first.model.weights_sha256 != second.model.weights_sha256


def test_a_model_of_a_library_needs_no_witness(tmp_path, data):
    """Its name, weights and settings say it all, so no pass is spent on it."""
    timm = pytest.importorskip("timm")
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.classifiers.custom import from_module

    loaded = from_module(timm.create_model("test_vit"))
    known = Classifier(loaded.spec.model_copy(update={"backend": "timm"}), loaded.module, loaded.transform)
    assert needs_witness(loaded)
    assert not needs_witness(known)
    assert needs_witness(Classifier(known.spec, nn.Sequential(known.module, Net()), known.transform))
    assert needs_witness(
        known.with_transform(
            imagenet_hard.classifiers.custom.from_module(loaded.module, transform(0)).transform
        )
    )


def test_the_images_are_the_same_ones_when_others_go(data):
    """Those that stand for all of it do not change with an image that is taken out."""
    chosen = {task().id for task in data.tasks_of_some(8)}
    assert len(chosen) == 8
    gone = next(i for i in data.ids if i not in chosen)
    keep = [i for i, id in enumerate(data.ids) if id != gone]
    less = Benchmark(
        data.about,
        [data.ids[i] for i in keep],
        [data.labels[i] for i in keep],
        [""] * len(keep),
        lambda i: b"",
    )
    assert {less.ids[i] for i in range(len(less))} >= chosen
    assert {task().id for task in less.tasks_of_some(8)} == chosen
    assert len(data.tasks_of_some(1000)) == N


def test_an_interrupted_run_goes_on_with_the_same_model_alone(data, tmp_path, scored, caplog):
    """What another model has left is scored again, and that is said; nothing of the same one is."""

    def stop(n, resumed=0):
        told.append((n, resumed))
        if len(told) == 3:
            raise KeyboardInterrupt

    for model, resumed in ((Net(), 0), (Net(), 12), (Net(swapped(3, 4)), 0)):
        told: list[tuple[int, int]] = []
        with pytest.raises(KeyboardInterrupt):
            evaluate(model, data, tmp_path, batch_size=4, on_progress=stop)
        assert told[0] == ((0, resumed) if resumed else (4, 0))
    assert (
        "Net: the 20 images that an interrupted run has scored are scored again, as its code" in caplog.text
    )
    last = evaluate(Net(swapped(3, 4)), data, tmp_path, batch_size=4)
    assert (last.runtime.n_resumed, last.runtime.n_scored) == (12, N - 12)
    alone = evaluate(Net(swapped(3, 4)), data, None, batch_size=4)
    assert alone.predictions_sha256 == last.predictions_sha256
