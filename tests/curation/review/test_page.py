"""The page in a real browser: what a reviewer sees, presses and types, and what lands in the CSV."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.curation.review.controller import Controller
from imagenet_hard.curation.review.decisions import DecisionRow, read_decisions
from imagenet_hard.curation.review.page import serve
from imagenet_hard.curation.review.pictures import Pictures
from imagenet_hard.curation.review.session import ReviewSession
from tests.browser import KeptPages, until
from tests.curation.review.survivors import RECIPE, free_port, open_source, survivors
from tests.dataset.images import encoded, picture

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
if find_spec("gradio") is None:  # not imported: that takes seconds, of every process that collects tests
    pytest.skip("the page needs the extra `review`", allow_module_level=True)
EVIL = "<img src=x onerror=alert(1)>${alert(2)}{{alert(3)}}'\"\u202e"
NAMES = ("one.jpg", "two.jpg", "three.jpg", f"{EVIL}.jpg")


def make_desk(csv: Path, data: list[bytes], said: dict[str, list[DecisionRow]] | None = None) -> Controller:
    """Four images of one source, two of another."""
    sources = [
        open_source(RECIPE.sources[0], NAMES, data[:4]),
        open_source(RECIPE.sources[1], ("s1.jpg", "s2.jpg"), data[4:]),
    ]
    found = [survivor for source in sources for survivor in survivors(source)]
    return Controller(ReviewSession(found, csv, "ann"), Pictures(sources, RECIPE, found), said)


@pytest.fixture
def data() -> list[bytes]:
    return [encoded(picture(i, (320, 240)), "JPEG") for i in range(6)]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "ann.csv"


@contextmanager
def opened(pages: KeptPages, controller: Controller, **options: Any) -> Iterator[Any]:
    """A page of a running server; whatever it asks of other machines or logs as an error fails the test."""
    running = serve(controller, free_port())
    requests, problems = list[str](), list[str]()
    heard = {
        "request": lambda request: requests.append(request.url),
        "console": lambda m: problems.append(m.text) if m.type in ("error", "warning") else None,
        "pageerror": lambda error: problems.append(str(error)),
        "dialog": lambda dialog: (problems.append(dialog.message), dialog.dismiss()),
    }
    try:
        with pages.page(**options) as page:
            page.set_default_timeout(20_000)
            for event, listener in heard.items():
                page.on(event, listener)
            page.goto(running.url)
            page.wait_for_selector("#figure[data-id]")
            page.wait_for_selector("#keep")
            yield page
            assert not problems
            assert requests
            assert [url for url in requests if not url.startswith((running.url, "data:", "blob:"))] == []
            for event, listener in heard.items():
                page.remove_listener(event, listener)
    finally:
        running.close()


def stamp(page: Any) -> int:
    return int(page.locator("#answer").get_attribute("data-stamp"))


def answered(page: Any, act: Callable[[], object]) -> str:
    """Do something that the page answers; what it says."""
    before = stamp(page)
    act()
    until(page, f"Number(document.querySelector('#answer').dataset.stamp) > {before}")
    return str(page.locator("#answer").inner_text())


def press(page: Any, key: str) -> str:
    return answered(page, lambda: page.keyboard.press(key))


def shows(page: Any, id: str) -> None:
    """The image shown is, or soon becomes, this one: parts of the page follow the answer one by one."""
    sync_api.expect(page.locator("#figure")).to_have_attribute("data-id", id, timeout=20_000)


def says(page: Any, place: str, text: str) -> None:
    """A part of the page holds this text, or soon does."""
    sync_api.expect(page.locator(place)).to_contain_text(text, timeout=20_000)


def said(csv: Path) -> list[str]:
    return [f"{row.id.rpartition('/')[2]} {row} {row.reason}".strip() for row in read_decisions(csv)]


def test_keys_decide_and_land_in_the_csv(kept_pages, csv, data):
    """k, reason and d, u, arrows and j; each on disk when the page goes on."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        assert page.evaluate("document.querySelector('#figure img').naturalWidth") == 320
        assert page.locator("#views li").count() == 11
        assert press(page, "k") == "imagenet/one.jpg is kept."
        assert said(csv) == ["one.jpg keep"]
        page.keyboard.press("3")
        assert press(page, "d") == "imagenet/two.jpg is dropped (ambiguous)."
        shows(page, "imagenet/three.jpg")
        assert press(page, "d") == "imagenet/three.jpg is dropped (no label fits)."
        assert press(page, "u") == "imagenet/three.jpg is undecided again."
        shows(page, "imagenet/three.jpg")
        press(page, "ArrowLeft")
        shows(page, "imagenet/two.jpg")
        says(page, "#facts", "ambiguous")
        press(page, "ArrowRight")
        press(page, "j")
        assert page.locator("#head li").all_inner_texts() == [
            *("1 kept", "1 dropped", "0 relabelled", "4 undecided"),
        ]
    assert said(csv) == [
        "one.jpg keep",
        "two.jpg drop ambiguous",
        "three.jpg drop no label fits",
        "three.jpg undecided",
    ]


