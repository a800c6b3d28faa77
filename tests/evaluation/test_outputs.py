"""Scoring by what a model gives: its form, a mask, a background class; and what the result says of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics.classification import MulticlassCalibrationError

from imagenet_hard.base.errors import ClassifierError, DatasetError, ResultError, UsageError
from imagenet_hard.classifiers.custom import from_module
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.dataset.decode import decode
from imagenet_hard.evaluation.compare import compare
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.evaluation.run import evaluate
from imagenet_hard.evaluation.table import results_table
from imagenet_hard.imagenet.mask import class_mask
from imagenet_hard.tta.settings import tta_settings
from tests.engine import small

N = 24
TRANSFORM = small.TRANSFORM
ABOUT = Source("small", "folder")


@pytest.fixture(scope="module")
def module() -> nn.Module:
    """Seeded; it tells images apart, more or less surely."""
    made = small.classifier().module
    with torch.no_grad():
        made[-1].weight.mul_(40)
        made[-1].bias.sub_(plain_loop(made).mean(0))
    return made


@pytest.fixture(scope="module")
def logits(module) -> torch.Tensor:
    return plain_loop(module)


def plain_loop(module: nn.Module) -> torch.Tensor:
    """float32 (N, 1000), image by image."""
    images = [decode(small.jpeg(i), id=str(i)) for i in range(N)]
    with torch.no_grad():
        return torch.cat([module(TRANSFORM.batch([TRANSFORM.pixels(each)], "cpu")) for each in images])


@pytest.fixture(scope="module")
def images(logits) -> Benchmark:
    """Half of the labels are what the model says."""
    said = logits.argmax(1).tolist()
    assert len(set(said)) > N // 2
    labels = [(said[i] if i % 2 else (said[i] + 500) % 1000,) for i in range(N)]
    return Benchmark(ABOUT, [f"{i:02}.jpg" for i in range(N)], labels, [""] * N, small.jpeg)


def score(model, images, **options):
    return evaluate(model, images, device="cpu", workers=1, transform=TRANSFORM, **options)


@pytest.mark.parametrize(
    ("tail", "form"),
    [(nn.Identity(), "logits"), (nn.Softmax(1), "probabilities"), (nn.LogSoftmax(1), "log-probabilities")],
)
def test_calibration_margins_and_near_ties_are_those_of_the_logits(
    tail, form, module, logits, images, tmp_path
):
    """Independent: torchmetrics on the softmax of a plain loop, and the differences of its logits."""
    result = score(nn.Sequential(module, tail), images, out=tmp_path)
    target = torch.tensor([labels[0] for labels in images.labels])
    expected = MulticlassCalibrationError(1000, n_bins=15, norm="l1")(logits.softmax(1), target)
    assert result.protocol.outputs == form
    assert result.metrics.n_correct == N // 2
    assert result.metrics.calibration.ece == pytest.approx(float(expected), abs=1e-5)
    (path,) = tmp_path.rglob("*.json")
    _, predictions = read_result(path)
    top = logits.topk(2).values
    np.testing.assert_allclose(predictions.margin, (top[:, 0] - top[:, 1]).numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(predictions.top5, logits.topk(5).indices.numpy())


def test_a_mask_of_classes_is_softmaxed_over_and_recorded(module, logits, images, tmp_path):
    """Top-5 among the mask, probabilities sum to one over it, images beyond it are counted and told."""
    mask = class_mask("imagenet-r")
    result = score(module, images, classes="imagenet-r", out=tmp_path)
    kept = logits[:, list(mask.indices)]
    (path,) = tmp_path.rglob("*.json")
    read, predictions = read_result(path)
    assert path.stem.endswith("-imagenet-r")
    assert read == result
    assert result.protocol.classes == mask
    best = np.array(mask.indices)[kept.topk(5).indices.numpy()]
    np.testing.assert_array_equal(predictions.top5, best)
    np.testing.assert_allclose(
        predictions.logprob5, kept.log_softmax(1).topk(5).values.numpy(), rtol=1e-4, atol=1e-4
    )
    beyond = sum(not set(labels) & set(mask.indices) for labels in images.labels)
    assert (
        f"{beyond} of {N} images have no label among the 200 classes that compete"
        in result.protocol.warnings[-1]
    )
    right = sum(int(best[i, 0]) in images.labels[i] for i in range(N))
    assert result.metrics.n_correct == right


def test_masked_and_unmasked_are_never_mixed(module, images, tmp_path):
    """Each has its file and its key; a comparison of the two is refused, the table names the mask."""
    some = sorted({label for labels in images.labels for label in labels})
    plain = score(module, images, out=tmp_path)
    masked = score(module, images, classes=some, out=tmp_path)
    assert plain.run_key != masked.run_key
    paths = sorted(tmp_path.rglob("*.json"), key=lambda path: len(path.stem))
    assert [read_result(path)[0] for path in paths] == [plain, masked]
    with pytest.raises(
        ResultError, match=r"among all 1000, .* among \d+ classes \(list\): fewer classes are easier"
    ):
        compare(*paths)
    assert compare(paths[1], paths[1]).difference == 0
    rows = list(results_table([plain, masked]).terminal().columns[0].cells)
    assert sum(f"among {masked.protocol.classes.label}" in str(cell) for cell in rows) == 1
    assert score(module, images, classes=some, out=tmp_path) == masked


def test_a_mask_that_has_none_of_the_labels_is_refused(module, images):
    """It would score 0 in silence otherwise."""
    have = {label for labels in images.labels for label in labels}
    others = [i for i in range(1000) if i not in have][:10]
    with pytest.raises(DatasetError, match=f"{N} of {N} images have no label among the 10 classes"):
        score(module, images, classes=others)


@pytest.mark.parametrize("value", [-torch.inf, -1e9])
def test_a_model_that_masks_itself(value, module, logits, images):
    """Top-1 among what it leaves; and the result says that it masks."""
    kept = torch.zeros(1000, dtype=torch.bool)
    kept[::7] = True

    def masked(batch):
        return module(batch).masked_fill(~kept, value)

    result = score(masked, images)
    said = logits.masked_fill(~kept, -torch.inf).argmax(1).tolist()
    assert result.metrics.n_correct == sum(said[i] in images.labels[i] for i in range(N))
    assert result.protocol.warnings == [
        "the model never predicts 857 of its 1000 classes: it masks them itself"
    ]


def test_fewer_than_five_classes_are_no_top_5(module, images):
    """A model that masks all but four gives no top-5; the image is named."""
    with pytest.raises(
        ClassifierError, match=r"for image '00.jpg'.*-inf may mask classes, all but five or more"
    ):
        score(lambda batch: module(batch).masked_fill(torch.arange(1000) > 3, -torch.inf), images)


def test_a_background_class_is_dropped_and_recorded(module, images, tmp_path):
    """The same numbers as without it; it is in the record and in the file's name."""
    plain = score(module, images)
    for form in (nn.Identity(), nn.Softmax(1)):
        background = nn.Sequential(module, nn.ConstantPad1d((1, 0), 3.0), form)
        result = score(background, images, drop_class=0, out=tmp_path / type(form).__name__)
        assert (result.protocol.drop_class, result.protocol.warnings) == (0, [])
        assert result.metrics.correct_bits == plain.metrics.correct_bits
        assert result.metrics.calibration.ece == pytest.approx(plain.metrics.calibration.ece, abs=1e-5)
        assert "-drop0" in next((tmp_path / type(form).__name__).rglob("*.json")).stem


