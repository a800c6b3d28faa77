"""Memory, versions, and where the cache and the content folders are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagenet_hard.base import runtime
from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.base.runtime import cache_dir, content_dir, free_memory, package_versions
from tests.base.packages import install


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
    monkeypatch.setattr(runtime, "_PACKAGE", package(tmp_path, inside, "evaluate/suites", checkout=True))
    assert content_dir("evaluate/suites") == tmp_path / inside


def test_the_checkout_is_the_second_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel's copy the checkout's folder is used."""
    monkeypatch.setattr(runtime, "_PACKAGE", package(tmp_path, "curation/recipes", checkout=True))
    assert content_dir("curation/recipes") == tmp_path / "curation/recipes"


def test_a_neighbour_in_site_packages_is_no_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face's `evaluate`, installed beside the package, is not taken for ours."""
    monkeypatch.setattr(runtime, "_PACKAGE", package(tmp_path, "evaluate/suites", checkout=False))
    with pytest.raises(
        ImageNetHardError, match=r"'evaluate/suites' is missing: looked at .*Install the package"
    ):
        content_dir("evaluate/suites")


@pytest.mark.parametrize("kind", ["", "/etc", "../evaluate/suites", "evaluate/../../x"])
def test_a_path_that_leads_out_is_refused(kind: str) -> None:
    """Only relative paths inside the project are content folders."""
    with pytest.raises(UsageError, match="expected a relative path such as 'evaluate/suites'"):
        content_dir(kind)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's variable, then XDG's, then the home folder."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", "/own")
    assert cache_dir() == Path("/own")
    monkeypatch.delenv("IMAGENET_HARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/imagenet-hard")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_dir() == Path("/home/someone/.cache/imagenet-hard")


def test_a_container_has_less_than_its_machine(tmp_path: Path) -> None:
    """The least of both counts; a group without a limit limits nothing."""
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 9000 kB\nMemAvailable:  1000 kB\n")
    assert free_memory(info, tmp_path) == 1000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert free_memory(info, tmp_path) == 1000 * 1024
    (tmp_path / "memory.max").write_text("500005\n")
    assert free_memory(info, tmp_path) == 500_000
    (tmp_path / "memory.current").write_text("600000\n")
    assert free_memory(info, tmp_path) == 0


def test_a_machine_without_meminfo(tmp_path: Path) -> None:
    """As macOS: half of what there is, a guess on the safe side."""
    found = free_memory(tmp_path / "none", tmp_path)
    assert found is None or found > 1 << 20


def test_versions_are_those_of_what_is_installed_now(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata is read again when a package comes or goes, and only then."""
    before = package_versions()
    assert "of-others" not in before
    install(site, "of-others", {}, "seven = of_others:value", group="tta")
    assert package_versions() == before | {"of-others": "1.2"}
    with monkeypatch.context() as patched:
        patched.setattr(runtime, "version", None)
        patched.setattr(runtime, "entry_points", None)
        assert package_versions() == before | {"of-others": "1.2"}
    shutil.rmtree(site / "of_others-1.2.dist-info")
    assert package_versions() == before
