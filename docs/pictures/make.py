"""Make the pictures of the docs again: real runs, on an image that its owner gave to everybody.

    python docs/pictures/make.py

The photograph is scikit-image's "chelsea" (CC0); no picture shows it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import skimage.data
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent


def main() -> None:
    """The map of ``imagenet-hard zoom``."""
    photograph = Path(skimage.data.__file__).parent / "chelsea.png"
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        page_file = Path(scratch) / "zoom.html"
        command = [sys.executable, "-m", "imagenet_hard.cli.main", "zoom", str(photograph)]
        options = ["--model", "efficientnet_lite0", "--label", "Egyptian cat", "--out", str(page_file)]
        subprocess.run([*command, *options], check=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.as_uri())
        page.locator("div.map").screenshot(path=HERE / "zoom-map.png")
        browser.close()


if __name__ == "__main__":
    main()
