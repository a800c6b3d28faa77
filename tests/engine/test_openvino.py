"""OpenVINO in place of torch: the same predictions, checked before use; torch where that is uncertain."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers.own_code import of_known_layers
from imagenet_hard.engine import forward, openvino
from imagenet_hard.engine.batch_size import choose_runtime
from imagenet_hard.engine.engine import LocalEngine
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.tta.settings import build_predictor, tta_settings
from tests.engine.small import benchmark, classifier, keep_graphs, score

# Not importorskip: that would import its telemetry.
pytestmark = pytest.mark.skipif(openvino.openvino_version() is None, reason="needs pip install '.[cpu]'")

CPU, DEVICE = RunSettings(device="cpu", batch_size=4, workers=2), torch.device("cpu")
CONVERTED = dataclasses.replace(CPU, runtime="openvino")
RAN = f"OpenVINO {openvino.openvino_version()}"


def made(module):
    """``module`` in place of the small classifier's."""
    return dataclasses.replace(classifier(), module=module.eval())


def batches(n=3, size=32):
    torch.manual_seed(1)
    return [list(torch.randn(4, 3, size, size).unbind()) for _ in range(n)]


def known(seed):
    """A small classifier of a backend, whose record says all of it."""
    model = classifier(seed)
    return dataclasses.replace(model, spec=model.spec.model_copy(update={"backend": "timm"}))


@pytest.fixture
def pixels(monkeypatch):
    """Forward passes take tensors as they are."""

    def batch(self, pixels, ids):
        return torch.stack(list(pixels)).to(memory_format=torch.channels_last)

    monkeypatch.setattr(Forward, "_batch", batch)


def run(model, settings, given):
    """Logits of each batch, and the pass."""
    one = Forward(model, settings, DEVICE)
    return [one.launch(each, ["x"] * len(each)) for each in given], one


def test_predictions_are_the_same_but_for_near_ties(monkeypatch):
    """Of whole batches and of the last one, which is filled up; the record says what ran."""
    keep_graphs(monkeypatch)
    expected, plain = score(classifier(), benchmark(22), CPU, Store(None, "k"))
    scored, report = score(classifier(), benchmark(22), CONVERTED, Store(None, "k"))
    assert (plain.optimizations, report.optimizations) == (("2 batch norms folded",), (RAN,))
    differ = scored.predictions.top5[:, 0] != expected.predictions.top5[:, 0]
    assert (expected.predictions.margin[differ] < 1e-3).all()
    assert abs(scored.predictions.logprob5 - expected.predictions.logprob5).max() < 1e-4


def test_zoomed_views_are_the_same(monkeypatch):
    """Test-time augmentation runs through the same passes; MEMO's step needs torch's weights."""
    keep_graphs(monkeypatch)
    build = partial(build_predictor, tta_settings("zoom", views=3))
    expected, _ = score(classifier(), benchmark(10), CPU, Store(None, "k"), build=build)
    scored, report = score(classifier(), benchmark(10), CONVERTED, Store(None, "k"), build=build)
    assert report.optimizations[-1] == RAN
    assert (scored.predictions.top5 == expected.predictions.top5).all()
    memo = partial(build_predictor, tta_settings("memo", views=3))
    automatic = dataclasses.replace(CONVERTED, batch_size=None)
    with pytest.raises(UsageError, match="changes the weights for each image: leave out --runtime openvino"):
        score(classifier(), benchmark(2), automatic, Store(None, "k"), build=memo)


def test_what_it_takes_is_not_changed_and_what_it_gives_is_kept(pixels, monkeypatch):
    """Neither the pixels, nor the logits of the batch before, lie in memory that it writes to."""
    keep_graphs(monkeypatch)
    given = batches()
    before = [torch.stack(each).clone() for each in given]
    got, one = run(classifier(), CONVERTED, given)
    kept = [each.clone() for each in got]
    one.launch(given[0], ["x"] * 4)
    assert one.runtime == "openvino"
    assert all((torch.stack(each) == old).all() for each, old in zip(given, before, strict=True))
    assert all((each == old).all() for each, old in zip(got, kept, strict=True))


class Branching(nn.Module):
    """Another function for the bright images."""

    def forward(self, x):
        return x.mean((2, 3)).repeat(1, 400)[:, :1000] * (-1 if x.mean() > 0.5 else 1)


