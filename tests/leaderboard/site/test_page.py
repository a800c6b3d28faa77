"""The built page in headless Chromium, from file://, as a reader uses it."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from imagenet_hard.evaluation.metrics import Rate
from imagenet_hard.evaluation.result import write_result
from imagenet_hard.leaderboard.corrections import (
    CorrectedGold,
    CorrectedImage,
    Correction,
    PairAgreement,
)
from imagenet_hard.leaderboard.site.build import build_site
from imagenet_hard.leaderboard.site.data import Corrected, Elsewhere, MovedEntry
from imagenet_hard.leaderboard.site.from_results import read_results
from imagenet_hard.leaderboard.stats.moved import Moved
from imagenet_hard.leaderboard.verify.report import Earlier, Report
from imagenet_hard.leaderboard.withdrawn import Withdrawal
from tests.browser import until
from tests.evaluation.scored import make_result, make_scored
from tests.leaderboard.site.boards import imagenet_v2, made_up, report_of, site

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PAGES = (
    "index.html",
    "entries/lab1__model-9.html",
    "images/made-up-none.html",
    "explore/made-up.html",
    "explore/made-up.html#image=img-00007",
    "explore/made-up.html#of=5",
    "submit.html",
    "verification.html",
    "changes.html",
    "licences.html",
)


@pytest.fixture(scope="module")
def eventful(tmp_path_factory):
    """A board on which entries were replaced and withdrawn, of models that stand on a second one too."""
    out, board, big = tmp_path_factory.mktemp("eventful"), made_up(), made_up(m=3, n=90, seed=1)
    before = Earlier(
        entry_sha256="ab" * 32,
        top1=Rate.of(100, 600),
        tier="re-scored",
        when=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    )
    first, *others = board.entries
    elsewhere = Elsewhere(
        id="lab2__model-2__big",
        benchmark="Big",
        fingerprint="cd" * 32,
        top1=Rate.of(9, 90),
        place=1,
        entries=3,
    )
    first = replace(first, earlier=(before,), also_on=(elsewhere,))
    renamed = (replace(e, id=f"{e.id}__big") for e in big.entries)
    gone = Withdrawal(
        entry="lab0__gone",
        entry_sha256="ab" * 32,
        fingerprint="ab" * 32,
        by="github:alice",
        date=dt.date(2026, 2, 1),
        why="scored with the wrong weights",
    )
    big = replace(big, slug="big", title="Big", entries=tuple(renamed))
    data = site(replace(board, entries=(first, *others)), big)
    build_site(replace(data, withdrawn=(gone,), corrected=(corrected(data.boards[0]),)), out)
    return out


def corrected(board):
    """A correction of two images, by which all entries gain a point; its last word is a stranger's."""
    images = [(board.image_ids[0], board.labels[0], (1, 2)), (board.image_ids[1], board.labels[1], ())]
    made = Correction(
        benchmark="made-up",
        fingerprint="ab" * 32,
        corrected="cd" * 32,
        date=dt.date(2026, 3, 1),
        images=tuple(
            CorrectedImage(
                id=id,
                image_sha256="ef" * 32,
                before=before,
                after=after,
                reason="& looked",
                reviewers=("ann", "bob"),
            )
            for id, before, after in images
        ),
        agreement=(PairAgreement(reviewers=("ann", "bob"), n=9, equal=None, kappa=None),),
    )
    entries = [
        MovedEntry(
            e.id,
            e.name,
            Moved(before=Rate.of(100, 600), after=Rate.of(106, 600), difference=0.01, low=0, high=0.02),
            place_before=i,
            place_after=i,
        )
        for i, e in enumerate(board.entries, start=1)
    ]
    return Corrected(board.title, board.slug, CorrectedGold("first-look", made, None, None), tuple(entries))


@pytest.fixture(scope="module")
def previewed(tmp_path_factory):
    """Results of this machine, of two benchmarks, without labels."""
    out = tmp_path_factory.mktemp("preview")
    for n in (80, 40):
        for seed, skill in enumerate((2.0, 9.0, 5.0)):
            scored = make_scored(n, seed, skill)[0]
            result = make_result(scored, name=f"model-{seed}")
            info = result.benchmark.model_copy(update={"fingerprint": f"{n:x}" * 32, "n": n})
            result = result.model_copy(update={"benchmark": info})
            write_result(out / "results" / str(n), result, scored.predictions, stem=f"model-{seed}-{n}")
    build_site(read_results([out / "results"]), out / "site")
    return out / "site"


