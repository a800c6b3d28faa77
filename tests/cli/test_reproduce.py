"""`imagenet-hard reproduce` on the sample, with a file of figures: what it prints and its exit codes."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from imagenet_hard.cli.main import group, run
from tests.conftest import ROOT

FIGURES = """\
name: lite
title: EfficientNet-Lite on the sample
source: {{label: a note, url: "https://example.org"}}
benchmark: sample
release: {{name: the only one, n: 20, date: "2026"}}
rows:
  - {{model: efficientnet_lite0, top1: {0}}}
  - {{model: efficientnet_lite2, top1: 65.00}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One folder for all: a network is scored once."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def cli(tmp_path, results, small_networks):
    """``reproduce demo`` with a published figure of efficientnet_lite0."""

    def call(published, *more, suite="demo"):
        path = tmp_path / "lite.yaml"
        path.write_text(FIGURES.format(published))
        where = [
            "--dataset",
            "sample",
            "--figures",
            str(path),
            "--device",
            "cpu",
            "--out",
            str(results),
        ]
        return run(group, ["reproduce", suite, *where, *more], "imagenet-hard")

    return call


def test_a_figure_comes_out_or_does_not(cli, capsys, caplog):
    """13 of 20 images are right: 65.00 comes out, 60.00 does not. The second run reads results."""
    assert cli("65.00", "--json") == 0
    said = capsys.readouterr()
    first, second = json.loads(said.out)["figures"]
    assert (first["n_correct"], first["measured"], first["difference"], first["within"]) == (13, 65, 0, True)
    assert (first["row"], first["table"], second["model"]) == (
        "efficientnet_lite0",
        "lite",
        "efficientnet_lite2",
    )
    assert "1 of 3 models of demo have no figure" in said.err
    assert "2 of 2 figures" not in said.out

    caplog.clear()
    assert cli("60.00") == 1
    said = capsys.readouterr()
    assert "efficientnet_lite0 (lite)" in said.out
    assert "+5.00" in said.out
    assert "NO" in said.out
    assert "1 of 2 figures are reproduced." in said.err
    assert caplog.text.count("is finished: read from") == 2


def test_some_of_the_models(cli, capsys):
    """Where the one that does not come out is not asked for."""
    assert cli("60.00", "--only", "efficientnet_lite2", "--json") == 0
    assert [each["row"] for each in json.loads(capsys.readouterr().out)["figures"]] == ["efficientnet_lite2"]


def test_what_cannot_be_measured_is_no_verdict(cli, tmp_path, capsys):
    """Exit code 3, and the other figure is measured; 2 where the command is wrong."""
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "name: mine\nmodels:\n  - {model: no_such_model, published_as: efficientnet_lite0}\n"
        "  - {model: efficientnet_lite2}\n"
    )
    assert cli("65.00", "--json", suite=str(suite)) == 3
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert [each["within"] for each in answer["figures"]] == [True]
    assert "unknown model" in answer["failed"]["efficientnet_lite0 on sample"]
    assert "Error: efficientnet_lite0 on sample: unknown model" in said.err
    assert cli("65.00", "--only", "resnet50") == 2
    assert "--only resnet50: no such figure on sample" in capsys.readouterr().err


def test_images_that_cannot_be_had_are_no_verdict(tmp_path, capsys):
    """A folder without images ends with 3, as an unreachable Hub does."""
    (tmp_path / "empty").mkdir()
    assert run(group, ["reproduce", "paper", "-d", str(tmp_path / "empty")], "imagenet-hard") == 3
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_schedule_shows_the_table_and_fails_with_the_command(tmp_path, code):
    """The workflow's own script, with a command that prints what it was asked for."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "reproduce.yml").read_text())
    script = workflow["jobs"]["reproduce"]["steps"][-2]["run"]
    stub = tmp_path / "bin" / "imagenet-hard"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@"; exit {code}\n')
    stub.chmod(0o755)
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{stub.parent}:/usr/bin:/bin",
            "ONLY": "alexnet ViT-B/32",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
    )
    assert done.returncode == code
    assert summary.read_text() == "```text\nreproduce paper --quiet --only=alexnet --only=ViT-B/32\n```\n"