class Counting(nn.Module):
    """Which pass it is moves the logits, and no tensor tells."""

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return x.mean((2, 3)).repeat(1, 400)[:, :1000] + torch.arange(1000) * (self.passes > 2)


class Writing(nn.Module):
    """Normalises its input in place."""

    def forward(self, x):
        return x.sub_(1).mean((2, 3)).repeat(1, 400)[:, :1000]


@pytest.mark.parametrize("kind", [Branching, Counting, Writing])
def test_modules_with_code_of_ones_own_are_run_by_torch(kind, pixels):
    """A graph of the first batch would be another function for a later one, and equal on the first."""
    given = batches()
    given[2] = [each + 1 for each in given[2]]
    expected, _ = run(made(kind()), CPU, given)
    got, one = run(made(kind()), CONVERTED, given)
    assert all((a == b).all() for a, b in zip(got, expected, strict=True))
    assert one.optimizations == ["not OpenVINO: it has code of its own, which a graph might leave out"]


class Chance(nn.Dropout):
    """Of torch, as far as its record goes."""


class Adapting(nn.BatchNorm2d):
    """Likewise: its buffer is a part of what it gives, and grows."""

    def forward(self, x):
        self.running_mean.add_(1)
        return x - self.running_mean[:, None, None]


Chance.__module__ = Adapting.__module__ = "torch.nn.modules.layers"


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: Chance(0.5), "it draws random numbers"),
        (lambda: Adapting(3), "it writes into its buffers or its input"),
        (lambda: nn.ReLU(inplace=True), "it writes into its buffers or its input"),
    ],
)
def test_layers_whose_graph_is_no_function_of_the_batch_are_run_by_torch(layer, why, pixels, monkeypatch):
    """As they are found in libraries: in training mode on purpose, or in place."""
    first = layer()
    monkeypatch.setattr(type(first), "eval", lambda self: self)
    monkeypatch.setattr(nn.Sequential, "eval", lambda self: self)
    model = dataclasses.replace(
        classifier(), module=nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000))
    )
    assert of_known_layers(model.module)
    _, one = run(model, dataclasses.replace(CONVERTED, fold=False), batches(1))
    assert one.runtime == "torch"
    assert one.optimizations == [f"not OpenVINO: {why}"]


def timm_transformer():
    import timm

    return timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1)


def torchvision_transformer():
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, dropout=0.5)


@pytest.mark.parametrize("make", [timm_transformer, torchvision_transformer])
def test_dropout_and_attention_that_draw_nothing_are_converted(make, pixels):
    """Both may draw random numbers, and do not in eval mode: so it is with every transformer."""
    torch.manual_seed(0)
    module = make()
    expected, _ = run(made(module), CPU, batches())
    got, one = run(made(module), CONVERTED, batches())
    assert one.optimizations == [RAN]
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_a_graph_that_computes_something_else_is_not_used(pixels, monkeypatch, caplog):
    """That is recorded, and told."""
    keep_graphs(monkeypatch)

    class Other(openvino.OpenVinoModule):
        def __call__(self, batch):
            return super().__call__(batch) + 1

    monkeypatch.setattr(openvino, "OpenVinoModule", Other)
    expected, _ = run(classifier(), CPU, batches())
    got, one = run(classifier(), CONVERTED, batches())
    assert all((a == b).all() for a, b in zip(got, expected, strict=True))
    assert one.optimizations[0].startswith("not OpenVINO: its logits differ by ")
    assert "small is run by torch, not by OpenVINO: its logits differ" in caplog.text


def test_what_cannot_be_exported_is_run_by_torch(pixels, monkeypatch):
    """Whatever the exporter raises; its first line is recorded."""

    def broken(*args, **kwargs):
        raise RuntimeError("no such operator\n/a/path")

    monkeypatch.setattr(torch.export, "export", broken)
    _, one = run(classifier(), CONVERTED, batches(1))
    assert one.optimizations == ["not OpenVINO: RuntimeError: no such operator", "2 batch norms folded"]