def test_what_a_mask_leaves_out_is_said_when_scored_and_when_read(module, images, tmp_path, caplog):
    """By its number, not in the file alone."""
    caplog.set_level("INFO")
    others = [i for i in range(1000) if i not in images.labels[0]]
    for _ in range(2):
        caplog.clear()
        result = score(module, images, classes=others, out=tmp_path)
        (warning,) = result.protocol.warnings
        assert warning.endswith("they cannot be right")
        assert [each.getMessage() for each in caplog.records if warning in each.getMessage()] == [
            f"Sequential on small: {warning}"
        ]
    assert f"is finished: read from {next(tmp_path.rglob('*.json'))}" in caplog.text


def test_what_cannot_repeat_is_in_the_result(module, images):
    """In its JSON, where every reader of the number finds it."""

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, batch):
            return F.dropout(self.inner(batch), 0.3)

    written = json.loads(score(Dropping(), images).model_dump_json())
    assert written["protocol"]["warnings"][0].startswith("cannot repeat: the model is random in eval mode")
    assert score(module, images).protocol.warnings == []


def test_a_transform_of_ones_own_that_fails_names_the_image(module, images):
    """Whether it raises, gives something else, or several sizes."""

    def picky(wrong):
        def transform(image):
            return wrong(image) if image.size == (61, 48) else plain(image)

        return transform

    def plain(image):
        return torch.from_numpy(np.asarray(image.resize((32, 32)), np.float32) / 255).permute(2, 0, 1)

    odd = Benchmark(
        ABOUT,
        images.ids,
        images.labels,
        [""] * N,
        lambda i: small.jpeg(i, (61, 48)) if i == 5 else small.jpeg(i),
    )
    for wrong, message in (
        (lambda image: 1 / 0, r"failed on image '05.jpg' \(RGB, 61 x 48\): ZeroDivisionError"),
        (lambda image: plain(image)[0], r"image '05.jpg': the transform gave torch.float32 \(32, 32\)"),
        (
            lambda image: plain(image)[:, 1:],
            r"\(3, 32, 32\) for image '00.jpg', \(3, 31, 32\) for '05.jpg'.*CenterCrop",
        ),
    ):
        with pytest.raises(ClassifierError, match=message):
            evaluate(module, odd, device="cpu", workers=1, transform=picky(wrong))


