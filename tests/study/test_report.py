"""The report: tables that agree with the matrix, a page that holds in a real browser."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import tests.leaderboard.site as site_tests
from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.cli.main import group, run
from imagenet_hard.imagenet.zoom import PAPER_SCALES
from imagenet_hard.imagenet.zoom_list import indices, read_zoom_list
from imagenet_hard.study.figures import figures
from imagenet_hard.study.gallery import gallery
from imagenet_hard.study.matrix import Matrix, MatrixInfo
from imagenet_hard.study.report import write_report
from imagenet_hard.study.tables import MEAN, published
from tests.study.small import recipe, sources

AXE = Path(site_tests.__file__).parent / "vendor" / "axe.min.js"


@pytest.fixture(scope="module")
def built(work, matrix, tmp_path_factory):
    """A report with its gallery."""
    out = tmp_path_factory.mktemp("report")
    shown = gallery(recipe(), sources(), work, per_source=3)
    assert shown
    write_report(matrix, figures(matrix), shown, out)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_agree_with_the_matrix(built, matrix):
    """Counts of every table, taken again from the bits."""
    grid = matrix.grid
    for row in rows(built / "accuracy.csv"):
        correct = matrix.correct(row["classifier"], row["source"])
        flags = correct[:, grid.standard] if row["quantity"] == "one_crop" else correct.any(axis=1)
        assert (int(row["n_correct"]), int(row["n_total"])) == (flags.sum(), len(flags))
    for row in rows(built / "anchors.csv"):
        cube = matrix.correct(row["classifier"], row["source"]).reshape(-1, 4, 3, 3)
        assert int(row["n_correct"]) == cube[:, :, int(row["row"]), int(row["column"])].any(axis=1).sum()
    for row in rows(built / "scales.csv"):
        cube = matrix.correct(row["classifier"], row["source"]).reshape(-1, 4, 9)
        here = cube[:, matrix.info.scales.index(int(row["scale"]))]
        flags = here[:, 4] if row["quantity"] == "one_crop" else here.any(axis=1)
        assert int(row["n_correct"]) == flags.sum()
    assert len(rows(built / "groups.csv")) == 2 * 2 * 3 * 2
    solved = {(r["source"], r["classifier"]): int(r["solved"]) for r in rows(built / "covers.csv")}
    assert solved["imagenet", "net0/32"] == matrix.correct("net0/32", "imagenet").any(axis=1).sum()
    assert solved["all", "net1/32"] == matrix.correct("net1/32").any(axis=1).sum()


def test_the_cover_is_a_list_of_zooms(built, matrix):
    """cover.csv is read by what takes lists of zooms, and solves all that is solvable."""
    numbers = indices(read_zoom_list(built / "cover.csv"), matrix.grid)
    for name in matrix.info.classifiers:
        correct = matrix.correct(name)
        np.testing.assert_array_equal(correct[:, numbers].any(axis=1), correct.any(axis=1))


def test_means_are_plain_means_of_the_sources(matrix):
    """Whatever the sources' sizes, as in the paper's group means."""
    found = figures(matrix)
    for mean in found.means:
        mine = [pair.accuracy.best.accuracy for pair in found.pairs if pair.classifier == mean.classifier]
        assert mean.best == pytest.approx(sum(mine) / 2)


def test_published_figures_are_found_by_weights_and_set():
    """ResNet-18's V1 weights have the paper's numbers, other weights none."""
    model = ModelSpec(backend="torchvision", name="resnet18", tag="IMAGENET1K_V1", transform={})
    assert published(model, "imagenet") == {"one_crop": 69.45, "best": 95.15}
    assert published(model, "imagenet-real+original")["best"] == 97.55
    assert published(model, MEAN)["zoom-in alone"] == 16.85
    assert published(model.model_copy(update={"tag": "IMAGENET1K_V2"}), "imagenet") == {}
    clip = ModelSpec(backend="open_clip", name="ViT-L-14", tag="openai", transform={})
    assert published(clip, "objectnet") == {"one_crop": 66.32, "best": 93.13}


def test_published_figures_stand_beside_ours(matrix, tmp_path):
    """In the table and on the page, where the weights are the paper's."""
    spec = ModelSpec(backend="torchvision", name="resnet18", tag="IMAGENET1K_V1", transform={})
    info = matrix.info.model_copy(update={"classifiers": {"net0/32": spec, "net1/32": spec}})
    found = Matrix(info, matrix.bits)
    page = write_report(found, figures(found), [], tmp_path)[0].read_text()
    assert "69.45" in page
    assert "the paper&#39;s mean of seven sets" in page or "the paper's mean of seven sets" in page
    assert rows(tmp_path / "accuracy.csv")[0]["published_percent"] == "69.45"