def test_batches_of_another_shape_are_run_by_torch(pixels, monkeypatch):
    """Images of several sizes at a batch size of 1, and smaller batches after memory ran out."""
    keep_graphs(monkeypatch)
    given = [batches(1, size)[0][:1] for size in (32, 32, 40, 32)]
    settings = dataclasses.replace(CPU, batch_size=1)
    expected, _ = run(classifier(), settings, given)
    got, one = run(classifier(), dataclasses.replace(settings, runtime="openvino"), given)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert (got[2] == expected[2]).all()
    assert one.optimizations == [
        f"{RAN}, and torch from the first batch of another shape on",
        "2 batch norms folded",
    ]

    shrinking = Forward(classifier(), dataclasses.replace(CONVERTED, batch_size=None), DEVICE)
    (four,) = batches(1)
    whole = shrinking.launch(four, ["x"] * 4)
    assert shrinking.runtime == "openvino"
    assert shrinking.shrink()
    torch.testing.assert_close(shrinking.launch(four, ["x"] * 4), whole, rtol=1e-5, atol=1e-5)
    assert shrinking.runtime == "torch"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_arithmetic_that_the_processor_has_not_is_torchs(precision, pixels, monkeypatch):
    """The numbers are then those of torch to the bit."""
    monkeypatch.setattr(openvino._without_telemetry().Core, "get_property", lambda *args: ["FP32"])
    settings = dataclasses.replace(CPU, precision=precision)
    expected, _ = run(classifier(), settings, batches(1))
    got, one = run(classifier(), dataclasses.replace(settings, runtime="openvino"), batches(1))
    assert (got[0] == expected[0]).all()
    assert one.optimizations[0].startswith("not OpenVINO: ")


@pytest.fixture
def taken(monkeypatch):
    """The graphs that are compiled; torch has its threads back afterwards."""
    keep_graphs(monkeypatch)
    package, found = openvino._without_telemetry(), []
    compile_model = package.Core.compile_model

    def noting(self, *args):
        found.append(compile_model(self, *args))
        return found[-1]

    monkeypatch.setattr(package.Core, "compile_model", noting)
    threads = torch.get_num_threads()
    yield found
    torch.set_num_threads(threads)


