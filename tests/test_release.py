"""What a release is made of names one version and the Pythons that are tested."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml

from imagenet_hard.base.runtime import __version__
from tests.conftest import ROOT

if not (ROOT / ".github").is_dir():
    pytest.skip("there are no workflows beside these tests", allow_module_level=True)

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_is_of_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == __version__


def test_the_pythons_that_are_promised_are_tested():
    """Those of the classifiers, those that may install it, and those of the workflow are the same."""
    lowest, above = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", SETTINGS["requires-python"]).groups())
    promised = [f"3.{minor}" for minor in range(lowest, above)]
    assert [c.rpartition(" ")[2] for c in SETTINGS["classifiers"] if ":: 3." in c] == promised
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == promised
    versions = jobs["versions"]["strategy"]["matrix"]["include"]
    assert {(each["python"], each["resolution"]) for each in versions} >= {
        (promised[0], "lowest-direct"),
        (promised[-1], "highest"),
    }


def test_every_dependency_has_a_floor():
    """So that the lowest versions are those that were tested, and not the first that ever were."""
    extras = [
        each for name, extra in SETTINGS["optional-dependencies"].items() if name != "dev" for each in extra
    ]
    without = [each for each in [*SETTINGS["dependencies"], *extras] if ">=" not in each]
    assert without == []


def test_what_is_run_on_an_installed_package_is_there():
    """Its tests are named by hand, and one that is moved would be noticed by the release alone."""
    part = re.search(r"^part=\($.*?^\)$", (ROOT / ".ci/installed").read_text(), re.MULTILINE | re.DOTALL)[0]
    named = subprocess.run(
        ["bash", "-c", f'{part}\nprintf "%s\\n" "${{part[@]}}"'], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(named) > 20
    assert [each for each in named if not (ROOT / each).exists()] == []
