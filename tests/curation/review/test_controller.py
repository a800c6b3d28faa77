"""The buttons without a browser: where each leads, what it tells, and what the page would show."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.curation.records import View
from imagenet_hard.curation.review.controller import Controller, Screen
from imagenet_hard.curation.review.page import head_of, part
from imagenet_hard.curation.review.pictures import DISPLAY_SIDE, Pictures
from imagenet_hard.curation.review.session import Progress, ReviewFilter, ReviewSession
from imagenet_hard.dataset.decode import decode
from tests.curation.review.survivors import RECIPE, STANDARD, open_source, survivors
from tests.dataset.images import encoded, jpeg, picture

ALL, UNDECIDED = ReviewFilter(), ReviewFilter(undecided_only=True)
NAMES = ("a.jpg", "b.jpg", "c.jpg")
A, B, C = (f"imagenet/{name}" for name in NAMES)


@pytest.fixture
def images() -> list[bytes]:
    return [jpeg(i) for i in range(3)]


@pytest.fixture
def controller(tmp_path: Path, images: list[bytes]) -> Controller:
    source = open_source(RECIPE.sources[0], NAMES, images)
    found = survivors(source)
    source = replace(source, images=open_source(RECIPE.sources[0], NAMES, images).images)
    return Controller(ReviewSession(found, tmp_path / "ann.csv", "ann"), Pictures([source], RECIPE, found))


def test_deciding_goes_on(controller):
    """To the next image, and tells what was done to the last one."""
    assert controller.start() == Screen(A)
    assert controller.decide(A, "keep", ALL) == Screen(B, f"{A} is kept.")
    screen = controller.decide(B, "drop", ALL, reason="ambiguous", note=" two fish ")
    assert screen == Screen(C, f"{B} is dropped (ambiguous: two fish).")
    screen = controller.decide(C, "relabel", ALL, labels=[1, 0])
    assert screen == Screen(C, f"{C} is relabelled: tench, goldfish. All images are decided.")


def test_the_end_says_what_is_left(controller):
    """With the filter it goes round to what was passed over."""
    assert controller.decide(C, "keep", ALL).words.endswith("This was the last image; 2 are undecided.")
    assert controller.decide(C, "keep", UNDECIDED).id == A
    assert controller.move(C, 1, ALL) == Screen(C, "This was the last image; 2 are undecided.", refused=True)
    assert controller.move(A, -1, ALL).refused


def test_undo_goes_back(controller):
    """To the image whose decision was taken back."""
    controller.decide(A, "keep", ALL)
    controller.decide(A, "relabel", ALL, labels=[5])
    assert controller.undo(C) == Screen(A, f"{A} is kept again.")
    assert controller.undo(C) == Screen(A, f"{A} is undecided again.")
    assert controller.undo(C).refused
    assert "nothing to undo" in controller.undo(C).words


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        ("drop", {"reason": ""}, "choose a reason"),
        ("drop", {"reason": "other", "note": "  "}, "for 'other', write it into the note"),
        ("relabel", {"labels": []}, "choose one label or more"),
    ],
)
def test_a_refusal_stays(controller, action, fields, words):
    """Nothing is written, and the page keeps what was filled in."""
    screen = controller.decide(A, action, ALL, **fields)
    assert (screen.id, screen.refused) == (A, True)
    assert words in screen.words
    assert controller.session.progress().undecided == 3


def test_no_decision_without_an_image(controller):
    """Where the filter matches nothing, keys do nothing."""
    assert controller.refilter(A, ReviewFilter("elsewhere")) == Screen("")
    assert controller.decide("", "keep", ALL).refused


def test_jump_and_position(controller):
    """By a part of the id; and where one stands."""
    assert controller.jump(A, "b.jpg") == Screen(B)
    assert controller.jump(A, "zebra") == Screen(A, "No image has an id with 'zebra' in it.", refused=True)
    assert controller.position(B, ALL) == "2 of 3"
    controller.decide(B, "keep", ALL)
    assert controller.position(B, UNDECIDED) == "outside the filter (2 match)"


def test_an_image_that_changed_is_not_decided(controller, images):
    """The bytes on disk are no longer those that were scored."""
    images[0] = jpeg(9)
    source = open_source(RECIPE.sources[0], NAMES, images)
    controller = Controller(
        controller.session, Pictures([source], RECIPE, list(controller.session.survivors.values()))
    )
    screen = controller.decide(A, "keep", ALL)
    assert screen.refused
    assert screen.words.startswith(f"image '{A}' has changed since it was scored")
    with pytest.raises(DatasetError, match="Put the old file back, or score again"):
        controller.pictures.picture(controller.session.survivors[A])


def pixels(address: str) -> np.ndarray:
    assert address.startswith("data:image/jpeg;base64,")
    return np.asarray(Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_zooms_are_what_the_classifiers_saw(images):
    """Each view is the crop of its classifier's own grid, JPEG noise aside."""
    smooth = [encoded(Image.linear_gradient("L").resize((300, 200)).convert("RGB"))]
    source = open_source(RECIPE.sources[0], NAMES[:1], smooth)
    (survivor,) = survivors(source)
    shown = Pictures([source], RECIPE, [survivor]).picture(survivor)
    assert shown.size == (300, 200)
    assert shown.views.keys() == {
        (view.classifier, view.zoom) for view in (*survivor.standard, *survivor.closest)
    }
    for (classifier, zoom), address in shown.views.items():
        grid = RECIPE.grid(240 if classifier.endswith("240") else 224)
        ((_, crop),) = grid.crops(decode(smooth[0]).convert("RGB"), [zoom])
        found = pixels(address)
        assert found.shape == crop.shape
        assert np.abs(found.astype(int) - crop).mean() < 3