def test_a_ragged_transform_is_fine_one_by_one(module, images):
    """Where each batch is one image, sizes may differ."""
    from torchvision.transforms import ToTensor

    result = evaluate(module, images, device="cpu", workers=1, transform=ToTensor(), batch_size=1)
    assert result.metrics.n_total == N


def test_test_time_augmentation_masks_the_views_before_their_mean(module, images):
    """The mean of softmaxes over the mask, which is not the mean over all classes cut down."""
    tta = tta_settings("zoom", views=3)
    classifier = from_module(module, TRANSFORM)
    mask = class_mask("imagenet-a")
    result = evaluate(classifier, images, device="cpu", workers=1, tta=tta, classes=mask)
    assert result.protocol.classes == mask
    from imagenet_hard.classifiers.outputs import with_classes
    from imagenet_hard.engine.settings import RunSettings
    from imagenet_hard.tta.zoomed import ZoomPredictor

    settings, device = RunSettings(device="cpu"), torch.device("cpu")
    image, digest = decode(small.jpeg(1), id="1"), "ab" * 32
    all_ = ZoomPredictor(classifier, tta, settings, device)
    cut = ZoomPredictor(with_classes(classifier, mask), tta, settings, device)
    (views,) = all_.view_logits([all_.prepare(image, digest)], ["1"])
    expected = views[:, list(mask.indices)].softmax(1).mean(0)
    got = cut.launch([cut.prepare(image, digest)], ["1"])[0]
    torch.testing.assert_close(got[list(mask.indices)].exp(), expected, rtol=1e-4, atol=1e-6)
    assert torch.isneginf(got[~torch.from_numpy(mask.kept())]).all()


def test_classes_and_background_are_checked_first(module, images):
    """Before any image is read."""
    with pytest.raises(UsageError, match="classes 'imagenet-z': expected imagenet-a"):
        score(module, images, classes="imagenet-z")
    with pytest.raises(UsageError, match="drop class 1"):
        score(module, images, drop_class=1)
