"""The closed set of backends: what each record has to say, and backends that installed packages bring."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imagenet_hard import evaluate, list_models, load_classifier
from imagenet_hard.base.errors import ClassifierError, UnknownModelError, UsageError
from imagenet_hard.classifiers import backends
from imagenet_hard.classifiers.own_code import brings_own_code
from imagenet_hard.cli.models import command as models
from tests.base.packages import code_blocks, install

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def tiny(site: Path) -> Path:
    """The package of the documentation, installed."""
    blocks = code_blocks(PAGE, "A model backend")
    project = tomllib.loads(blocks["toml"])["project"]
    ((name, place),) = project["entry-points"]["imagenet_hard.backends"].items()
    install(
        site, project["name"], {"tiny_models": blocks["python"]}, f"{name} = {place}",
        group="backends", version=project["version"],
    )  # fmt: skip
    return site


def other(site: Path, code: str, points: str = "other = other:BACKEND") -> None:
    """Another package, whose module is ``code``."""
    imports = "from imagenet_hard.classifiers.backends import Backend\n"
    install(site, "other-models", {"other": imports + code}, points, group="backends")


def test_records_import_no_framework() -> None:
    """All of them, with how names are written."""
    code = (
        "import sys\n"
        "from imagenet_hard.classifiers import backends\n"
        "assert len(backends.own()) == len(backends.OWN) and backends.usage()\n"
        "print({'torch', 'timm', 'torchvision', 'open_clip', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_documented_package_is_listed_and_scored(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command and the API; the result says where the model is from, and is read again only as long as
    that stays so."""
    assert models.main(["tiny", "--json"], standalone_mode=False) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(m["backend"], m["name"], m["input_size"]) for m in listed if m["backend"] == "tiny"] == [
        ("tiny", "one", [32, 32]),
        ("tiny", "two", [64, 64]),
    ]
    assert [m.spelled() for m in list_models(backend="tiny")] == ["tiny:one", "tiny:two"]
    told: list[int] = []
    options = {"dataset": "sample", "out": tmp_path / "out", "limit": 16}
    first = evaluate("tiny:one", on_progress=lambda n, resumed=0: told.append(n), **options)  # type: ignore[arg-type]
    assert (first.model.backend, first.model.name, first.model.package) == ("tiny", "one", "tiny-models 1.2")
    assert first.environment.versions["tiny-models"] == "1.2"
    assert first.witness is not None
    assert first.model.transform["resize"] == 64
    assert sum(told) == 16
    assert evaluate("tiny:one", **options) == first  # type: ignore[arg-type]
    (tiny / "tiny_models-1.2.dist-info").rename(tiny / "tiny_models-1.3.dist-info")
    metadata = tiny / "tiny_models-1.3.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    backends._installed.cache_clear()
    later = evaluate("tiny:one", **options)  # type: ignore[arg-type]
    assert later.model.package == "tiny-models 1.3"
    assert later.run_key != first.run_key
    assert later.predictions_sha256 == first.predictions_sha256


def test_it_is_trusted_as_code_of_ones_own(tiny: Path) -> None:
    """Though its layers are all torch's."""
    found = load_classifier("tiny:two")
    assert {type(each).__module__.partition(".")[0] for each in found.module.modules()} == {"torch"}
    assert brings_own_code(found)


def test_what_it_does_not_take_is_refused(tiny: Path) -> None:
    """A tag, templates, a name that it lacks, and none at all."""
    with pytest.raises(UsageError, match="tiny:one has one set of weights and no tag 'best'"):
        load_classifier("tiny:one", pretrained="best")
    with pytest.raises(UsageError, match="tiny:one is a tiny model with a head of its own"):
        load_classifier("tiny:one", templates="single")
    with pytest.raises(UnknownModelError, match="tiny has no model 'three': it has one, two"):
        load_classifier("tiny:three")
    with pytest.raises(UnknownModelError, match="'tiny:' names no model: expected tiny:NAME"):
        load_classifier("tiny:")
    with pytest.raises(UnknownModelError, match=r"Nearest: .*tiny:one.*Names are written .*tiny:NAME, or"):
        load_classifier("tinyy:one")


def test_it_is_no_other_backend_whatever_it_says(site: Path) -> None:
    """A classifier of timm's comes back under the package's prefix."""
    other(
        site,
        "def load(name, options):\n"
        "    from imagenet_hard import load_classifier\n"
        "    return load_classifier('efficientnet_lite0')\n"
        "BACKEND = Backend(load)\n",
    )
    spec = load_classifier("other:timm").spec
    assert (spec.backend, spec.name, spec.package) == ("other", "timm", "other-models 1.2")
    assert not list_models(backend="other")


def test_what_fails_names_its_package(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While it loads a model, and while it lists: the other models are listed all the same."""
    other(
        site,
        "def load(name, options):\n"
        "    raise RuntimeError('no luck')\n"
        "def names():\n"
        "    raise RuntimeError('no list')\n"
        "BACKEND = Backend(load, names=names)\n",
    )
    with pytest.raises(
        ClassifierError,
        match="other:x could not be loaded by the installed package other-models 1.2: Runtime",
    ):
        load_classifier("other:x")
    assert list_models("efficientnet_lite0", backend="bundled")
    assert list_models("efficientnet_lite0")
    assert "the models of the installed package other-models 1.2 are not listed: no list" in caplog.text
    with pytest.raises(UsageError, match="other-models 1.2 cannot be listed: no list"):
        list_models(backend="other")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            "other = other:no_record",
            "other:no_record' of the installed package other-models 1.2 is int: expected",
        ),
        ("custom = other:BACKEND", "'custom' of the installed package other-models 1.2 is a name that"),
        ("timm = other:BACKEND", "'timm' of the installed package other-models 1.2 is a name that"),
    ],
)
def test_what_is_no_backend_is_refused(site: Path, points: str, message: str) -> None:
    """Something else than a record, and a prefix that is taken."""
    other(site, "BACKEND, no_record = Backend(lambda name, options: None), 3\n", points)
    with pytest.raises(UsageError, match=message):
        load_classifier("other:x")
    assert load_classifier("bundled:efficientnet_lite0").spec.package is None
