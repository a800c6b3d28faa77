"""The content folders are found in the wheel or in the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_hard.base import content
from imagenet_hard.base.content import content_dir
from imagenet_hard.base.errors import ImageNetHardError, UsageError


def package(root: Path, *folders: str, checkout: bool) -> Path:
    """A package folder under ``root`` with ``folders`` made beside and inside it."""
    for folder in ("imagenet_hard", *folders):
        (root / folder).mkdir(parents=True)
    if checkout:
        (root / "pyproject.toml").touch()
    return root / "imagenet_hard"


def test_the_checkout_has_its_suites() -> None:
    """From the checkout the top-level folder is found."""
    folder = content_dir("evaluate/suites")
    assert folder.is_dir()
    assert folder.parts[-2:] == ("evaluate", "suites")


def test_the_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package reads what travelled in its wheel."""
    inside = "imagenet_hard/content/evaluate/suites"
    monkeypatch.setattr(content, "_PACKAGE", package(tmp_path, inside, "evaluate/suites", checkout=True))
    assert content_dir("evaluate/suites") == tmp_path / inside


def test_the_checkout_is_the_second_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel's copy the checkout's folder is used."""
    monkeypatch.setattr(content, "_PACKAGE", package(tmp_path, "curation/recipes", checkout=True))
    assert content_dir("curation/recipes") == tmp_path / "curation/recipes"


def test_a_neighbour_in_site_packages_is_no_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face's `evaluate`, installed beside the package, is not taken for ours."""
    monkeypatch.setattr(content, "_PACKAGE", package(tmp_path, "evaluate/suites", checkout=False))
    with pytest.raises(
        ImageNetHardError, match=r"'evaluate/suites' is missing: looked at .*Install the package"
    ):
        content_dir("evaluate/suites")


@pytest.mark.parametrize("kind", ["", "/etc", "../evaluate/suites", "evaluate/../../x"])
def test_a_path_that_leads_out_is_refused(kind: str) -> None:
    """Only relative paths inside the project are content folders."""
    with pytest.raises(UsageError, match="expected a relative path such as 'evaluate/suites'"):
        content_dir(kind)
