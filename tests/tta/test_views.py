"""Views: AugMix, fixed lists of zooms, and the page that shows where they lie."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import ToTensor

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.classifiers.transform import CallableTransform
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import Zoom, ZoomGrid
from imagenet_hard.imagenet.zoom_list import indices
from imagenet_hard.tta.augmix import OPERATIONS, augmix
from imagenet_hard.tta.page import check_showable, write_page
from imagenet_hard.tta.settings import build_predictor, tta_settings
from imagenet_hard.tta.views import cutter, generator, random_box
from tests.engine.small import benchmark, classifier, jpeg

CPU = RunSettings(device="cpu", workers=2)


def picture(seed: int = 0) -> Image.Image:
    return decode(jpeg(seed)).convert("RGB")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_augmix_is_a_mixture_of_pictures(seed):
    """Every pixel lies between 0 and 255 and weights sum to one: a white picture's autocontrast aside."""
    image = picture(seed % 5)
    found = augmix(image, np.random.default_rng(seed))
    assert found.dtype == np.float32
    assert found.shape == (image.height, image.width, 3)
    assert found.min() >= -1e-3
    assert found.max() <= 255 + 1e-3
    np.testing.assert_array_equal(found, augmix(image, np.random.default_rng(seed)))


def test_augmix_changes_pictures_a_little():
    """At severity 1 the mixtures differ from the picture and from each other, and stay close to it."""
    image = picture()
    own, random = np.asarray(image, np.float32), np.random.default_rng(0)
    distances = [float(np.abs(augmix(image, random) - own).mean()) for _ in range(50)]
    assert max(distances) > 1
    assert np.median(distances) < 40
    assert len(set(distances)) == 50


@pytest.mark.parametrize("index", range(len(OPERATIONS)))
def test_each_operation_keeps_size_and_mode(index):
    """And changes some picture for some draw."""
    # One with white for what turns the bright, one of low contrast for what raises it.
    images = [picture(), picture().point(lambda value: 40 + value // 2)]
    images[0].paste((250, 250, 250), (0, 0, 8, 8))
    changed = []
    for seed in range(40):
        image = images[seed % 2]
        found = OPERATIONS[index](image, np.random.default_rng(seed))
        assert (found.size, found.mode) == (image.size, "RGB")
        changed.append(np.any(np.asarray(found) != np.asarray(image)))
    assert any(changed)


def test_listed_zooms_are_cut_in_their_order():
    """Views stand in the list's order, whatever the scales; boxes go with them."""
    tta = tta_settings("zoom", zooms=40)
    _, cut = cutter(classifier(), tta)
    image = picture()
    views = cut(image, "")
    grid = ZoomGrid.for_size(32)
    numbers = indices([Zoom(*triple) for triple in tta.zooms], grid)
    for number, pixels, box in zip(numbers, views.pixels, views.boxes, strict=True):
        ((_, expected),) = grid.crops(image, [number])
        np.testing.assert_array_equal(pixels, expected)
        assert dataclasses.astuple(box) == grid.shown(number, image.size)


def test_more_views_begin_with_the_fewer():
    """The first four of eight random views are the four."""
    image = picture()
    for method in ("zoom", "memo"):
        four, eight = (
            cutter(classifier(), tta_settings(method, views=n))[1](image, "12" * 32) for n in (4, 8)
        )
        assert eight.boxes[:4] == four.boxes
        assert all(np.array_equal(a, b) for a, b in zip(four.pixels, eight.pixels, strict=False))


def test_each_image_and_seed_has_views_of_its_own():
    """Another digest or another seed draws other boxes."""
    drawn = {random_box((500, 400), generator(seed, digest)) for seed in (0, 1) for digest in ("00", "01")}
    assert len(drawn) == 4


def test_a_transform_that_cannot_be_seen_is_refused():
    """Zoomed views need size, mean and std."""
    model = dataclasses.replace(classifier(), transform=CallableTransform(ToTensor(), {}))
    with pytest.raises(UsageError, match="use --transform paper"):
        build_predictor(tta_settings("zoom", views=2), model, CPU, torch.device("cpu"))


def test_the_sheet_shows_where_it_looked(tmp_path, browser):
    """One card an image, each with a picture; hostile ids are text; nothing is requested."""
    data = benchmark(4)
    evil = dataclasses.replace(data.examples[0], id="<script>alert(1)</script>.jpg")
    broken = dataclasses.replace(data.examples[1], id="broken.jpg", image=b"no image")
    data = dataclasses.replace(data, examples=[evil, broken, *data.examples[2:]])
    path = write_page(tmp_path / "where", classifier(), data, tta_settings("zoom", views=6), CPU)
    assert path.name == "where-small-zoom6.html"
    page = browser.new_page()
    wrong = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
    page.goto(path.as_uri())
    assert page.locator("figure").count() == 3
    assert "<script>alert(1)</script>.jpg" in page.locator("small").first.inner_text()
    assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 100)")
    assert "of 6 views agree" in page.locator("figcaption").first.inner_text()
    page.close()
    assert wrong == []


def test_what_has_no_boxes_is_refused(tmp_path):
    """No augmentation, or the standard view alone; a folder that cannot be made is named."""
    for tta in (None, tta_settings("zoom", zooms="standard")):
        with pytest.raises(UsageError, match="--tta-show shows zoomed views"):
            check_showable(tta)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write"):
        write_page(tmp_path / "file" / "x", classifier(), benchmark(1), tta_settings("zoom", views=2), CPU)
