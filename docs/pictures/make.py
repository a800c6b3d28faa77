"""Make the pictures of the docs again: real runs, on images that their owners gave to everybody.

    python docs/pictures/make.py [zoom] [study] [review] [board]

The photographs are scikit-image's "chelsea" and "coffee" (CC0) and "rocket" (public domain). The board shows
results on the sample, whose images are ImageNet's: none is in the picture.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import skimage.data
from playwright.sync_api import sync_playwright

from imagenet_hard.imagenet.classes import wnids

HERE = Path(__file__).parent
PHOTOGRAPHS = Path(skimage.data.__file__).parent
COMMAND = [sys.executable, "-m", "imagenet_hard.cli.main"]
EGYPTIAN_CAT, PERSIAN_CAT, SPACE_SHUTTLE, ESPRESSO = 285, 283, 812, 967
PORT = 7861

RECIPE = """\
name: photographs
version: 1.0.0
sources:
  - {{variant: imagenet, name: photographs, path: photographs, licence: CC0}}
classifiers: {classifiers}
{more}
output:
  name: photographs
  title: Photographs
"""


def run(folder: Path, *arguments: str) -> None:
    subprocess.run([*COMMAND, *arguments], cwd=folder, check=True)


def lay_out(folder: Path, labels: Mapping[str, int], classifiers: str, more: str = "") -> list[str]:
    """The photographs in class folders and a recipe; the options that name them."""
    for name, label in labels.items():
        place = folder / "photographs" / wnids()[label]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(PHOTOGRAPHS / name, place)
    (folder / "recipe.yaml").write_text(RECIPE.format(classifiers=classifiers, more=more))
    return ["--recipe", "recipe.yaml", "--data", "."]


def zoom(page: Any, folder: Path) -> None:
    """The map of ``imagenet-hard zoom``."""
    options = ["--model", "efficientnet_lite0", "--label", str(EGYPTIAN_CAT), "--out", "zoom.html"]
    run(folder, "zoom", str(PHOTOGRAPHS / "chelsea.png"), *options)
    page.goto((folder / "zoom.html").as_uri())
    page.locator("div.map").screenshot(path=HERE / "zoom-map.png")


def study(page: Any, folder: Path) -> None:
    """Two parts of the study's report."""
    labels = {"chelsea.png": EGYPTIAN_CAT, "coffee.png": ESPRESSO, "rocket.jpg": SPACE_SHUTTLE}
    options = lay_out(folder, labels, "[{model: efficientnet_lite0}, {model: efficientnet_lite2}]")
    run(folder, "study", "run", *options)
    run(folder, "study", "report", *options)
    page.goto((folder / "studies" / "photographs" / "report" / "index.html").as_uri())
    for part in ("scales", "gallery"):
        page.locator(f"#{part}").screenshot(path=HERE / f"study-{part}.png")


def review(page: Any, folder: Path) -> None:
    """The page on which reviewers decide, with an image whose label is wrong."""
    labels = {"chelsea.png": PERSIAN_CAT, "coffee.png": ESPRESSO, "rocket.jpg": SPACE_SHUTTLE}
    options = lay_out(folder, labels, "[{model: efficientnet_lite0}]", "scales: [224, 256, 320]")
    run(folder, "curate", "score", *options)
    with reviewing(folder, options) as address:
        page.goto(address)
        page.wait_for_function("[...document.images].some(image => image.naturalWidth > 300)")
        page.screenshot(path=HERE / "review.jpg", quality=85)  # most of it is a photograph


@contextmanager
def reviewing(folder: Path, options: list[str]) -> Any:
    """The review's server while it is needed; its address."""
    asked = ["curate", "review", *options, "--reviewer", "ann", "--no-browser", "--port", str(PORT)]
    with subprocess.Popen([*COMMAND, *asked], cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            next(line for line in server.stderr if str(PORT) in line)
            yield f"http://127.0.0.1:{PORT}"
        finally:
            server.send_signal(signal.SIGINT)


def board(page: Any, folder: Path) -> None:
    """The leaderboard's page of three results."""
    run(folder, "eval", "--suite", "demo", "--dataset", "sample")
    run(folder, "leaderboard", "preview", "results/sample")
    page.goto((folder / "site" / "index.html").as_uri())
    page.set_viewport_size({"width": 1280, "height": 1060})
    page.wait_for_timeout(1000)  # the table is built by a script
    page.screenshot(path=HERE / "board.png")


PICTURES: Mapping[str, Callable[[Any, Path], None]] = {
    "zoom": zoom,
    "study": study,
    "review": review,
    "board": board,
}


def main(names: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in names or PICTURES:
            with tempfile.TemporaryDirectory() as scratch:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                PICTURES[name](page, Path(scratch))
                page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
