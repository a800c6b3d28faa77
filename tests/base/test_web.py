"""What all pages share: templates, inlined scripts and styles, libraries that are what they were."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

import tests.leaderboard.site as site_tests
from imagenet_hard.base.web import Inline, static_files, static_text, style_with_font, vendored


@pytest.mark.parametrize(
    "package", ["imagenet_hard.base", "imagenet_hard.leaderboard.site", "imagenet_hard.study"]
)
def test_static_code_names_no_other_host(package: str) -> None:
    """Our scripts and styles load nothing: no address besides XML namespaces."""
    read = {name: data for name, data in static_files(package) if name.endswith((".js", ".css"))}
    own = [data.decode() for name, data in read.items() if not name.startswith("vendor/")]
    assert own
    for text in own:
        assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_an_inline_script_is_allowed_by_its_hash() -> None:
    """The source of a security policy; the value is openssl's."""
    assert Inline("alert(1)").source == "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"


def test_the_style_carries_its_font() -> None:
    """Nothing is fetched: the font's address is its bytes."""
    assert "archivo.woff2" in static_text("css/site.css")
    assert not re.search(r"url\((?!['\"]?data:)", style_with_font())


@pytest.mark.parametrize("where", ["package", "tests"])
def test_vendored_files_are_what_they_were(where: str) -> None:
    """Bundled files and licences have the recorded hashes; no file is there without a record."""
    own = Path(str(files("imagenet_hard.base") / "static"))
    folder = (own if where == "package" else Path(site_tests.__file__).parent) / "vendor"
    listed = json.loads((folder / "vendor.json").read_text())
    for item in listed:
        for file, digest in ((item["file"], item["sha256"]), (item["licence_file"], item["licence_sha256"])):
            assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest, file
    known = {item[key] for item in listed for key in ("file", "licence_file")} | {"vendor.json"}
    assert {path.name for path in folder.iterdir()} == known
    if where == "package":
        assert sum(path.stat().st_size for path in folder.iterdir()) < 1.2 * 2**20
        assert {item["licence"] for item in vendored()} <= {"ISC", "MIT", "OFL-1.1", "Apache-2.0"}
