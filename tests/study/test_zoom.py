"""One image under every zoom: the study's own predictions, and a page that holds in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tests.leaderboard.site as site_tests
from imagenet_hard.base.errors import ClassifierError, ImageError
from imagenet_hard.cli.main import group, run
from imagenet_hard.curation.store import FILE, CurationStore
from imagenet_hard.imagenet.zoom import ZoomGrid
from imagenet_hard.study.zoom_map import zoom_map
from imagenet_hard.study.zoom_page import write_zoom_page
from tests.curation.small import SETTINGS, made
from tests.study.small import classifiers, sources

AXE = Path(site_tests.__file__).parent / "vendor" / "axe.min.js"


def test_predictions_are_the_studys(work):
    """Of every image and classifier: the same class under each zoom, right where the study has it right."""
    examples = {example.id: example for source in sources() for example in source.images}
    compared = 0
    with CurationStore(work / FILE) as store:
        for id in list(examples)[::4]:
            views = store.views(id)
            for classifier in classifiers():
                example = examples[id]
                found = zoom_map(classifier, example.image, example.labels, SETTINGS, id=id)
                theirs = views[classifier.id]
                np.testing.assert_array_equal(found.predicted, theirs.predicted)
                np.testing.assert_array_equal(found.right, theirs.deficit < 0)
                assert found.best == int(np.argmin(theirs.deficit))
                compared += len(found.predicted)
    assert compared == 8 * 2 * 36


def test_confidence_is_the_softmax_of_the_plain_network():
    """One crop a forward pass; without labels the predictions are the same, and the surest zoom is best."""
    classifier, data = classifiers()[0], made(3).data[0]
    found = zoom_map(classifier, data, (), SETTINGS, id="x")
    for number, pixels in classifier.grid.crops(found.image, range(36)):
        with torch.inference_mode():
            logits = classifier.model.module.eval()(classifier.model.transform.batch([pixels], "cpu"))[0]
        confidence = logits.softmax(dim=0)
        assert int(found.predicted[number]) == int(logits.argmax())
        assert found.confidence[number] == pytest.approx(float(confidence.max()), rel=1e-4)
    assert not found.right.any()
    assert found.best == int(found.confidence.argmax())
    labelled = zoom_map(classifier, data, (5,), SETTINGS, id="x")
    np.testing.assert_array_equal(labelled.predicted, found.predicted)


def test_what_cannot_be_looked_at():
    """No image, and a model that fails: named."""
    classifier = classifiers()[0]
    with pytest.raises(ImageError, match="image 'x' cannot be decoded: got 5 bytes"):
        zoom_map(classifier, b"hello", (), SETTINGS, id="x")
    from dataclasses import replace

    class Failing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no power")

    broken = replace(classifier, model=replace(classifier.model, module=Failing()))
    with pytest.raises(ClassifierError, match="no power"):
        zoom_map(broken, made(3).data[0], (1,), SETTINGS, id="x")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Two pages: with a label that some zooms predict, and without."""
    out = tmp_path_factory.mktemp("zoom")
    classifier, data = classifiers()[0], made(3).data[0]
    plain = zoom_map(classifier, data, (), SETTINGS, id="x")
    common = int(np.bincount(plain.predicted).argmax())
    labelled = zoom_map(classifier, data, (common,), SETTINGS, id="x")
    assert 0 < labelled.right.sum() < 36
    write_zoom_page(out / "labelled.html", labelled, classifier.model.spec, "<b>x</b>.jpg")
    write_zoom_page(out / "plain.html", plain, classifier.model.spec, "x.jpg")
    return out


@pytest.mark.parametrize("name", ["labelled", "plain"])
def test_the_page_in_a_browser(pages, visit, name):
    """The map, the pictures and the keys work; no request, complaint or overflow; axe is content."""
    for options in ({}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = visit(pages, **options).open(f"{name}.html")
        page.wait_for_selector("body[data-ready]")
        assert page.locator(".map button").count() == 36
        assert (page.locator(".map .right").count() > 0) == (name == "labelled")
        assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        before = page.locator("#chosen figcaption").inner_text()
        assert before == page.locator(".map .best").get_attribute("aria-label")
        page.locator("#z0").click()
        page.keyboard.press("ArrowDown")
        narrow = "viewport" in options
        chosen = page.locator(f"#z{9 if narrow else 1}")
        assert chosen.get_attribute("aria-pressed") == "true"
        assert page.locator("#chosen figcaption").inner_text() == chosen.get_attribute("aria-label")
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'best-practice']})")
        assert [v["id"] for v in found["violations"]] == []


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "x.jpg").write_bytes(made(3).data[0])
    return tmp_path / "x.jpg"


def zoom(*arguments: object) -> int:
    return run(group, ["zoom", *map(str, arguments)], "imagenet-hard")


@pytest.mark.usefixtures("small_networks")
def test_the_command(image, tmp_path, capsys):
    """A page, and all that it says as JSON."""
    out = tmp_path / "page.html"
    args = (image, "-m", "efficientnet_lite0", "--size", 32, "--label", "tench", "--out", out)
    assert zoom(*args, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["labels"], len(value["zooms"])) == ([0], len(ZoomGrid.for_size(32)))
    assert value["zooms"][0].keys() == {"scale", "row", "column", "predicted", "confidence", "right"}
    assert "whose label is tench" in out.read_text()


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"image": "none.jpg"}, 1, "none.jpg: it is not there"),
        ({"image": "."}, 1, "it is a folder"),
        ({"image": "page.txt"}, 1, "image 'page.txt' cannot be decoded"),
        ({"--label": "catfish soup"}, 2, "--label: 'catfish soup' is no class"),
        ({"--label": "1000"}, 2, "--label: 1000; expected an index of 0 to 999"),
        ({"--label": "crane"}, 2, "is the name of 2 classes: give the wnid"),
        ({"--out": "page.txt"}, 2, "expected the name of an .html file"),
        ({"--model": "efficientnet_lite99"}, 2, "efficientnet_lite99"),
    ],
)
def test_wrong_input_is_named(image, tmp_path, capsys, monkeypatch, change, code, message):
    """And no page is written."""
    monkeypatch.chdir(tmp_path)
    Path("page.txt").write_text("no image")
    given = {
        "image": "x.jpg",
        "--model": "efficientnet_lite0",
        "--label": "0",
        "--out": "page.html",
        **change,
    }
    first, *rest = (v if k == "image" else (k, v) for k, v in given.items())
    assert zoom(first, *(each for pair in rest for each in pair)) == code
    assert message in capsys.readouterr().err
    assert not Path("page.html").exists()
