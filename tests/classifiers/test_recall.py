"""What a model said of itself is taken for what it would say only where nothing can have changed."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from imagenet_hard.classifiers import recall as module
from imagenet_hard.classifiers.base import Outputs
from imagenet_hard.classifiers.recall import heard, recall, remember, untouched
from imagenet_hard.classifiers.weights_source import WeightsSource
from tests.engine.small import classifier


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """A cache of its own; packages that are installed as they were built, whatever runs these tests."""
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_version", lambda name: "1.0")
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(b"weights")


REQUEST = {"name": "some:model", "weights": "weights.pth", "transform": "native"}


def loaded():
    found = classifier()
    return replace(found, remarks=("odd",), sources=(WeightsSource(kind="file", place="weights.pth"),))


def test_what_it_said_comes_back():
    assert recall(REQUEST) is None
    remember(REQUEST, loaded(), ["the EMA weights are used"])
    found = recall(REQUEST)
    assert found is not None
    assert (found.spec, found.outputs) == (loaded().spec, Outputs())
    assert (found.warnings, found.said) == (["odd"], ("the EMA weights are used",))


def other_weights(monkeypatch):
    Path("weights.pth").write_bytes(b"Weights")


def no_weights(monkeypatch):
    Path("weights.pth").unlink()


def other_folder(monkeypatch):
    """The same words mean another file there."""
    Path("there").mkdir()
    Path("there/weights.pth").write_bytes(b"others")
    monkeypatch.chdir("there")


def other_torch(monkeypatch):
    monkeypatch.setattr(module, "_version", lambda name: "1.1" if name == "torch" else "1.0")


def timm_in_development(monkeypatch):
    monkeypatch.setattr(module, "_version", lambda name: None if name == "timm" else "1.0")


def other_package(monkeypatch):
    monkeypatch.setattr(module, "_package_sha256", lambda: "0" * 64)


def damaged(monkeypatch):
    (file,) = Path("cache/recalled").iterdir()
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize(
    "change",
    [other_weights, no_weights, other_folder, other_torch, timm_in_development, other_package, damaged],
)
def test_it_is_loaded_where_anything_is_another(change, monkeypatch):
    remember(REQUEST, loaded(), [])
    assert recall(REQUEST) is not None
    change(monkeypatch)
    assert recall(REQUEST) is None


@pytest.mark.parametrize(
    "more", [{"name": "some:other"}, {"weights": None}, {"transform": "paper"}, {"pretrained": "tag"}]
)
def test_another_request_is_another_model(more):
    remember(REQUEST, loaded(), [])
    assert recall(REQUEST | more) is None


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (REQUEST, replace(loaded(), sources=())),
        (
            REQUEST,
            replace(loaded(), sources=(*loaded().sources, WeightsSource(kind="file", place="gone.pth"))),
        ),
        (REQUEST, replace(loaded(), outputs=Outputs("probabilities"))),
        (REQUEST | {"templates": "file.txt"}, loaded()),
        (REQUEST | {"transform": lambda image: image}, loaded()),
    ],
    ids=["no files known", "a file missing", "own outputs", "a file of texts", "a function"],
)
def test_what_more_may_play_a_part_in_is_not_kept(request_, found):
    remember(request_, found, [])
    assert not Path("cache/recalled").exists()
    assert recall(request_) is None


def test_a_name_that_has_become_a_file_is_another_request(monkeypatch):
    """A tag is a word, until there is a file of that name."""
    request = REQUEST | {"weights": "IMAGENET1K_V1"}
    remember(request, loaded(), [])
    assert recall(request) is not None
    Path("IMAGENET1K_V1").write_bytes(b"weights of my own")
    assert recall(request) is None


def test_a_cache_that_cannot_be_written_is_no_error():
    Path("cache").write_bytes(b"a file")
    remember(REQUEST, loaded(), [])
    assert recall(REQUEST) is None


def test_warnings_are_heard_and_not_more():
    log = logging.getLogger("imagenet_hard.classifiers.some")
    with heard() as said:
        log.warning("%d of %d", 1, 2)
        log.info("no")
        logging.getLogger("timm").warning("of others")
    log.warning("later")
    assert said == ["1 of 2"]


def test_a_process_with_torch_is_not_untouched():
    assert not untouched()  # the tests have it


def test_versions_are_those_of_what_is_imported(monkeypatch, tmp_path):
    """A module of another place than the installed package's is not known by that package's version."""
    monkeypatch.undo()
    module._version.cache_clear()
    assert module._version("pillow")
    assert module._version("no-such-package-at-all") == ""
    (tmp_path / "click").mkdir()
    (tmp_path / "click" / "__init__.py").touch()
    assert module._version("click")
    module._version.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "click", raising=False)
    assert module._version("click") is None
    module._version.cache_clear()


def test_a_package_in_development_has_no_version(monkeypatch, tmp_path):
    monkeypatch.undo()
    module._version.cache_clear()
    info = tmp_path / "mypackage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.0\n")
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert module._version("mypackage") == "1.0"
    module._version.cache_clear()
    (info / "direct_url.json").write_text('{"dir_info": {"editable": true}, "url": "file:///there"}')
    assert module._version("mypackage") is None
    module._version.cache_clear()
