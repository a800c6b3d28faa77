"""``./file.py:build``: a file as a module, with its neighbours, read afresh, and sent by value."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from imagenet_hard.base.errors import ClassifierError, UnknownModelError
from imagenet_hard.classifiers import file_module
from imagenet_hard.classifiers.registry import load_classifier

MODEL = """
from dataclasses import dataclass
import torch
from torch import nn
from width import WIDTH

@dataclass
class Settings:
    width: int = WIDTH

def build():
    import lazily
    torch.manual_seed(0)
    return Net(Settings().width * lazily.TIMES)

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 1000))

    def forward(self, x):
        import torch.nn.functional as F
        return self.head(F.relu(self.pool(x).flatten(1)))

class Models:
    @staticmethod
    def small():
        return build()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two folders with a space in their names, each with net.py and files that it imports."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(file_module, "_folders", set())
    monkeypatch.setattr(file_module, "_before", set())
    for name, width in (("my models", 4), ("my others", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(MODEL)
        (tmp_path / name / "width.py").write_text(f"WIDTH = {width}\n")
        (tmp_path / name / "lazily.py").write_text("TIMES = 2\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in file_module.file_modules():
        del sys.modules[module.__name__]


def width(name: str) -> int:
    return int(load_classifier(name).module.state_dict()["head.0.weight"].shape[0])


def test_a_file_is_loaded_with_its_neighbours(folder: Path) -> None:
    """By a relative path, an absolute one, one with blanks; a method as well; the name has no path."""
    found = load_classifier("./my models/net.py:build")
    assert found.spec.name == "net.py:build"
    assert found.module(torch.zeros(2, 3, 8, 8)).shape == (2, 1000)
    assert width(f"{folder}/my models/net.py:build") == 8
    assert width("my models/net.py:Models.small") == 8


def test_two_folders_do_not_share_their_files(folder: Path) -> None:
    """Each gets its own ``width.py``, in either order, and what was edited since."""
    assert [width(f"{name}/net.py:build") for name in ("my models", "my others", "my models")] == [8, 10, 8]
    (folder / "my models" / "lazily.py").write_text("TIMES = 300\n")
    assert width("my models/net.py:build") == 1200


def test_installed_modules_and_ours_are_left_alone(folder: Path) -> None:
    """A file may be called as an installed module is; nothing but its folder's own is read again."""
    (folder / "my models" / "torch.py").write_text("import torch\ndef build(): return torch.nn.Identity()\n")
    before = {name: module for name, module in sys.modules.items() if name.startswith("imagenet_hard")}
    with pytest.raises(ClassifierError):
        load_classifier("my models/torch.py:build")
    assert width("my models/net.py:build") == 8
    assert sys.modules["torch"] is torch
    assert all(sys.modules[name] is module for name, module in before.items())


def test_weights_go_into_a_files_module(folder: Path) -> None:
    """As into any other."""
    state = load_classifier("my models/net.py:build").module.state_dict()
    torch.save({"model": {k: torch.full_like(v, 0.5) for k, v in state.items()}}, "w.pth")
    found = load_classifier("my models/net.py:build", weights="w.pth")
    assert float(found.module.state_dict()["head.1.bias"].min()) == 0.5
    assert found.spec.tag == "w.pth"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("my models/nets.py:build", "", r"there is no file nets.py in .*my models: did you mean net.py\?"),
        ("nowhere/net.py:build", "", "there is no file net.py in .*nowhere"),
        ("my models/net.py:biuld", "", r"net.py has no 'biuld': did you mean build\?"),
        ("x.py:build", "def build(:", "importing x.py failed: SyntaxError: .*line 1"),
        ("x.py:build", "import not_there_at_all", "importing x.py failed: ModuleNotFoundError: .*not_there"),
        ("x.py:build", "raise SystemExit(2)", "importing x.py failed: SystemExit: 2"),
        ("x.py:build", "def build(): raise OSError('disk')", r"x.py:build\(\) failed: OSError: disk"),
    ],
)
def test_what_is_wrong_is_said(name: str, source: str, message: str, folder: Path) -> None:
    """The file, the function, or what it raised."""
    (folder / "x.py").write_text(source)
    with pytest.raises(ClassifierError, match=message):
        load_classifier(name)


def test_a_file_without_a_function_says_what_to_write(folder: Path) -> None:
    """Half of the name."""
    for name in ("my models/net.py", "./my models/net.py:"):
        with pytest.raises(
            UnknownModelError, match="names a file and nothing in it: write .*net.py:FUNCTION"
        ):
            load_classifier(name)


def test_workers_need_no_such_file(folder: Path) -> None:
    """What the cluster is sent holds the classes, of the file and of its neighbours."""
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    found = load_classifier("my models/net.py:build")
    batch = torch.rand(2, 3, 8, 8)
    expected = found.module(batch)
    modules = file_module.file_modules()
    assert {m.__name__.partition("_")[0] for m in modules} == {"net", "width", "lazily"}
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    sent = cloudpickle.dumps(found)
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules[module.__name__]
    sys.path.remove(str(folder / "my models"))
    assert torch.equal(pickle.loads(sent).module(batch), expected)
