"""On real images with real weights the predictions are those of the paper's protocol.

The protocol: a plain loop over PIL images, torchvision's transforms, float32, in the order
resize, crop, to tensor, normalise. Near-ties (margin below 1e-3) may fall either way.
"""

from __future__ import annotations

import io
import json
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import imagenet_hard
from imagenet_hard.classifiers.registry import load_classifier
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.evaluation.predictions import read_predictions
from imagenet_hard.evaluation.suite import SuiteModel

NEAR_TIE = 1e-3
MODELS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
FILES = {
    "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors",
    "torchvision:squeezenet1_1": "squeezenet1_1.gluon.pth",
}
"""Models whose real weights lie among the shared data, as files."""


_known: dict[tuple[str, bytes], int] = {}
"""(model, image) -> the protocol's prediction, so that no image is run twice under two sets of labels."""


def protocol_predictions(model: str, images: list[bytes], weights: str | None = None) -> np.ndarray:
    """int64 (n,): argmax of a plain loop in batches of 32."""
    classifier = load_classifier(model, weights=weights)
    t = classifier.transform.describe()
    steps = transforms.Compose(
        [
            transforms.Resize(t["resize"], transforms.InterpolationMode(t["interpolation"])),
            transforms.CenterCrop(t["crop"]),
            transforms.ToTensor(),
            transforms.Normalize(t["mean"], t["std"]),
        ]
    )
    new = [data for data in images if (model, data) not in _known]
    with torch.no_grad(), keep_activations():  # the allocator changes the time, not the numbers
        for start in range(0, len(new), 32):
            batch = new[start : start + 32]
            tensors = [steps(Image.open(io.BytesIO(data)).convert("RGB")) for data in batch]
            classes = classifier.module(torch.stack(tensors)).argmax(1).tolist()
            _known.update({(model, data): k for data, k in zip(batch, classes, strict=True)})
    return np.array([_known[model, data] for data in images])


def check_against_protocol(model: str, benchmark, out: Path) -> imagenet_hard.Result:
    result = imagenet_hard.evaluate(model, benchmark, device="cpu", out=out)
    predictions = read_predictions(next(out.rglob(f"*{model}*.parquet")))
    check_predictions(result, predictions, benchmark, model)
    return result


def check_predictions(result, predictions, benchmark, model: str, weights: str | None = None) -> None:
    examples = {e.id: e for e in benchmark}
    assert set(predictions.ids) == set(examples)
    expected = protocol_predictions(model, [examples[i].image for i in predictions.ids], weights)
    differs = predictions.top5[:, 0] != expected
    assert (predictions.margin[differs] < NEAR_TIE).all()
    right = sum(int(p) in examples[i].labels for i, p in zip(predictions.ids, expected, strict=True))
    assert abs(result.metrics.n_correct - right) <= differs.sum()


def interrupted_after(batches: int):
    """What ends a run after so many batches, told of each as progress is."""
    steps = count()

    def on_progress(n: int, resumed: int = 0) -> None:
        if next(steps) == batches:
            raise KeyboardInterrupt

    return on_progress


def samples(shared: Path, n: int | None = None):
    benchmark = imagenet_hard.load_dataset(str(shared / "data" / "imagenet-samples"))
    return benchmark if n is None else benchmark.take(n)


def validation(shared: Path, labels: str):
    folder = shared / "data" / "imagenet-val" / "images"
    return imagenet_hard.load_dataset(str(folder), labels=str(shared / "data" / "labels" / labels))


def test_predictions_are_the_protocols_on_a_few_images(shared, tmp_path):
    """EfficientNet-Lite0 on 20 sample images: two batches, the last of which is not full."""
    result = check_against_protocol("efficientnet_lite0", samples(shared, 20), tmp_path)
    assert result.metrics.top1.accuracy > 0.7
    assert result.benchmark.limit == 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("model", MODELS)
def test_predictions_are_the_protocols_on_the_samples(model, shared, tmp_path):
    """EfficientNet-Lite0 on 240 sample images, its sisters on 96 of them."""
    result = check_against_protocol(model, samples(shared, 240 if model == MODELS[0] else 96), tmp_path)
    assert 0.82 < result.metrics.top1.accuracy < 0.98


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("model", MODELS)
def test_validation_images(model, shared, tmp_path):
    """EfficientNet-Lite0 on 400 validation images, its sisters on 96 of them."""
    benchmark = validation(shared, "val.txt")
    assert len(benchmark) == 867
    result = check_against_protocol(model, benchmark.take(400 if model == MODELS[0] else 96), tmp_path)
    assert 0.6 < result.metrics.top1.accuracy < 0.9


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_validation_images_with_real_labels(shared, tmp_path):
    """By ReaL, whose unlabelled images are left out: of the others EfficientNet-Lite0 looks at 96."""
    benchmark = validation(shared, "real.json")
    real = json.loads((shared / "data" / "labels" / "real.json").read_text())
    names = sorted(p.name for p in (shared / "data" / "imagenet-val" / "images").iterdir())
    labelled = [n for n in names if real[int(n.split("_")[-1].split(".")[0]) - 1]]
    assert len(benchmark) == len(labelled) < 867
    check_against_protocol(MODELS[0], benchmark.take(96), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("images", "again"), list(zip(["samples", "validation"], FILES, strict=True)))
def test_real_weights_in_files_alone_together_and_resumed(images, again, shared, tmp_path):
    """timm's ViT-tiny and torchvision's SqueezeNet, on 112 samples and 112 validation images: sharing a
    pass they predict what the protocol predicts, and one of them alone after an interruption bit for bit
    the same."""
    data = shared / "data"
    benchmark = samples(shared, 112) if images == "samples" else validation(shared, "val.txt").take(112)
    requests = [
        SuiteModel(model=model, weights=str(data / "weights" / file)) for model, file in FILES.items()
    ]
    together = imagenet_hard.evaluate_all(
        requests, benchmark, device="cpu", out=tmp_path / "together", together=2
    )
    for request, result in together:
        assert isinstance(result, imagenet_hard.Result), result
        (file,) = (tmp_path / "together").rglob(f"*{result.model.name}*.parquet")
        predictions = read_predictions(file)
        check_predictions(result, predictions, benchmark, request.model, request.weights)
        if request.model != again:
            continue
        alone = partial(
            imagenet_hard.evaluate,
            request.model,
            benchmark,
            weights=request.weights,
            device="cpu",
            out=tmp_path / "alone",
        )
        with pytest.raises(KeyboardInterrupt):
            alone(on_progress=interrupted_after(3))
        resumed = alone()
        assert 0 < resumed.runtime.n_resumed < len(benchmark)
        assert resumed.predictions_sha256 == result.predictions_sha256


@pytest.mark.usefixtures("small_networks")
def test_the_second_run_reads_the_first(tmp_path):
    """Finished work is not done again; another precision is another result."""
    few = imagenet_hard.load_dataset("sample").take(8)
    first = imagenet_hard.evaluate("efficientnet_lite0", few, device="cpu", out=tmp_path)
    second = imagenet_hard.evaluate("efficientnet_lite0", few, device="cpu", out=tmp_path)
    assert first == second
    other = imagenet_hard.evaluate("efficientnet_lite0", few, device="cpu", precision="bf16", out=tmp_path)
    assert other.run_key != first.run_key
    assert len(list(tmp_path.rglob("*.json"))) == 2
