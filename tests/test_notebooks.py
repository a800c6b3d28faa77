"""The notebooks: as they are kept, and run on the sample without a network."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.base.forked import started
from tests.conftest import ROOT
from tests.hub.server import TOKENS, hub_client_env

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(name: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    """Nobody's run, machine or picture is in it, and its badge opens this very file."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    first = notebook.cells[0].source
    assert first.startswith("# ")
    assert re.search(
        rf"colab\.research\.google\.com/github/[\w-]+/imagenet-hard/blob/main/notebooks/{path.name}\)", first
    )
    assert len([cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]) == 1
    assert path.name in (ROOT / "docs" / "notebooks.md").read_text()


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == ["clip", "hard_set", "score", "zoom"]


def kernel(connection: str, folder: str) -> None:
    """A kernel of a notebook in ``folder``, in a process that has imported what takes seconds."""
    from ipykernel.kernelapp import IPKernelApp

    os.chdir(folder)
    app = IPKernelApp.instance()
    app.initialize(["-f", connection, "--HistoryManager.hist_file=:memory:"])
    app.shell.system = lambda line: print(output(shlex.split(app.shell.var_expand(line, depth=1))), end="")
    app.start()


def output(words: list[str]) -> str:
    """What a command line of ours prints, run in a process of its own as the kernel's ``!`` does."""
    assert words[0] == "imagenet-hard"
    process = started(command, words[1:], str(Path.cwd()), f"{os.getpid()}.out")
    process.join()
    text = Path(f"{os.getpid()}.out").read_text()
    assert process.exitcode == 0, text
    return text


def command(args: list[str], folder: str, said: str) -> None:
    """``imagenet-hard`` with ``args`` in a folder, which tells the file ``said`` what it prints."""
    from imagenet_hard.cli.main import group, run

    os.chdir(folder)
    with Path(said).open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.exit(run(group, args, "imagenet-hard"))


@contextmanager
def running(folder: Path) -> Iterator[Any]:
    """The manager of a kernel in ``folder``."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        has_kernel = True

        async def is_alive(self) -> bool:
            return process.is_alive()

    manager = Manager(owns_kernel=False, connection_file=str(folder / "kernel.json"))
    manager.write_connection_file()
    process = started(kernel, manager.connection_file, str(folder), daemon=False)
    try:
        yield manager
    finally:
        process.kill()
        process.join()
        manager.cleanup_connection_file()


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Run a notebook in an empty folder, with parameters in place of its own; what its cells print."""
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("IMAGENET_HARD_CACHE", str(tmp_path / "cache"))

    def run(name: str, parameters: Mapping[str, object]) -> str:
        notebook = read(name)
        (at,) = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
        known = re.findall(r"^(\w+) =", notebook.cells[at].source, re.MULTILINE)
        assert set(parameters) <= set(known)
        mine = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(mine))
        with running(tmp_path) as manager:
            nbclient.NotebookClient(notebook, manager, timeout=280).execute(cleanup_kc=True)
        outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
        return "".join(out.text for out in outputs if out.output_type == "stream")

    return run


@pytest.mark.slow
def test_score(executed, tmp_path):
    """Three models; two are compared, and the image that one of them gets wrong is shown."""
    models = ["efficientnet_lite0", "bundled:efficientnet_lite1"]
    said = executed("score", {"DATASET": "sample", "IMAGES": {}, "MODELS": models, "OWN_WEIGHTS": None})
    assert "efficientnet_lite0: 90.00 % (69.90 to 97.21, 18 of 20)" in said
    assert "points\n95 % interval" in said
    assert len(list((tmp_path / "results" / "sample").glob("*.json"))) == 3


@pytest.mark.slow
def test_clip(executed, tmp_path):
    """With a small random CLIP: three sets of sentences, two of names."""
    from tests.classifiers.test_transformers_zero_shot import save

    model = f"transformers:{save(tmp_path / 'small', 'clip')}"
    said = executed("clip", {"MODEL": model, "ENSEMBLES": ["single", "simple"]})
    assert "simple: 7 sentences a class" in said
    assert len(re.findall(r"\d+\.\d\d % \(", said)) == 4


@pytest.mark.slow
def test_zoom(executed, tmp_path):
    said = executed("zoom", {})
    assert "324 zooms; the first: {'scale': 10" in said
    assert int(re.search(r"(\d+) of 324 zooms are right", said)[1]) > 0
    assert (tmp_path / "zoom.html").is_file()


@pytest.mark.slow
def test_hard_set(executed, minihub, monkeypatch):
    """Published for real, to a Hub on loopback."""
    for name, value in hub_client_env(minihub, token=TOKENS["alice"]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    said = executed("hard_set", {"REPO": "lab/hard", "DRY_RUN": False})
    assert "my-hard-images/data/validation-00000-of-00001" in said
    head = minihub.repos["dataset", "lab/hard"]
    assert b"My hard images" in head.git("show", "main:README.md")