def names(page):
    """The models in the table, from above."""
    return page.locator("#table tbody tr:visible .col-name a").all_inner_texts()


def test_sorts_by_a_click_and_by_the_keyboard(built, visit):
    """The header's button sorts, says so to a screen reader, and turns the order on a second press."""
    page = visit(built).open("index.html")
    assert names(page)[0] == "Model 11"
    head = page.locator("th[data-key=params]")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page) == [f"Model {i}" for i in range(12)]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == "Model 11"
    assert page.locator("th[data-key=rank]").get_attribute("aria-sort") is None


def test_searches_and_filters(built, visit):
    """Search and each filter leave the rows that fit, and reset brings all back."""
    page = visit(built).open("index.html")
    page.fill("#search", "torchVISION lab2")
    assert names(page) == ["Model 10"]
    assert page.inner_text("#count") == "1 of 12 entries"
    page.fill("#search", "nothing like this")
    assert page.is_visible("#empty")
    page.click("#empty-reset")
    page.locator("#count", has_text=re.compile("^12 entries$")).wait_for()
    page.select_option("#backend", "timm")
    assert names(page) == ["Model 9", "Model 6", "Model 3", "Model 0"]
    page.select_option("#tier", "self-reported")
    assert names(page) == ["Model 3"]
    page.click("button[type=reset]")
    page.locator("#count", has_text=re.compile("^12 entries$")).wait_for()
    page.select_option("#curation", "yes")
    assert names(page) == ["Model 2"]
    page.select_option("#curation", "")
    page.select_option("#size", "200-")
    assert names(page) == ["Model 11", "Model 10", "Model 9"]
    page.select_option("#training", "LAION-2B")
    assert names(page) == ["Model 11"]


def test_columns_can_be_hidden_and_shown(built, visit):
    """The column menu hides a column with its header."""
    page = visit(built).open("index.html")
    assert page.is_visible("th[data-key=o0]")
    page.click(".columns summary")
    page.uncheck(".columns input[value=o0]")
    page.check(".columns input[value=date]")
    assert not page.is_visible("th[data-key=o0]")
    assert page.locator("#table tbody tr").first.get_by_text("2022-12-03").is_visible()


def test_ties_are_marked(built, visit):
    """Pointing at a row marks the entries that it is not told apart from; its range says as much in text."""
    page = visit(built).open("index.html")
    board = made_up()
    i = next(i for i, e in enumerate(board.entries) if e.name == "Model 3")
    row = page.locator("#table tbody tr", has_text="Model 3")
    rank = board.entries[i].rank
    assert (row.locator(".col-rank").inner_text(), rank.place) == ("9", 9)
    assert rank.low < rank.high
    assert row.locator(".col-range .sr").text_content() == f"{rank.low} to {rank.high}"
    row.hover()
    ties = [e.name for j, e in enumerate(board.entries) if j != i and board.tied[i, j]]
    assert ties
    assert page.locator("tr.tie .col-name a").all_inner_texts() == ties
    assert page.inner_text("#ties") == f"Model 3 is not told apart from {', '.join(ties)}."
    page.locator("#table tbody tr", has_text="Model 11").locator(".col-name a").focus()
    assert page.inner_text("#ties").startswith("Model 11 is ")


