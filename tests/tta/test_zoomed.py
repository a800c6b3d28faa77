"""The mean over zoomed views: against a plain loop, and equal to plain evaluation where it is one view."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as F

from imagenet_hard.base.errors import UsageError
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.engine.store import Store
from imagenet_hard.evaluation.result import result_stem
from imagenet_hard.tta.settings import TtaRecord, build_predictor, tta_settings
from imagenet_hard.tta.views import generator, random_box
from tests.engine.small import benchmark, classifier, score

CPU = RunSettings(device="cpu", workers=2)


def run(tta=None, data=None, settings=CPU):
    model = classifier()
    scored, _ = score(
        model,
        data or benchmark(20),
        settings,
        Store(None, "k"),
        build=partial(build_predictor, tta) if tta else Forward,
    )
    return scored.predictions


def test_one_standard_view_is_plain_evaluation():
    """Top-5, log probabilities and margins, bit for bit."""
    plain, one = run(), run(tta_settings("zoom", zooms="standard"))
    for name in ("top5", "logprob5", "margin"):
        assert (getattr(plain, name) == getattr(one, name)).all()


def test_the_prediction_is_the_mean_softmax_of_torchvision_crops():
    """An independent loop: torchvision's resized_crop of the same boxes, float64 mean of the softmax."""
    got, model = run(tta_settings("zoom", views=7, seed=3)), classifier()
    for i, example in enumerate(benchmark(20).examples):
        image = Image.open(io.BytesIO(example.image)).convert("RGB")
        random = generator(3, hashlib.sha256(example.image).hexdigest())
        views = []
        for box in [random_box(image.size, random) for _ in range(7)]:
            place = (int(box.top), int(box.left), int(box.height), int(box.width))
            view = F.resized_crop(image, *place, [32, 32], F.InterpolationMode.BICUBIC)
            views.append(F.normalize(F.to_tensor(view), [0.5] * 3, [0.5] * 3))
        with torch.no_grad():
            mean = model.module(torch.stack(views)).double().softmax(1).mean(0)
        best = mean.log().sort(descending=True).values
        np.testing.assert_allclose(got.logprob5[i], best[:5], atol=1e-4)
        assert got.margin[i] == pytest.approx(float(best[0] - best[1]), abs=1e-4)


@pytest.mark.parametrize(("batch_size", "workers"), [(3, 1), (16, 2), (64, 2)])
def test_order_and_batches_change_nothing(batch_size, workers):
    """The views belong to the image, not to its place."""
    tta, data = tta_settings("zoom", views=5), benchmark(20)
    reference = run(tta)
    backwards = dataclasses.replace(data, examples=data.examples[::-1])
    again = run(tta, backwards, dataclasses.replace(CPU, batch_size=batch_size, workers=workers))
    assert (again.top5[:, 0] == reference.top5[:, 0]).all()
    np.testing.assert_allclose(again.logprob5, reference.logprob5, atol=1e-5)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 2**63 - 1))
def test_boxes_lie_inside_the_image(width, height, seed):
    """Also where the image is one pixel wide."""
    box = random_box((width, height), generator(seed, "ab" * 32))
    assert 0 <= box.left <= box.left + box.width <= width
    assert 0 <= box.top <= box.top + box.height <= height
    assert box.width >= 1
    assert box.height >= 1


@pytest.mark.parametrize("size", [(500, 375), (60, 400), (37, 41)])
def test_boxes_follow_the_law_of_torchvision(size):
    """Two-sample Kolmogorov-Smirnov tests on area, ratio and place."""
    from scipy.stats import ks_2samp

    random, image = generator(1, "00" * 32), Image.new("RGB", size)
    ours = [random_box(size, random) for _ in range(3000)]
    torch.manual_seed(0)
    theirs = [RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(3000)]
    for mine, their in (
        ([b.top for b in ours], [t for t, _, _, _ in theirs]),
        ([b.left for b in ours], [x for _, x, _, _ in theirs]),
        ([b.width * b.height for b in ours], [h * w for _, _, h, w in theirs]),
        ([b.width / b.height for b in ours], [w / h for _, _, h, w in theirs]),
    ):
        assert ks_2samp(mine, their).pvalue > 1e-3


def test_names_keep_tta_results_apart():
    """Each has a stem of its own; other settings than the default's add a hash."""
    spec = classifier().spec
    ttas = [
        None,
        *(tta_settings("zoom", views=n, seed=s) for n in (8, 64) for s in (0, 1)),
        tta_settings("memo"),
    ]
    stems = [result_stem(spec, "fp32", "native", tta) for tta in ttas]
    assert len(set(stems)) == 6
    assert stems[1] == f"{stems[0]}-zoom8"


def test_the_record_round_trips_and_counts_the_passes():
    """What the Result holds gives the settings back."""
    memo, zoom = tta_settings("memo", views=8), tta_settings("zoom", zooms=5)
    assert (memo.recorded().forward_passes, memo.recorded().backward_passes) == (9, 8)
    assert (zoom.recorded().forward_passes, zoom.recorded().backward_passes) == (5, 0)
    for each in (memo, zoom):
        record = TtaRecord.model_validate_json(each.recorded().model_dump_json())
        assert record.settings() == each
        assert record.label == each.label


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "none", "views": 3}, "--tta-views: only with --tta"),
        ({"method": "zoom", "views": 0}, "views: Input should be greater than or equal to 1"),
        ({"method": "zoom", "views": 4097}, "less than or equal to 4096"),
        ({"method": "zoom", "lr": 0.1}, "--tta zoom takes no step"),
        ({"method": "memo", "zooms": 3}, "--tta-zooms: only with --tta zoom"),
        ({"method": "zoom", "zooms": 3, "views": 3}, "the list of --tta-zooms says which views"),
        ({"method": "zoom", "zooms": 325}, "expected 1 to 324"),
        ({"method": "flip"}, "unknown test-time augmentation 'flip'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    """With the option's name."""
    with pytest.raises(UsageError, match=message):
        tta_settings(**arguments)
