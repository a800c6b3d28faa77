"""The explorer in headless Chromium, from file://: filters, an image, a class, sets to take along."""

from __future__ import annotations

import csv
import threading
from pathlib import Path

import numpy as np
import pytest

from imagenet_hard.imagenet.classes import names
from imagenet_hard.leaderboard.site.build import build_explorer, server_of
from imagenet_hard.leaderboard.site.data import SiteData
from imagenet_hard.leaderboard.site.data_files import images_data
from imagenet_hard.leaderboard.site.downloads import images_csv
from imagenet_hard.leaderboard.site.explore import Zooms
from imagenet_hard.leaderboard.site.image_set import image_set
from imagenet_hard.leaderboard.site.own_copy import OwnCopy, picture_at
from tests.browser import until
from tests.leaderboard.site.boards import made_up
from tests.leaderboard.site.test_image_set import CASES
from tests.leaderboard.site.test_own_copy import own

PAGE = "explore/made-up.html"
A, B = "lab3__model-11", "lab2__model-10"


@pytest.fixture(scope="module")
def board():
    """The one that is built."""
    return made_up()


def ids(board, text):
    """The images that the command takes it to mean."""
    return [board.image_ids[i] for i in image_set(board, images_data(board), text)]


def shown(page):
    return page.locator("#table tbody th").all_inner_texts()


def saved(page, button):
    with page.expect_download() as got:
        page.click(button)
    return Path(got.value.path()).read_text()


def test_the_page_and_the_command_mean_the_same_images(board, built, visit):
    """Every text of the command's tests, in every order: the same ids and the same CSV from both."""
    watched = visit(built)
    images = images_data(board)
    orders = [f"right=0-50&sort={sort}" for sort in ("hard", "easy", "agree", "doubt", "id")]
    # No entry here is without a class; the page knows no wnids.
    texts = [each for each in CASES if "none:" not in each and "n0" not in each]
    for text in [*texts, *orders, "class=5&origin=ObjectNet&labels=3"]:
        text = "&".join(part for part in text.split("&") if not part.startswith(("image=", "of=")))
        if text in ("", "labels=2"):  # an address that is opened, and others that are changed to
            page = watched.open("submit.html")
            page = watched.open(f"{PAGE}#{text}")
        else:
            page.evaluate("text => { count.textContent = ''; location.hash = text }", text)
            until(page, "count.textContent")  # which is written when the images are chosen
        assert saved(page, "#save-ids").split() == ids(board, text), text
        assert saved(page, "#save-csv") == images_csv(images, image_set(board, images, text)), text


def test_what_means_nothing_to_the_command_means_nothing_to_the_page(built, visit):
    """A name of two classes, and a range of three numbers."""
    watched = visit(built)
    for text in ("class=missile", "other=sunglasses", "right=0-10-x"):
        page = watched.open(f"{PAGE}#{text}")
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert f"The address says {text}, which means nothing here" in page.inner_text("#count")


def test_filters_by_the_keyboard(board, built, visit):
    """Controls write the address, which says what is shown; Back undoes, Reset ends all."""
    page = visit(built).open(PAGE)
    assert page.inner_text("#count") == "600 images"
    page.focus("#origin")
    page.keyboard.type("ObjectNet")
    page.keyboard.press("Tab")
    until(page, "location.hash === '#origin=ObjectNet'")
    page.focus("#a")
    page.keyboard.type("1. Model 11")
    until(page, "location.hash.includes('who')")
    page.focus("#b")
    page.keyboard.type("2. Model 10")
    page.focus("#b-is")
    page.keyboard.type("wrong")
    until(page, "location.hash.includes('wrong')")
    expected = ids(board, f"origin=ObjectNet&who=right:{A},wrong:{B}")
    until(page, f"document.getElementById('count').textContent === '{len(expected)} of 600 images'")
    assert shown(page) == expected
    assert page.get_attribute("#count", "aria-live") == "polite"
    page.go_back()
    until(page, "!location.hash.includes('wrong')")
    page.locator("button[type=reset]").press("Enter")
    until(page, "document.getElementById('count').textContent === '600 images'")
    assert page.evaluate("location.hash") == ""


def test_more_images_are_shown_on_demand(board, built, visit):
    page = visit(built).open(PAGE)
    assert shown(page) == ids(board, "")[:100]
    page.locator("#more button").press("Enter")
    assert shown(page) == ids(board, "")


def test_what_means_nothing_is_said(built, visit):
    """A hand-written address is not taken for another."""
    page = visit(built).open(f"{PAGE}#origin=Mars&class=unicorn&image=nobody&who=right:nobody")
    text = page.inner_text("#count")
    assert text.startswith("600 images. The address says origin=Mars, class=unicorn, ")
    assert "who=right:nobody" in text
    assert "image=nobody" in text


