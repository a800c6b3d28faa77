"""The engine gives the numbers of a plain loop, keeps what it has scored, and says what went wrong."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from imagenet_hard.base.errors import ClassifierError, ImageError
from imagenet_hard.base.types import Example
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.engine import prepare
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from tests.engine.small import TRANSFORM, MemoryBenchmark, benchmark, classifier, jpeg, score

CPU = RunSettings(device="cpu", workers=2)


def plain_loop(examples: list[Example], module: nn.Module) -> torch.Tensor:
    """The reference: torchvision's transforms, one image after another."""
    steps = transforms.Compose(
        [
            transforms.Resize(40, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    with torch.no_grad():
        images = [steps(Image.open(io.BytesIO(e.image)).convert("RGB")) for e in examples]
        return torch.cat([module(x[None]) for x in images])


def run(model=None, data=None, settings=CPU, store=None):
    return score(model or classifier(), data or benchmark(), settings, store or Store(None, "key"))


def test_predictions_are_those_of_a_plain_loop():
    """Top-5, log-probabilities and margins equal one-by-one torchvision scoring, in id order."""
    data, model = benchmark(50), classifier()
    expected = plain_loop(data.examples, model.module)
    data.examples.reverse()
    scored, report = run(model, data)
    assert scored.predictions.ids == tuple(sorted(e.id for e in data.examples))
    assert (scored.predictions.top5[:, 0] == expected.argmax(1).numpy()).all()
    logprob = expected.log_softmax(1).sort(1, descending=True).values
    np.testing.assert_allclose(scored.predictions.logprob5, logprob[:, :5], atol=1e-4)
    gap = expected.sort(1, descending=True).values
    np.testing.assert_allclose(scored.predictions.margin, gap[:, 0] - gap[:, 1], atol=1e-4)
    assert report.n_scored == 50
    assert report.optimizations == ("2 batch norms folded",)


@pytest.mark.parametrize(("batch_size", "workers", "fold"), [(1, 1, True), (7, 3, True), (64, 2, False)])
def test_batch_size_workers_and_folding_change_no_prediction(batch_size, workers, fold):
    """The same classes come out however the work is cut."""
    settings = dataclasses.replace(CPU, batch_size=batch_size, workers=workers, fold=fold)
    reference, _ = run()
    scored, _ = run(settings=settings)
    assert (scored.predictions.top5 == reference.predictions.top5).all()
    assert scored.image_sha256 == reference.image_sha256


def test_resume_scores_only_what_is_missing_and_ends_with_the_same_numbers(tmp_path):
    """A run that died after some batches goes on, and no bit of the outcome differs."""
    whole, _ = run()
    data = benchmark(50)

    class Killed(BaseException):
        pass

    def die(n, seen=[]):  # noqa: B006
        seen.append(n)
        if len(seen) == 2:
            raise Killed

    with pytest.raises(Killed), Store(tmp_path / "s.sqlite", "key") as store:
        score(classifier(), data, CPU, store, die)
    model, decoded = classifier(), []

    class Counting(Transform):
        def pixels(self, image):
            decoded.append(image)
            return super().pixels(image)

    counting = Counting(**{f.name: getattr(TRANSFORM, f.name) for f in dataclasses.fields(TRANSFORM)})
    with Store(tmp_path / "s.sqlite", "key") as store:
        scored, report = score(dataclasses.replace(model, transform=counting), data, CPU, store)
    assert (report.n_resumed, report.n_scored, len(decoded)) == (32, 18, 18)
    for name in ("top5", "logprob5", "margin"):
        assert (getattr(scored.predictions, name) == getattr(whole.predictions, name)).all()
    assert scored.labels == whole.labels
    assert scored.origins == whole.origins


def test_bad_images_are_named_and_the_others_kept():
    """One broken file is no crash and no silent drop: there is no result until it is mended."""
    data = benchmark(20)
    good = data.examples[3]
    data.examples[3] = dataclasses.replace(good, image=good.image[:200])
    store = Store(None, "key")
    with pytest.raises(ImageError, match=r"(?s)1 of 20 images of memory.*003\.jpg.*other 19 are kept"):
        run(data=data, store=store)
    data.examples[3] = good
    scored, report = run(data=data, store=store)
    assert (report.n_scored, len(scored.predictions)) == (1, 20)


def test_an_image_that_memory_does_not_suffice_for_ends_no_other(monkeypatch):
    """It is named like any that cannot be read."""
    real = prepare.decode

    def short(image, *, id, exif):
        if id == "003.jpg":
            raise MemoryError
        return real(image, id=id, exif=exif)

    monkeypatch.setattr(prepare, "decode", short)
    with pytest.raises(
        ImageError, match=r"(?s)1 of 9 images.*'003\.jpg' does not fit into the memory.*other 8"
    ):
        run(data=benchmark(9))


def test_a_stored_row_counts_only_for_the_same_bytes_and_labels(tmp_path):
    """Replaced and relabelled images are scored again, those that are gone leave no row behind."""
    data, store = benchmark(20), Store(None, "key")
    run(data=data, store=store)
    data.examples[3] = dataclasses.replace(data.examples[3], image=jpeg(777))
    data.examples[4] = dataclasses.replace(data.examples[4], labels=(5,))
    del data.examples[10]
    scored, report = run(data=data, store=store)
    assert (report.n_resumed, report.n_scored) == (17, 2)
    fresh, _ = run(data=data)
    assert scored.predictions.ids == fresh.predictions.ids
    assert (scored.predictions.top5 == fresh.predictions.top5).all()
    assert scored.labels == fresh.labels
    assert scored.image_sha256 == fresh.image_sha256


def test_a_model_that_fails_is_named_with_its_batch():
    """What goes wrong inside a model is an error of ours, so a suite goes on after it."""

    class Broken(nn.Module):
        def forward(self, x):
            return x @ torch.zeros(7, 7)

    with pytest.raises(ClassifierError, match=r"small failed on a batch of shape \(16, 3, 32, 32\) in fp32"):
        run(dataclasses.replace(classifier(), module=Broken()))


def test_wrong_number_of_classes():
    """Ten outputs are no ImageNet classifier."""
    with pytest.raises(ClassifierError, match=r"small gave \(16, 10\).*expected.*\(16, 1000\)"):
        run(classifier(classes=10))


def test_logits_that_are_not_finite_name_the_image():
    """NaN never becomes a prediction."""
    model = classifier()
    model.module[-1].bias.data[5] = float("nan")
    with pytest.raises(ClassifierError, match=r"NaN or infinite logits in fp32 for image '000\.jpg'"):
        run(model)


def test_a_transform_that_fails_names_the_image():
    """The user's own transform may have a bug; its image is told."""

    class Broken:
        def pixels(self, image):
            raise ZeroDivisionError("oops")

    with pytest.raises(ClassifierError, match=r"transform failed on image '000.jpg'.*RGB, 60 x 48.*oops"):
        run(dataclasses.replace(classifier(), transform=Broken()))


def test_bf16_agrees_with_fp32_but_for_near_ties():
    """Half precision flips only what is close."""
    exact, _ = run()
    half, _ = run(settings=dataclasses.replace(CPU, precision="bf16"))
    flipped = exact.predictions.top5[:, 0] != half.predictions.top5[:, 0]
    assert (exact.predictions.margin[flipped] < 0.05).all()


def test_progress_counts_every_image():
    """The sum of what progress is told is what was scored."""
    told: list[int] = []
    score(classifier(), benchmark(50), CPU, Store(None, "key"), told.append)
    assert told == [16, 16, 16, 2]


def test_out_of_memory_halves_an_automatic_batch_only():
    """`auto` finds its size; an explicit size is never changed behind one's back."""

    class Tight(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            if len(x) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self.inner(x)

    whole, _ = run()
    model = classifier()
    tight = dataclasses.replace(model, module=Tight(model.module))
    scored, report = run(tight)
    assert report.batch_size == 4
    assert (scored.predictions.top5 == whole.predictions.top5).all()
    with pytest.raises(ClassifierError, match="out of memory on cpu at batch size 8.*smaller"):
        run(tight, settings=dataclasses.replace(CPU, batch_size=8))


def test_images_of_one_pixel_and_extreme_shape():
    """The smallest image is scored like any other."""
    out = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 30, 30)).save(out, "PNG")
    data = MemoryBenchmark([Example("1", out.getvalue(), (1,)), Example("2", jpeg(0, (300, 2)), (2,))])
    scored, _ = run(data=data)
    assert len(scored.predictions) == 2