def test_typing_is_not_deciding(kept_pages, csv, data):
    """Letters go into the field; after Esc they are keys again; the note is saved with the decision."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        page.keyboard.press("n")
        page.keyboard.type("kdu junk")
        assert page.locator("#note textarea").input_value() == "kdu junk"
        page.locator("#jump").locator("input, textarea").first.fill("")
        page.locator("#jump").locator("input, textarea").first.press_sequentially("ddk")
        page.keyboard.press("Escape")
        assert stamp(page) == 1
        assert not csv.exists()
        assert press(page, "d") == "imagenet/one.jpg is dropped (no label fits: kdu junk)."
        assert page.locator("#note textarea").input_value() == ""


def test_labels_are_searched_and_saved(kept_pages, csv, data):
    """By name, wnid and index; Enter with nothing typed chooses nothing; Ctrl+Enter saves."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        for search in ("tiger sh", "n01443537", "#999"):
            page.keyboard.press("l")
            page.keyboard.type(search)
            page.wait_for_timeout(200)
            page.keyboard.press("Enter")
            page.keyboard.press("Enter")
            page.wait_for_timeout(200)
            page.keyboard.press("Escape")
        page.keyboard.press("l")
        assert "relabelled: tench, goldfish, tiger shark, toilet paper." in press(page, "Control+Enter")
        assert said(csv) == ["one.jpg relabel 0 1 3 999"]
        assert "these are the labels" in answered(page, lambda: page.locator("#relabel").click())
        page.wait_for_timeout(200)
        shows(page, "imagenet/two.jpg")
        press(page, "ArrowLeft")
        says(page, "#facts", "tiger shark")


def test_a_restart_continues(kept_pages, csv, data):
    """Another server on the same file shows the next image."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        press(page, "k")
        press(page, "k")
    with opened(kept_pages, make_desk(csv, data)) as page:
        shows(page, "imagenet/three.jpg")
        assert page.locator("#head li").first.inner_text() == "2 kept"


def test_a_hammered_key_decides_only_what_was_seen(kept_pages, csv, data):
    """Keys before the answer, held keys and double clicks act once."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        send = """([keys, repeat]) => {
            for (const key of keys)
                document.body.dispatchEvent(new KeyboardEvent("keydown", {key, repeat, bubbles: true}))
        }"""
        answered(page, lambda: page.evaluate(send, ["kkdkk", False]))
        page.wait_for_timeout(600)
        assert said(csv) == ["one.jpg keep"]
        page.evaluate(send, ["kk", True])
        page.wait_for_timeout(300)
        answered(page, lambda: page.locator("#keep").dblclick())
        page.wait_for_timeout(600)
        assert said(csv) == ["one.jpg keep", "two.jpg keep"]


def test_hostile_ids_are_only_text(kept_pages, csv, data):
    """Markup and templates in an id are shown, not run; the invisible is shown as its code."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        page.locator("#jump").locator("input, textarea").first.fill("onerror")
        answered(page, lambda: page.keyboard.press("Enter"))
        caption = page.locator("#figure .id").inner_text()
        assert caption == f"imagenet/{NAMES[3]}".replace("\u202e", "\\u202e")
        page.keyboard.press("Escape")
        assert "<img src=x" in press(page, "k")
        page.wait_for_timeout(200)
        assert page.locator("img[src=x]").count() == 0
    assert read_decisions(csv)[0].id == f"imagenet/{NAMES[3]}"