def test_an_image(board, built, visit):
    """Its labels, what everybody answers, and a way on through the chosen images by the keyboard."""
    page = visit(built).open(f"{PAGE}#labels=2")
    first, second = ids(board, "labels=2")[:2]
    page.locator("#table tbody th a").first.press("Enter")
    page.wait_for_selector("#image:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "image-title"
    assert page.inner_text("#image-title") == f"Image {first}"
    assert page.title() == f"Image {first}, Explore Made up"
    i = board.image_ids.index(first)
    text = page.inner_text("#image dl")
    assert all(names()[c] in text for c in board.labels[i])
    assert f"{board.solved_by[i]} of 12 entries" in text
    rows = [
        row.split("\t") for row in page.locator("[aria-label='Who answers what'] tbody tr").all_inner_texts()
    ]
    assert [row[:3] for row in rows] == [
        [str(e.rank.place), e.name, names()[board.predicted[k, i]]] for k, e in enumerate(board.entries)
    ]
    assert [row[4] for row in rows] == ["yes" if right else "no" for right in board.correct[:, i]]
    counts = [
        row.split("\t")[1]
        for row in page.locator("[aria-label='What is answered'] tbody tr").all_inner_texts()
    ]
    assert sum(map(int, counts)) == 12
    alike = page.locator("[aria-label='Answered most alike'] tbody tr").first.inner_text().split("\t")
    j = board.image_ids.index(alike[0])
    assert alike[2] == f"{(board.predicted[:, i] == board.predicted[:, j]).sum()} of 12"
    page.locator("#image .crumb a", has_text="Next").press("Enter")
    until(page, f"document.getElementById('image-title').textContent === 'Image {second}'")
    page.go_back()
    page.go_back()
    page.wait_for_selector("#list:not([hidden])")


def test_a_class(board, built, visit):
    """Confusions as a plain count has them; hardest and easiest images; a link to all of them."""
    page = visit(built).open(f"{PAGE}#of=5")
    own = [i for i in range(board.n) if 5 in board.labels[i]]
    wrong = board.predicted[:, own][~board.correct[:, own]]
    classes, counts = np.unique(wrong, return_counts=True)
    expected = sorted(zip((-counts).tolist(), classes.tolist(), strict=True))
    rows = [row.split("\t") for row in page.locator("[aria-label='Taken for'] tbody tr").all_inner_texts()]
    assert rows == [[names()[c], str(-k), f"{-100 * k / (12 * len(own)):.1f}"] for k, c in expected]
    hardest = page.locator("[aria-label='Hardest images'] tbody th").all_inner_texts()
    assert hardest == ids(board, "class=5")[:8]
    page.locator("[aria-label='Taken for'] a").first.press("Enter")
    until(page, "document.getElementById('class-title').textContent.includes('class 50')")
    taken = [
        row.split("\t")[0]
        for row in page.locator("[aria-label='What is taken for it'] tbody tr").all_inner_texts()
    ]
    assert len(taken) == 12
    page.go_back()
    page.locator("#class-view dl a").first.press("Enter")
    page.wait_for_selector("#list:not([hidden])")
    assert page.inner_text("#count") == f"{len(own)} of 600 images"


def test_pictures_and_zooms_on_this_machine(board, tmp_path, browser):
    """The command's page: pictures of one's own copy, zooms of a study, nothing from elsewhere."""
    solved = np.zeros((1, 18), np.bool_)
    solved[0, [4, 9]] = True
    first, second = ids(board, "")[:2]
    zooms = Zooms(("CLIP",), (224, 256), {first: solved})
    copies = {board.slug: OwnCopy(board, own(board))}
    build_explorer(SiteData((board,)), tmp_path / "site", zooms=zooms, pictures=copies)
    with server_of(tmp_path / "site", 0, lambda path: picture_at(copies, path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        context = browser.new_context(bypass_csp=False)
        page = context.new_page()
        asked, wrong = [], []
        page.on("request", lambda r: asked.append(r.url))
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            page.goto(f"{address}/index.html")
            page.wait_for_selector("body[data-ready]")
            until(page, "document.querySelector('#table img').naturalWidth === 144")
            page.locator("#table tbody th a").first.click()
            until(page, "document.querySelector('#image img')?.naturalWidth === 300")
            assert page.get_attribute("#image img", "alt") == f"Image {first}"
            text = page.inner_text("#image")
            assert "CLIP: 2 of 18 zooms are right" in text
            assert "scale 224 middle, scale 256 top left." in text
            assert page.locator("#image .zoom-right").count() == 2
            page.locator("#image .crumb a", has_text="Next").click()
            until(page, f"document.getElementById('image-title').textContent === 'Image {second}'")
            assert "The study has not tried this image." in page.inner_text("#image")
            page.goto(f"{address}/explore/made-up.html#image={first}")
            until(page, "document.querySelector('#image img')?.naturalWidth === 300")
        finally:
            context.close()
            server.shutdown()
            thread.join()
    assert wrong == []
    assert all(url.startswith(f"{address}/") for url in asked)


def test_without_javascript(built, browser):
    """The page says what it needs, and where the images are without it."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / PAGE).as_uri())
    assert "The explorer needs JavaScript" in page.inner_text("noscript")
    assert not page.is_visible("#tools")
    href = page.get_attribute("noscript a", "href")
    rows = list(csv.DictReader((built / "explore" / href).read_text().splitlines()))
    assert len(rows) == 600
    context.close()