def test_the_address_keeps_what_is_chosen(built, visit):
    """Search, filter, order, columns, a row: a link leads back to them, Back undoes, Reset ends all."""
    page = visit(built).open("index.html")
    page.select_option("#backend", "timm")
    page.locator("#search").press_sequentially("model")
    page.locator("th[data-key=params] button").click()
    page.click(".columns summary")
    page.uncheck(".columns input[value=tier]")
    page.locator("#table tbody tr", has_text="Model 6").locator(".col-rank a").click()
    chosen = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    columns = chosen.pop("columns").split(",")
    assert chosen == {"backend": "timm", "q": "model", "sort": "params", "entry": "lab2__model-6"}
    assert "tier" not in columns
    assert {"range", "interval", "o0"} <= set(columns)

    def check(page):
        page.mouse.move(0, 0)  # the row under the mouse is the one that is marked
        assert names(page) == ["Model 0", "Model 3", "Model 6", "Model 9"]
        assert page.input_value("#search") == "model"
        assert page.input_value("#backend") == "timm"
        assert page.locator("th[data-key=params]").get_attribute("aria-sort") == "ascending"
        assert not page.is_visible("th[data-key=tier]")
        assert page.locator("tr.tie-self .col-name a").inner_text() == "Model 6"
        assert page.inner_text("#ties") == "Model 6 is told apart from every other entry."

    check(page)
    linked = visit(built).open("index.html" + page.evaluate("location.hash"))
    check(linked)
    assert linked.locator("tr.tie-self").bounding_box()["y"] < linked.viewport_size["height"]
    for _ in range(3):  # the row, the column, the order
        page.go_back()
    assert page.is_visible("th[data-key=tier]")
    assert names(page) == ["Model 9", "Model 6", "Model 3", "Model 0"]
    page.go_back()  # the whole word, not its last letter
    assert (page.input_value("#search"), page.evaluate("location.hash")) == ("", "#backend=timm")
    for _ in range(4):
        page.go_forward()
    check(page)
    page.click("button[type=reset]")
    assert page.evaluate("location.hash") == ""
    assert len(names(page)) == 12
    assert page.locator("th[data-key=rank]").get_attribute("aria-sort") == "ascending"
    assert page.is_visible("th[data-key=tier]")
    assert page.locator("tr.tie-self").count() == 0


def test_an_address_that_means_nothing_is_harmless(built, visit):
    """Unknown entries, columns, orders and filters leave the usual table."""
    page = visit(built).open("index.html#sort=x&backend=%3Cb%3E&columns=none&entry=nobody&size=1&q=")
    assert len(names(page)) == 12
    assert page.locator("th[data-key=rank]").get_attribute("aria-sort") == "ascending"
    assert page.locator("#table thead th:visible").count() == 3  # rank, model, top-1


def test_what_is_shown_as_csv(built, visit):
    """The visible rows and columns in their order, with plain numbers."""
    page = visit(built).open("index.html#backend=timm&sort=params&columns=interval,params,o1")
    with page.expect_download() as got:
        page.click("#save-shown")
    assert got.value.suggested_filename == "made-up-shown.csv"
    rows = list(csv.DictReader(Path(got.value.path()).read_text().splitlines()))
    entries = {e.id: e for e in made_up().entries}
    assert [row["name"] for row in rows] == ["Model 0", "Model 3", "Model 6", "Model 9"]
    origin = made_up().origins[1]
    assert {*rows[0]} == {
        *("rank", "id", "name", "org", "backend", "used_in_curation", "n_correct", "n_total", "top1"),
        *("low", "high", "parameters", f"top1 {origin}"),
    }
    for row in rows:
        e = entries[row["id"]]
        assert float(row["top1"]) == e.top1.accuracy
        assert float(row[f"top1 {origin}"]) == e.origins[origin].accuracy
        assert int(row["parameters"]) == e.parameters
        assert float(row["low"]) == e.top1.low
    text = page.evaluate(
        "imagenetHard.csv({columns: [{key: 'a', fields: ['x']}]}, ['a'], [{x: '=1+1'}, {x: 'a, \"b\"'}])"
    )
    assert text == 'x\n\'=1+1\n"a, ""b"""\n'


def test_the_header_stays_in_sight(tmp_path, visit):
    """In a long table the columns' names are seen at any row, and the table has a caption."""
    build_site(site(made_up(m=40, n=60)), tmp_path)
    page = visit(tmp_path).open("index.html")
    page.locator("#table tbody tr").last.scroll_into_view_if_needed()
    head, frame = (page.locator(each).bounding_box() for each in ("th[data-key=top1]", ".ranks"))
    assert frame["y"] <= head["y"] < frame["y"] + 5
    assert page.locator("#table caption").text_content().startswith("Made up: 40 entries")


