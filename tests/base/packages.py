"""Packages as pip leaves them: modules, and metadata with entry points."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages are installed into; what was imported from it is forgotten after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
            del sys.modules[name]


def install(
    site: Path, package: str, modules: Mapping[str, str], points: str, *, group: str, version: str = "1.2"
) -> None:
    """Into the folder ``site``: ``modules``, name -> code; ``points``: lines "name = module:object"."""
    for name, code in modules.items():
        (site / f"{name}.py").write_text(code, encoding="utf-8")
    info = site / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[imagenet_hard.{group}]\n{points}\n")


def code_blocks(page: Path, heading: str) -> dict[str, str]:
    """Of one section of a page: language -> the code block in it, which is the only one."""
    section = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section, f"{page.name} has no section {heading!r}"
    found = dict(block.partition("\n")[::2] for block in section.split("```")[1::2])
    assert len(found) == section.count("```") // 2
    return found