def test_filters_and_jump(kept_pages, csv, data):
    """By source, by undecided, by a part of the id; the numbers tell where one is."""
    with opened(kept_pages, make_desk(csv, data)) as page:
        press(page, "k")
        press(page, "ArrowLeft")
        answered(page, lambda: page.locator("#undecided input").click())
        shows(page, "imagenet/two.jpg")
        says(page, "#figure figcaption", "1 of 5")
        page.get_by_label("Source").click()
        answered(page, lambda: page.get_by_role("option", name="imagenet-sketch").click())
        shows(page, "imagenet-sketch/s1.jpg")
        press(page, "k")
        shows(page, "imagenet-sketch/s2.jpg")
        assert "3 are undecided" in press(page, "k")
        says(page, "#figure figcaption", "outside the filter (0 match)")
        page.get_by_label("Source").click()
        answered(page, lambda: page.get_by_role("option", name="imagenet-sketch").click())
        says(page, "#figure", "No image matches the filter.")
        page.keyboard.press("Escape")
        assert "there is no image" in press(page, "k")
        page.locator("#jump").locator("input, textarea").first.fill("nowhere")
        assert "No image has an id with" in answered(page, lambda: page.keyboard.press("Enter"))


def test_what_others_said_is_shown_only_where_it_is_asked_for(kept_pages, csv, data):
    """For the one who settles conflicts."""
    controller = make_desk(csv, data)
    row = controller.session.decide("imagenet/two.jpg", "drop", "duplicate")
    with opened(kept_pages, make_desk(csv.with_name("x.csv"), data, {"imagenet/one.jpg": [row]})) as page:
        assert "REVIEWERS DIFFER" in page.locator("#facts").inner_text().upper()
        press(page, "j")
        assert "DIFFER" not in page.locator("#facts").inner_text().upper()


def test_an_image_that_changed_is_shown_as_such_and_not_decided(kept_pages, csv, data):
    """The message stands in its place."""
    controller = make_desk(csv, data)
    data[0] = data[5]
    changed = Pictures(
        [
            open_source(RECIPE.sources[0], NAMES, data[:4]),
            open_source(RECIPE.sources[1], ("s1.jpg", "s2.jpg"), data[4:]),
        ],
        RECIPE,
        list(controller.session.survivors.values()),
    )
    with opened(kept_pages, Controller(controller.session, changed)) as page:
        says(page, "#figure", "has changed since it was scored")
        assert "has changed since it was scored" in press(page, "k")
        assert not csv.exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all(kept_pages, csv, data, scheme):
    """390 pixels wide: nothing sticks out to the right, a tap decides, and the next image is in sight."""
    size = {"width": 390, "height": 844}
    with opened(
        kept_pages, make_desk(csv, data), viewport=size, has_touch=True, is_mobile=True, color_scheme=scheme
    ) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#relabel").scroll_into_view_if_needed()
        answered(page, lambda: page.locator("#keep").tap())
        assert said(csv) == ["one.jpg keep"]
        until(page, "document.querySelector('#figure').dataset.id === 'imagenet/two.jpg'")
        page.wait_for_timeout(300)
        top = page.evaluate("document.querySelector('#figure').getBoundingClientRect().top")
        assert -1 < top < 400


@pytest.mark.usefixtures("browser")  # Gradio leaves event loops open in a thread that has none
def test_only_this_machine_is_served(csv, data):
    """The loopback and its names; a stranger's host name that leads here gets nothing."""
    running = serve(make_desk(csv, data), free_port())
    try:
        assert running.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(running.url, timeout=10) as answer:
            assert answer.status == 200
        request = urllib.request.Request(running.url, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=10)
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        with pytest.raises(UsageError, match=r"cannot be served on 127.0.0.1:\d+ .*give another --port"):
            serve(make_desk(csv, data), int(running.url.rstrip("/").rpartition(":")[2]))
    finally:
        running.close()


def test_without_gradio_the_message_says_what_to_install(csv, data, monkeypatch):
    """Not a traceback."""
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(
        UsageError, match=r"the review page needs Gradio .*pip install 'imagenet-hard\[review\]'"
    ):
        serve(make_desk(csv, data), free_port())