def test_charts_show_and_change(built, visit):
    """Every chart is drawn, has a label, and answers to its controls."""
    page = visit(built).open("index.html")
    for chart in ("scaling", "parts", "alike", "images"):
        svg = page.locator(f"#{chart}-chart svg.plot")
        assert svg.get_attribute("role") == "img"
        assert len(svg.get_attribute("aria-label")) > 20
        assert svg.bounding_box()["height"] > 150
    assert page.locator("#scaling-chart circle").count() >= 12
    assert page.locator("#alike-chart svg.plot rect").count() >= 144
    before = page.inner_html("#scaling-chart")
    page.check("input[name=axis][value=date]", force=True)
    assert page.inner_html("#scaling-chart") != before
    page.check("input[name=axis][value=imagenet]", force=True)
    assert "ImageNet top-1 as reported" in page.locator("#scaling-chart svg.plot").get_attribute("aria-label")
    assert "reported of 8 entries" in page.locator("section:has(#scaling) .section-head").inner_text()
    assert page.locator("#scaling-chart circle").count() >= 8
    page.select_option("#pick", "5")
    assert page.locator("#picked li").count() == 5
    page.click("#picked li:first-child button")
    assert page.locator("#picked li").count() == 4
    assert "Model 6" in page.inner_text("#parts-chart figcaption")


def test_entry_page(built, visit):
    """An entry's page shows its numbers, and compares it with another, image by image."""
    watched = visit(built)
    watched.open("index.html")
    page = watched.follow("text=Model 9")
    assert page.inner_text("h1") == "Model 9"
    board = made_up()
    mine = next(i for i, e in enumerate(board.entries) if e.name == "Model 9")
    assert board.entries[mine].top1.n_correct == board.correct[mine].sum()
    assert f"{100 * board.correct[mine].mean():.2f}" in page.inner_text(".facts >> nth=0")
    page.select_option("#rival", label="1. Model 11")
    page.wait_for_selector("h3:has-text('Only Model 11 is right')")
    shown = [int(text.replace(",", "")) for text in page.locator("#flips-result dd b").all_inner_texts()[1:]]
    a, b = board.correct[mine], board.correct[0]
    assert shown == [(a & b).sum(), (a & ~b).sum(), (b & ~a).sum(), (~a & ~b).sum()]
    assert page.locator("#calibration-chart svg circle").count() > 5
    page.fill("#class-search", "goldfish")
    assert page.locator("#class-rows tr").count() == 1


def test_an_entry_is_cited_and_has_a_badge(built, visit):
    """BibTeX with the counts and hashes, and an image with the score, under its whole address."""
    page = visit(built).open("entries/lab1__model-9.html")
    e = next(e for e in made_up().entries if e.name == "Model 9")
    cited = page.inner_text("pre[aria-label=BibTeX]")
    assert cited.startswith("@misc{lab1__model-9,")
    assert "title = {{Model 9} on {Made up}}" in cited
    assert f"Top-1 {100 * e.top1.accuracy:.2f} \\% (95 \\% interval" in cited
    assert f"{e.top1.n_correct} of {e.top1.n_total})" in cited
    assert cited.count("{") == cited.count("}")
    image = page.locator("img[src$='badges/lab1__model-9.svg']")
    assert image.evaluate("image => image.complete && image.naturalWidth > 100")
    svg = ElementTree.parse(built / "badges" / "lab1__model-9.svg").getroot()
    texts = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Made up"
    assert texts[1].startswith(f"{100 * e.top1.accuracy:.2f} % (")
    root = built.as_uri()
    expected = f"[![Made up]({root}/badges/lab1__model-9.svg)]({root}/entries/lab1__model-9.html)"
    assert page.inner_text("#badge-code") == expected


def test_the_changes_are_short(built, visit):
    """A line an entry; what was checked is folded."""
    page = visit(built).open("changes.html")
    assert page.locator("section > ul li").count() == 12
    assert not page.locator("details li").first.is_visible()
    page.click("details summary")
    assert page.locator("details li").all_inner_texts()[0] == "Model 0 score: passed."


def test_the_page_of_corrections(eventful, visit):
    """Entries with their change and places; images with labels by name, and words escaped."""
    watched = visit(eventful)
    watched.open("index.html")
    page = watched.follow("nav a:has-text('Corrections')")
    rows = page.locator("table").first.locator("tbody tr").all_inner_texts()
    assert len(rows) == 12
    assert rows[0].split("\t")[1:] == ["16.67", "17.67", "+1.00", "+0.00 to +2.00", "1", "1"]
    images = page.locator("details table tbody tr").all_inner_texts()
    assert [each.split("\t")[2:] for each in images] == [
        ["goldfish, great white shark", "& looked", "ann, bob"],
        ["taken out", "& looked", "ann, bob"],
    ]