def test_only_the_display_is_scaled():
    """A large image is shown small, a small one as it is; odd modes are shown too."""
    data = [
        encoded(picture(size=(2000, 100)), "JPEG"),
        encoded(picture().convert("LA")),
        encoded(picture().convert("CMYK"), "TIFF"),
    ]
    source = open_source(RECIPE.sources[0], NAMES, data)
    found = survivors(source)
    shown = [Pictures([source], RECIPE, found).picture(each) for each in found]
    assert [each.size for each in shown] == [(2000, 100), (24, 16), (24, 16)]
    assert pixels(shown[0].whole).shape == (64, DISPLAY_SIDE, 3)
    assert pixels(shown[1].whole).shape == (16, 24, 3)


def test_an_undecodable_image_is_named():
    """Scored long ago, broken since PIL changed."""
    source = open_source(RECIPE.sources[0], NAMES[:1], [b"not an image"])
    (survivor,) = survivors(source)
    with pytest.raises(ImageError, match=f"image '{A}' cannot be decoded"):
        Pictures([source], RECIPE, [survivor]).picture(survivor)


def test_other_data_or_another_recipe_is_told_at_once(images):
    """Before the first image is shown."""
    source = open_source(RECIPE.sources[0], NAMES, images)
    found = survivors(source)
    stray = replace(found[0], id="imagenet/z.jpg")
    with pytest.raises(DatasetError, match=r"1 of 4 survivors are in none .* 'imagenet/z.jpg'\. Give the"):
        Pictures([source], RECIPE, [*found, stray])
    stray = replace(found[0], closest=(View("alexnet", 3, 1, 0.5),))
    with pytest.raises(DatasetError, match="the scores are of alexnet, which the recipe small lacks"):
        Pictures([source], RECIPE, [stray])


EVIL = "<script>alert(1)</script>\"'&\u202e\x07${1}"


def test_everything_is_escaped(controller, images):
    """Ids, sources, reasons, reviewers, files: no markup, no quote, no invisible character gets through."""
    data = images[0]
    (survivor,) = survivors(open_source(RECIPE.sources[0], ["a"], [data]))
    shown = controller.pictures.picture(controller.session.survivors[A])
    survivor = replace(survivor, id=EVIL, source=EVIL)
    row = controller.session.decide(A, "drop", EVIL)
    html = [
        part("figure", survivor, shown, EVIL),
        part("no_figure", survivor.id, EVIL),
        part("no_figure", "", EVIL),
        part("facts", survivor, row, [row, row]),
        part("message", 1, EVIL, True),
        head_of(EVIL, EVIL, Progress(1, {"drop": 1}, 0)),
    ]
    for text in html:
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in text
        assert "<script" not in text
        assert not {"\u202e", "\x07"} & set(text)


def test_what_the_page_shows(controller):
    """Names, wnids, predictions, zooms, deficits, the state, and who said what."""
    survivor = controller.session.survivors[B]
    views = part("views", survivor, controller.pictures.picture(survivor), controller.pictures)
    for text in ("stingray", "deficit 2.50", f"{RECIPE.grid()[STANDARD]}", "vit_b_32/240", "deficit 0.80"):
        assert text in views
    facts = part("facts", survivor, None, ())
    for text in ("goldfish", "n01443537", "#1", "undecided"):
        assert text in facts
    assert "Reviewers differ" not in facts
    row = controller.session.decide(B, "relabel", labels=[2])
    assert "Reviewers differ" in part("facts", survivor, row, [row])
    assert "great white shark" in part("facts", survivor, row, ())
    assert hashlib.sha256(controller.pictures.check(survivor)).hexdigest() == survivor.image_sha256