def test_it_takes_the_threads_that_torch_has(taken):
    """A Ray worker of one core gives torch one; by itself it would take all of the machine."""
    model, batch = classifier(), torch.randn(4, 3, 32, 32)
    for n in (1, 2):
        torch.set_num_threads(n)
        assert openvino.converted(model, model.module, batch, "fp32").threads == n
        assert not taken[-1].get_property("ENABLE_CPU_PINNING")
        assert str(taken[-1].get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


@pytest.mark.parametrize(
    ("images", "part", "beside"), [(16, 4, 2), (6, 2, 2), (4, 2, 2), (5, 5, 1), (1, 1, 1)]
)
def test_a_batch_is_computed_in_parts_beside_each_other(images, part, beside, taken):
    """Each image has its own logits, wherever it stands, also where the images do not divide into parts."""
    torch.set_num_threads(2)
    model = classifier()
    batch = torch.randn(images, 3, 32, 32).to(memory_format=torch.channels_last)
    module = openvino.converted(model, model.module, batch, "fp32")
    assert list(taken[-1].inputs[0].shape) == [part, 32, 32, 3]
    assert taken[-1].get_property("NUM_STREAMS") == beside
    with torch.no_grad():
        for given in (batch, batch.flip(0)):
            torch.testing.assert_close(module(given), model.module(given), rtol=1e-5, atol=1e-5)


def test_auto_takes_the_faster_one_and_remembers_it(tmp_path, monkeypatch):
    """A second run finds the same, whatever the clock says; where it is not installed nothing is measured."""
    keep_graphs(monkeypatch)
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    model, engine = classifier(), LocalEngine()
    for seconds, expected in ((False, "torch"), (True, "torch")):
        monkeypatch.setattr(forward, "faster", lambda *args, answer=seconds: answer)
        assert choose_runtime("auto", model, CPU, engine) == expected
    other = dataclasses.replace(CPU, batch_size=2)
    assert choose_runtime("auto", model, other, engine) == "openvino"
    assert [choose_runtime(each, model, CPU, engine) for each in ("torch", "openvino")] == [
        "torch",
        "openvino",
    ]
    monkeypatch.setattr(openvino, "openvino_version", lambda: None)
    assert choose_runtime("auto", model, other, engine) == "torch"
    with pytest.raises(UsageError, match=r"openvino is not installed: pip install 'imagenet-hard\[cpu\]'"):
        choose_runtime("openvino", model, CPU, engine)


def test_the_faster_of_two_is_told_from_the_slower():
    """By the best of three passes."""
    import time

    def slow(batch):
        time.sleep(0.02)

    def quick(batch):
        return batch

    batch = torch.zeros(1)
    assert openvino.faster(quick, slow, batch)
    assert not openvino.faster(slow, quick, batch)


def test_settings_that_do_not_go_together():
    """Named where they are given."""
    with pytest.raises(UsageError, match="runtime 'onnx': expected torch, openvino, auto"):
        RunSettings(runtime="onnx")
    with pytest.raises(UsageError, match="compile belongs to torch"):
        RunSettings(runtime="openvino", compile=True)
    with pytest.raises(UsageError, match="runs on a CPU, and the device is cuda: give --device cpu"):
        openvino.may_convert(CONVERTED, "cuda")
    assert not openvino.may_convert(dataclasses.replace(CPU, runtime="auto"), "cuda")


def test_a_graph_is_kept_where_the_record_says_all_of_it(tmp_path, monkeypatch, pixels):
    """The second run exports nothing; another network of the same name is another graph."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    keep_graphs(monkeypatch)
    exported, export = [], openvino._exported

    def noting(*args):
        exported.append(args)
        return export(*args)

    monkeypatch.setattr(openvino, "_exported", noting)
    first, _ = run(known(0), CONVERTED, batches(1))
    again, one = run(known(0), CONVERTED, batches(1))
    assert len(exported) == 1
    assert one.runtime == "openvino"
    torch.testing.assert_close(again[0], first[0], rtol=1e-6, atol=1e-6)
    run(known(1), CONVERTED, batches(1))
    run(classifier(), CONVERTED, batches(1))  # of one's own: its record says little
    assert len(exported) == 3
    assert len(list(tmp_path.glob("openvino/*/graph.xml"))) == 2
    one_file, other_file = tmp_path.glob("openvino/*/graph.bin")
    weights = one_file.read_bytes(), other_file.read_bytes()
    one_file.write_bytes(weights[1])
    other_file.write_bytes(weights[0])  # another network's: torch runs it, and then it is mended
    for runtime in ("torch", "openvino"):
        got, one = run(known(0), CONVERTED, batches(1))
        assert one.runtime == runtime
        torch.testing.assert_close(got[0], first[0], rtol=1e-5, atol=1e-5)
    for file in tmp_path.glob("openvino/*/graph.xml"):  # it cannot be read: exported at once
        file.write_text("<net")
    assert run(known(0), CONVERTED, batches(1))[1].runtime == "openvino"


def test_a_kept_graph_that_has_agreed_is_compared_on_two_images(tmp_path, monkeypatch, pixels):
    """As long as its file and what runs it are the same; it is not used where it differs on these."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path))
    run_by_torch, real = [], Forward._run

    def noting(self, batch):
        if self.runtime == "torch":
            run_by_torch.append(len(batch))
        return real(self, batch)

    monkeypatch.setattr(Forward, "_run", noting)
    assert all(run(known(0), CONVERTED, batches(1))[1].runtime == "openvino" for _ in range(3))
    assert run_by_torch == [4, 2, 2]
    (file,) = tmp_path.glob("openvino/*/graph.bin")
    agreed = file.with_name("agreed.txt")
    assert ", fp32, " in agreed.read_text()
    agreed.write_text(agreed.read_text().replace("fp32", "bf16"))
    run(known(0), CONVERTED, batches(1))
    os.utime(file, (0, 0))
    for _ in range(2):
        run(known(0), CONVERTED, batches(1))
    assert run_by_torch[3:] == [4, 4, 2]
    plain = openvino.OpenVinoModule.__call__
    monkeypatch.setattr(openvino.OpenVinoModule, "__call__", lambda self, batch: plain(self, batch) + 1)
    assert run(known(0), CONVERTED, batches(1))[1].runtime == "torch"
    assert not file.exists()


def test_nothing_is_reported_to_anybody():
    """The package's telemetry is not loaded along with it, and no other is."""
    code = (
        "import sys; from imagenet_hard.engine import openvino as o; assert 'openvino' not in sys.modules;"
        "o._without_telemetry().convert_model; print([m for m in sys.modules if 'telemetry.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