def test_the_changes_of_an_eventful_board(eventful, visit):
    """Replaced and withdrawn entries stand by their days; many entries of one day are folded."""
    page = visit(eventful).open("changes.html")
    text = page.inner_text("main")
    assert "Model 11 on Made up: 16.67\u00a0% before, " in text
    assert "lab0__gone by github:alice: scored with the wrong weights" in text
    headings = page.locator("section:has(h3) :is(h2, h3)").all_inner_texts()
    assert headings == ["2026-02-01", "Withdrawn", "2026-01-02", "Replaced"]
    watched = visit(eventful)
    assert watched.open("entries/lab3__model-11.html").inner_text(".also") == (
        "Also on Big: 10.00\u00a0%, rank 1 of 3."
    )
    assert watched.follow(".also a").url.endswith("entries/lab2__model-2__big.html")


def newcombe(both, only_a, only_b, neither):
    """95 % interval of the difference, by the formulas of Newcombe 1998, section 3, method 10."""
    n = both + only_a + only_b + neither
    a, b, c, d = both, only_a, only_b, neither
    (l1, u1), (l2, u2) = (proportion_confint(k, n, method="wilson") for k in (a + b, a + c))
    p1, p2 = (a + b) / n, (a + c) / n
    product = (a + b) * (c + d) * (a + c) * (b + d)
    cross = a * d - b * c
    phi = 0 if product == 0 else (cross if cross < 0 else max(cross - n / 2, 0)) / product**0.5
    lower = (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2
    upper = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    return (b - c) / n, (b - c) / n - lower**0.5, (b - c) / n + upper**0.5


PAIRS = [
    (60, 20, 12, 8),
    (0, 5, 0, 3),
    (10, 0, 0, 5),
    (7000, 900, 700, 2380),
    (3, 4000, 6900, 80),
    (0, 0, 9, 0),
]


def test_the_statistics_of_a_pair(built, visit):
    """p against scipy and the interval against the published formulas, in the browser."""
    page = visit(built).open("index.html")
    for both, only_a, only_b, neither in PAIRS:
        p = page.evaluate(f"imagenetHard.mcnemar({only_a}, {only_b})")
        assert p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1)
        found = page.evaluate(
            f"imagenetHard.difference({{both: {both}, onlyA: {only_a}, onlyB: {only_b}, neither: {neither}}})"
        )
        assert found == pytest.approx(newcombe(both, only_a, only_b, neither), abs=1e-12)


def test_two_entries_are_compared_and_linked_to(built, visit):
    """The counts of a chosen pair; its address opens it again, and Back leads to the pair before."""
    watched = visit(built)
    page = watched.open("index.html")
    board = made_up()
    a, b = (next(i for i, e in enumerate(board.entries) if e.name == f"Model {k}") for k in (9, 6))
    page.select_option("#compare-a", str(a))
    until(page, "location.hash.includes('lab1__model-9')")
    page.select_option("#compare-b", str(b))
    page.locator("#compare-result dt", has_text="Only Model 6").wait_for()
    assert page.evaluate("location.hash") == "#compare=lab1__model-9,lab2__model-6"
    shown = [
        int(text.replace(",", "")) for text in page.locator("#compare-result dd b").all_inner_texts()[1:]
    ]
    x, y = board.correct[a], board.correct[b]
    assert shown == [(x & y).sum(), (x & ~y).sum(), (y & ~x).sum(), (~x & ~y).sum()]
    difference = 100 * (x.mean() - y.mean())
    assert page.locator("#compare-result dd b").first.inner_text() == f"{difference:+.2f}".replace("-", "−")
    told = "do not tell" if board.tied[a, b] else "tell"
    assert f"the images {told} the two apart" in page.inner_text("#compare-result > p")
    page.click("#compare-swap")
    page.locator("#compare-result dt", has_text="Model 6 minus Model 9").wait_for()
    page.go_back()
    page.locator("#compare-result dt", has_text="Model 9 minus Model 6").wait_for()
    assert page.input_value("#compare-b") == str(b)
    linked = visit(built).open("index.html#compare=lab2__model-6,lab1__model-9")
    assert linked.locator("#compare-result dt").first.inner_text().startswith("Model 6 minus Model 9")
    nobody = visit(built).open("index.html#compare=nobody,lab1__model-9")
    assert nobody.locator("#compare-result dt").first.inner_text().startswith("Model 11 minus Model 10")


