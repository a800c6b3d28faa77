"""Extensions from installed packages: found by name, loaded when asked for, in nobody's place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.extensions import extensions
from tests.base import packages


def install(site: Path, package: str, points: str, code: str = "value = 7\n") -> None:
    """A package with one module."""
    packages.install(site, package, {package.replace("-", "_"): code}, points, group="things")


def test_it_is_found_by_name_and_imported_when_it_is_loaded(site: Path) -> None:
    install(site, "of-others", "seven = of_others:value")
    found = extensions("things", {"one"})["seven"]
    assert found.origin == "of-others 1.2"
    assert "of_others" not in sys.modules
    assert found.load() == 7


def test_nothing_is_installed_for_a_group_of_nobody() -> None:
    assert not extensions("nobody", ())


def test_a_name_stands_for_one_thing(site: Path) -> None:
    install(site, "of-others", "seven = of_others:value")
    with pytest.raises(UsageError, match="of the installed package of-others 1.2.*imagenet-hard itself"):
        extensions("things", {"seven"})
    install(site, "of-strangers", "seven = of_strangers:value")
    with pytest.raises(UsageError, match="of-strangers 1.2 is a name that of-others 1.2 has"):
        extensions("things", ())


def test_what_cannot_be_imported_names_its_package(site: Path) -> None:
    install(site, "of-others", "seven = of_others:value", "raise RuntimeError('no luck')\n")
    with pytest.raises(UsageError, match="of-others 1.2 cannot be loaded.*RuntimeError: no luck"):
        extensions("things", ())["seven"].load()