def test_gallery_shows_what_zooming_turned(work, matrix):
    """Each image is wrong at the standard view of the classifier shown, and right under the zoom shown."""
    labels = {
        id: each
        for source in sources()
        for id, each in zip(source.images.ids, source.images.labels, strict=True)
    }
    shown = gallery(recipe(), sources(), work, per_source=3)
    for each in shown:
        assert each.standard.predicted not in labels[each.id]
        assert each.zoomed.predicted in labels[each.id]
        assert each.whole.startswith("data:image/jpeg;base64,")
    assert [each.source for each in shown] == sorted(each.source for each in shown)


def test_gallery_refuses_images_that_changed(work):
    """The pictures are those that were scored, or there are none."""
    swapped = sources()
    old = swapped[0].images
    other = type(old)(old.about, old.ids, old.labels, old.origins, lambda i: old[i - 1].image)
    with pytest.raises(DatasetError, match="has changed since it was scored"):
        gallery(recipe(), [type(swapped[0])(swapped[0].spec, other, None), swapped[1]], work)


def test_the_page_in_a_browser(built, visit):
    """Charts and pictures show; nothing is requested, complains or overflows; axe is content."""
    for options in ({}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = visit(built, **options).open("index.html")
        page.wait_for_selector("body[data-ready]")
        assert page.locator("svg.plot").count() == 3
        assert page.locator(".heat text").count() == 4 * 9
        assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
        assert page.locator(".shown li").count() >= 2
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#cover-chart svg.plot").bounding_box()["height"] > 150
        page.evaluate(AXE.read_text())
        rules = {"runOnly": ["wcag2a", "wcag2aa", "best-practice"], "resultTypes": ["violations"]}
        found = page.evaluate("rules => axe.run(document, rules)", rules)
        assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found["violations"]] == []


def synthetic(scales: tuple[int, ...], share: float, info: MatrixInfo) -> Matrix:
    """Both classifiers right on a share of the views, and on the first view of every image."""
    info = info.model_copy(update={"scales": scales})
    right = np.random.default_rng(0).random((2, info.n_images, info.n_zooms)) < share
    right[:, :, 0] = True
    return Matrix(info, np.packbits(right, axis=2))


@pytest.mark.parametrize(
    ("scales", "share", "ticks"),
    [
        (PAPER_SCALES, 0.01, ["16", "32", "64", "128", "256", "512", "1024"]),
        ((224, 256, 320), 0.1, ["224", "256", "320"]),
        ((256,), 0.0, ["256"]),
        ((256, 260, 264, 512), 0.3, ["256", "512"]),
    ],
)
def test_ticks_are_whole_and_none_repeats_or_is_blank(scales, share, ticks, matrix, tmp_path, visit):
    """Whatever the grid, and however few zooms make a cover; Plot has nothing to warn of."""
    found = synthetic(scales, share, matrix.info)
    write_report(found, figures(found), [], tmp_path)
    page = visit(tmp_path).open("index.html")
    page.wait_for_selector("body[data-ready]")
    texts = "svg => [...svg.querySelectorAll('text')].map(text => text.textContent)"
    *charts, cover = [svg.evaluate(texts) for svg in page.locator("svg.plot").all()]
    percent = [str(p) for p in range(0, 101, 20)]
    for chart in charts:
        assert chart == [*percent, "↑ Accuracy, %", *ticks, "Scale (shorter side, pixels) →"]
    zooms = cover[cover.index("↑ Solved, % of the solvable") + 1 : cover.index("Zooms →")]
    assert cover[-1] == "Zooms →"
    assert [int(tick) for tick in zooms] == sorted({int(tick) for tick in zooms})
    assert zooms[0] == "1"
    assert [tick for tick in cover if tick.isdecimal()][:11] == [str(p) for p in range(0, 101, 10)]