def test_image_group_page(built, visit):
    """The images that nobody solves are listed and can be searched."""
    page = visit(built).open("images/made-up-none.html")
    board = made_up()
    unsolved = [i for i, right in zip(board.image_ids, board.correct.any(0), strict=True) if not right]
    assert page.inner_text("#count") == f"{len(unsolved)} images"
    page.fill("#search", unsolved[3])
    assert page.locator("#rows th").all_inner_texts() == [unsolved[3]]


def test_downloads(built, visit):
    """The table comes as CSV and JSON with the same numbers."""
    page = visit(built).open("index.html")
    with page.expect_download() as got:
        page.click(".downloads a:has-text('CSV')")
    rows = list(csv.DictReader(Path(got.value.path()).read_text().splitlines()))
    assert [row["name"] for row in rows] == [f"Model {i}" for i in range(11, -1, -1)]
    href = page.get_attribute(".downloads a:has-text('JSON')", "href")
    entries = json.loads((built / href).read_text())["entries"]
    assert [e["top1"]["n_correct"] for e in entries] == [int(row["n_correct"]) for row in rows]
    assert [e["rank"]["place"] for e in entries] == [int(row["rank"]) for row in rows]


def test_dark_mode_by_system_and_by_choice(built, visit):
    """The system's choice is followed; the button turns it and the next page remembers."""
    watched = visit(built, color_scheme="dark")
    page = watched.open("index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    assert page.get_attribute("html", "data-theme") == "dark"
    page.click("#theme")
    assert page.evaluate(background) != dark
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    watched.open("submit.html")
    assert page.get_attribute("html", "data-theme") == "light"


MORE_PAGES = {
    "eventful": (
        "index.html",
        "entries/lab3__model-11.html",
        "board-big.html",
        "explore/big.html",
        "changes.html",
        "corrections.html",
    ),
    "previewed": (
        "index.html",
        "entries/model-1-80.html",
        "explore/imagenet-hard-50505050.html",
        "changes.html",
        "verification.html",
    ),
}


@pytest.mark.parametrize("which", ["built", *MORE_PAGES])
def test_accessible(which, request, visit):
    """axe-core finds nothing serious or critical: names, roles, headings, contrast in both schemes."""
    watched = visit(request.getfixturevalue(which), color_scheme="light", bypass_csp=True)
    for path in MORE_PAGES.get(which, PAGES):
        page = watched.open(path)
        page.evaluate(AXE)
        assert serious(page) == [], path
        page.emulate_media(color_scheme="dark")  # which changes colours and nothing else
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert serious(page, runOnly=["color-contrast"]) == [], path
        page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("which", ["built", *MORE_PAGES])
def test_a_phone_shows_it_all(which, request, visit):
    """At 390 pixels no page scrolls sideways, and axe-core is as content; in the dark, as colours are those
    of the desktop."""
    watched = visit(request.getfixturevalue(which), color_scheme="dark", bypass_csp=True, **PHONE)
    for path in MORE_PAGES.get(which, PAGES):
        page = watched.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        page.evaluate(AXE)
        assert serious(page) == [], path


RUN = """options => {
    const lesser = axe._audit.rules.filter((rule) => ["minor", "moderate"].includes(rule.impact));
    const rules = Object.fromEntries(lesser.map((rule) => [rule.id, { enabled: false }]));
    return axe.run(document, { rules, ...options });
}"""
"""A rule's impact is that of all its violations: those that are passed over are not looked for."""


def serious(page, **options):
    """What axe-core, which the page has, says of it that is serious or critical."""
    options = {"resultTypes": ["violations"], "preload": False, **options}
    return [
        f"{v['id']} {v['nodes'][0]['html'][:200]} {v['nodes'][0].get('failureSummary')}"
        for v in page.evaluate(RUN, options)["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_axe_can_find_something(built, visit):
    """The same calls do object to a page with faults in it: of form, and of the dark scheme's contrast."""
    page = visit(built, bypass_csp=True, color_scheme="light").open("submit.html")
    page.evaluate(AXE)
    page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<input type=text>')")
    assert [each.split()[0] for each in serious(page)] == ["label"]
    page.add_style_tag(content="@media (prefers-color-scheme: dark) { h1 { color: #222; background: #111 } }")
    assert serious(page, runOnly=["color-contrast"]) == []
    page.emulate_media(color_scheme="dark")
    assert [each.split()[0] for each in serious(page, runOnly=["color-contrast"])] == ["color-contrast"]


def test_keyboard_reaches_the_content_first(built, visit):
    """The first Tab is the skip link, and it leads to the content."""
    page = visit(built).open("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_readable_without_javascript(built, browser):
    """The ranking stands in the page itself."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    assert page.locator("#table tbody tr").count() == 12
    assert not page.is_visible("#tools")
    context.close()


def test_the_policy_stops_inline_scripts(built, browser):
    """The Content-Security-Policy is in force: a script written into the page does not run."""
    context = browser.new_context()
    page = context.new_page()
    page.goto((built / "submit.html").as_uri())
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s); }"
    )
    assert page.evaluate("window.ran") is None
    context.close()


HOSTILE = "<script>window.hit=1</script><img src=x onerror=window.hit=1>'\"&</title>{{7*7}}\u2028</textarea>"


def test_hostile_text_is_inert(tmp_path, visit):
    """Markup in every text field is shown as it was written, and nothing of it runs."""
    fields = (
        "name",
        "org",
        "submitter",
        "training_data",
        "backend",
        "architecture",
        "tag",
        "predictions_sha256",
    )
    board = made_up(m=4, n=60, **dict.fromkeys(fields, HOSTILE))
    data = site(board)
    texts = {"name": HOSTILE, "detail": HOSTILE, "version": HOSTILE}
    check = report_of("re-scored").checks[0].model_copy(update=texts)
    report = Report.model_construct(checks=(check,))

    def spoilt(e):
        link = e.links[0].model_copy(update={"label": HOSTILE})
        model = e.model.model_copy(update={"weights_sha256": HOSTILE, "head": {HOSTILE: HOSTILE}})
        record = e.record.model_copy(update={"links": (link,), "model": model})
        origins = {HOSTILE: e.top1, "b": e.top1}
        return replace(e, record=record, report=report, origins=origins, n_labels={HOSTILE: e.top1})

    entries = tuple(map(spoilt, board.entries))
    hostile = {
        "entries": entries,
        "title": HOSTILE,
        "source": HOSTILE,
        "note": HOSTILE,
        "fingerprint": HOSTILE,
        "image_ids": tuple(f"{i}{HOSTILE}" for i in range(board.n)),
        "image_origins": tuple((HOSTILE, "b")[i % 2] for i in range(board.n)),
    }
    board = type(board)(
        **{name: hostile.get(name, getattr(board, name)) for name in board.__dataclass_fields__}
    )
    published = data.published[0].model_copy(
        update={
            "title": HOSTILE,
            "release": data.published[0].release.model_copy(update={"name": HOSTILE, "date": HOSTILE}),
            "note": HOSTILE,
            "rows": (data.published[0].rows[0].model_copy(update={"model": HOSTILE, "note": HOSTILE}),),
        }
    )
    build_site(type(data)(boards=(board,), published=(published,), version=HOSTILE), tmp_path)
    badge = ElementTree.parse(tmp_path / "badges" / f"{board.entries[0].id}.svg").getroot()
    assert {each.tag.rpartition("}")[2] for each in badge.iter()} == {"svg", "title", "rect", "g", "text"}
    watched = visit(tmp_path)
    entry = f"entries/{board.entries[0].id}.html"
    for path in (
        "index.html",
        entry,
        "images/made-up-none.html",
        "images/made-up-few.html",
        "explore/made-up.html",
        "changes.html",
    ):
        page = watched.open(path)
        assert page.evaluate("window.hit") is None
        assert page.locator("main img:not([src^='../badges/']), main script").count() == 0
        assert "<script>window.hit=1</script>" in page.inner_text("main")


def test_imagenet_v2(shared, tmp_path, visit):
    """67 real models on 10,000 real images: resnet50 is re-scored to 63.33 and can be browsed."""
    build_site(site(imagenet_v2(shared)), tmp_path)
    watched = visit(tmp_path)
    page = watched.open("index.html")
    page.fill("#search", "resnet50")
    row = page.locator("#table tbody tr", has=page.locator("a[href$=imagenetv2__resnet50\\.html]"))
    assert "63.33" in row.inner_text()
    watched.open("entries/imagenetv2__resnet50.html")
    assert "63.33" in page.inner_text(".facts >> nth=0")