def test_all_maps_share_one_scale_of_colours(matrix, tmp_path):
    """From 0 to 100 %, whatever a source's own range; the legend says so."""
    page = write_report(matrix, figures(matrix), [], tmp_path)[0].read_text()
    cells = re.findall(r'<rect [^>]*fill-opacity="([0-9.]+)"/><text[^>]*>([0-9.]+)</text>', page)
    assert len(cells) == 4 * 9
    for opacity, percent in cells:
        assert float(opacity) == pytest.approx(0.06 + 0.44 * float(percent) / 100, abs=1e-3)
    legend = page[page.index("Colours of the maps") :]
    assert re.findall(r"<text[^>]*>([^<]+)</text>", legend)[:5] == ["0", "25", "50", "75", "100 %"]
    assert re.findall(r'stop-opacity="([0-9.]+)"', legend) == ["0.06", "0.5"]


def test_the_theme_can_be_changed(built, visit):
    """By its button, charts included."""
    page = visit(built, color_scheme="light").open("index.html")
    before = page.inner_html("#cover-chart")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.inner_html("#cover-chart") != before


def test_hostile_names_do_nothing(matrix, tmp_path, visit):
    """Scripts in ids and names are text: the page's policy and its escaping both hold."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    images = matrix.info.images[0].model_copy(update={"source": evil})
    info = matrix.info.model_copy(
        update={"recipe": evil, "images": (images, matrix.info.images[1]), "left_out": {evil: evil}}
    )
    found = Matrix(info, matrix.bits)
    write_report(found, figures(found), [], tmp_path)
    page = visit(tmp_path).open("index.html")
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("h1") == evil
    assert page.locator("main img").count() == 0


def test_report_command(work, tmp_path, capsys, monkeypatch):
    """From a run, and again from its matrix alone; bad combinations end with 2."""
    monkeypatch.setattr("imagenet_hard.curation.recipe.load_recipe", lambda name: recipe())
    assert run(group, ["study", "report", "-r", "tiny", "-w", str(work), "-o", str(tmp_path)], "x") == 0
    assert re.search(r"net1/32.*\n", capsys.readouterr().out)
    first = (tmp_path / "accuracy.csv").read_bytes()
    arguments = ["study", "report", "--matrix", str(tmp_path / "matrix.npz"), "--json"]
    assert run(group, [*arguments, "-o", str(tmp_path / "again")], "x") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [pair["classifier"] for pair in printed["pairs"]] == ["net0/32", "net1/32"] * 2
    assert (tmp_path / "again/accuracy.csv").read_bytes() == first
    assert (tmp_path / "again/matrix.npz").read_bytes() == (tmp_path / "matrix.npz").read_bytes()
    assert run(group, ["study", "report"], "x") == 2
    assert run(group, [*arguments, "--partial"], "x") == 2
    assert "belong to --recipe" in capsys.readouterr().err


def test_run_command_wants_the_standard_view(tmp_path, capsys):
    """Before anything runs, not after hours."""
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: r\nversion: 1.0.0\nscales: [100, 200]\n"
        "sources: [{variant: imagenet, path: x}]\nclassifiers: [{model: resnet18}]\n"
    )
    assert run(group, ["study", "run", "-r", str(path), "-d", str(tmp_path)], "x") == 2
    assert "lack 256" in capsys.readouterr().err


def test_figures_need_a_standard_view(matrix):
    """A matrix without scale 256 has no study."""
    info = matrix.info.model_copy(update={"scales": (140, 224, 250, 336)})
    with pytest.raises(UsageError, match="lack 256"):
        figures(Matrix(info, matrix.bits))
