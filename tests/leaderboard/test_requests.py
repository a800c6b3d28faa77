"""Requests for an evaluation: the form and its parser, the board's own run, the workflow that starts it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from imagenet_hard.base.errors import UsageError
from imagenet_hard.cli.leaderboard import command
from imagenet_hard.cli.main import run
from imagenet_hard.evaluation.result import read_result
from imagenet_hard.leaderboard.board import read_board
from imagenet_hard.leaderboard.entry import read_entry
from imagenet_hard.leaderboard.requests import FIELDS, MAX_REQUEST, check_published, read_request
from imagenet_hard.leaderboard.verify.git_changes import review_of_request
from imagenet_hard.leaderboard.verify.ownership import Author
from imagenet_hard.leaderboard.verify.report import tier_by
from tests.conftest import ROOT
from tests.leaderboard.boards import Board
from tests.leaderboard.test_workflow import Request

FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "evaluate-model.yml"
WORKFLOW = ROOT / ".github" / "workflows" / "evaluate-model.yml"

VALUES = {
    "Model": "timm:vit_base_patch16_224.augreg_in21k_ft_in1k",
    "Where it is published": "https://arxiv.org/abs/2106.10270",
    "Organisation": "Google Research",
    "Benchmark": "imagenet-hard",
    "Licence of the weights": "Apache-2.0",
    "Training data": "_No response_",
    "Why": "Two lines,\r\nand `code`; $(rm -rf /)",
}


def body(**changes: str) -> str:
    """As GitHub writes the form's answers into the issue."""
    values = VALUES | {next(k for k, v in FIELDS.items() if v == name): v for name, v in changes.items()}
    return "\n\n".join(f"### {label}\n\n{value}" for label, value in values.items())


def test_the_form_has_the_parsers_fields() -> None:
    """Labels in one order, required where the parser requires; the benchmarks are names that load."""
    items = [each for each in yaml.safe_load(FORM.read_text())["body"] if each["type"] != "markdown"]
    assert {each["attributes"]["label"]: each["id"] for each in items} == dict(FIELDS)
    required = {each["id"] for each in items if each.get("validations", {}).get("required")}
    assert required == set(FIELDS.values()) - {"training_data"}
    (benchmark,) = (each for each in items if each["id"] == "benchmark")
    assert benchmark["attributes"]["options"] == ["imagenet-hard", "imagenet-hard-4k"]


def test_a_request_becomes_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every word that a stranger wrote is one word of the shell."""
    path = tmp_path / "issue.md"
    path.write_text(body(org="L; rm -rf / #"))
    assert run(command, ["request", str(path)], "imagenet-hard leaderboard") == 0
    said = capsys.readouterr()
    assert shlex.split(said.out) == [
        *("imagenet-hard", "leaderboard", "evaluate", VALUES["Model"], "--benchmark", "imagenet-hard"),
        *("--org", "L; rm -rf / #", "--link", f"Weights={VALUES['Where it is published']}"),
    ]
    assert "why: Two lines, and `code`; $(rm -rf /)" in said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (body(model="./evil.py:build"), "names no published model"),
        (body(model="os.path:join"), "names no published model"),
        (body(model="timm:../x"), "names no published model"),
        (body(model="--device=cpu"), "names no published model"),
        (body(model="hf-hub:a/b@main"), "names no published model"),
        (body(model="modèle"), "names no published model"),
        (body(source="http://a.org"), "source"),
        (body(org="@torvalds"), "org"),
        (body(benchmark="../x"), "benchmark"),
        (body(licence=""), "does not say 'Licence of the weights'"),
        (body(why="_No response_"), "does not say 'Why'"),
        (body(why="x" * 2001), "why"),
        (body(why="a\n\n### Model\n\nresnet50"), "has 'Model'"),
        (body() + "\n\n### Other\n\nx", "has 'Other'"),
        ("hello", "has 'hello'"),
        ("", "does not say"),
        ("x" * (MAX_REQUEST + 1), "characters: expected at most"),
    ],
)
def test_what_is_no_request(text: str, message: str) -> None:
    """Code for a model, addresses that are none, headings of one's own, too long."""
    with pytest.raises(UsageError, match=re.escape(message)):
        read_request(text)


@pytest.mark.parametrize(
    "model", ["resnet50", "timm:a.b", "open_clip:ViT-B-32/openai", "clip:ViT-L/14@336px"]
)
def test_published_models(model: str) -> None:
    """Names of each backend."""
    assert check_published(model) == model


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board whose benchmark is the sample."""
    args = ["gold", "--dataset", "sample", "--out", str(tmp_path / "board" / "benchmarks")]
    assert run(command, args, "imagenet-hard leaderboard") == 0
    (tmp_path / "board" / "entries").mkdir()
    return tmp_path / "board"


def evaluate(board: Path, *more: str, model: str = "bundled:efficientnet_lite0") -> int:
    args = ["--benchmark", "sample", "--board", str(board), "--org", "Lab", "--device", "cpu"]
    args += ["--work", str(board.parent / "work"), *more, "--", model]
    return run(command, ["evaluate", *args], "imagenet-hard leaderboard")


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("small_networks")
def test_from_the_command_to_a_reproduced_entry(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command scores, enters and records; again it does nothing."""
    assert evaluate(board, "--owner", "github:maintainer") == 0
    said = capsys.readouterr()
    folder = board / "entries" / "Lab__efficientnet_lite0__sample"
    assert said.out == f"wrote {folder}\nrecord: {board / 'verified' / folder.name}.json\n"
    assert "the entry is the board's own run on all 20 images: cpu" in said.err
    (found,) = read_board(board)
    assert (tier_by(found.report), found.entry.submitter) == ("reproduced", "the board's maintainers")
    assert found.entry.owner == {"github": "maintainer"}
    (result,) = (read_result(path)[0] for path in board.parent.glob("work/*/*.json"))
    assert found.rescored.top1.n_correct == result.metrics.n_correct > 5
    before = state(board)
    assert evaluate(board, "--owner", "github:maintainer") == 0
    assert f"unchanged: {folder}" in capsys.readouterr().out
    assert state(board) == before
    (board / "verified" / f"{folder.name}.json").unlink()  # interrupted before the record
    assert evaluate(board, "--owner", "github:maintainer") == 0
    assert {tier_by(each.report) for each in read_board(board)} == {"reproduced"}
    value = json.loads((folder / "entry.json").read_text())
    (folder / "entry.json").write_text(json.dumps(value | {"submitter": "somebody"}))
    assert evaluate(board, "--owner", "github:maintainer") == 1
    assert "is reproduced by `imagenet-hard verify Lab__efficientnet_lite0__sample" in capsys.readouterr().err


def test_what_is_not_evaluated(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code, unknown benchmarks, other images: said before anything runs, nothing is left."""
    before = state(board)
    other = Board(board.parent / "other").gold.info
    for more, code, message in (
        (["--benchmark", "imagenet-hard"], 1, "0 benchmarks in"),
        (["--dataset", str(ROOT / "tests")], 1, ""),
        (["--owner", "me"], 2, "is not an account"),
        (["--link", "x"], 2, "expected LABEL=https://"),
    ):
        assert evaluate(board, *more) == code
        assert message in capsys.readouterr().err
    for model in ("./evil.py:build", "os:system", "/etc/passwd"):
        assert evaluate(board, model=model) == 2
        assert "names no published model" in capsys.readouterr().err
    assert state(board) == before
    assert not (board.parent / "work").exists()
    shutil.copytree(board.parent / "other" / "benchmarks", board / "benchmarks", dirs_exist_ok=True)
    assert evaluate(board, "--benchmark", other.name, "--dataset", "sample") == 1
    assert f"sample has 20 images: {other.name} has 60" in capsys.readouterr().err


def test_only_a_maintainer_starts_the_workflow() -> None:
    """No event of a stranger's; what was typed is data; what may write runs no model."""
    text = WORKFLOW.read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow[True]) == ["workflow_dispatch"]  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    assert jobs["evaluate"]["permissions"] == {"contents": "read"}
    assert jobs["propose"]["permissions"] == {"contents": "write"}
    assert "secrets." not in text
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert not any("${{" in step.get("run", "") for step in steps)
    assert jobs["evaluate"]["steps"][0]["with"]["persist-credentials"] is False
    assert not any("pip" in step.get("run", "") for step in jobs["propose"]["steps"])
    inputs = set(workflow[True]["workflow_dispatch"]["inputs"]) - {"runner"}
    (script,) = (step for step in steps if "evaluate-model" in step.get("run", ""))
    assert {value for value in script["env"].values() if "inputs." in value} == {
        f"${{{{ inputs.{name} }}}}" for name in inputs
    }


def test_what_a_maintainer_types_stays_data(tmp_path: Path) -> None:
    """The script hands each word on as it is: no option, no command, no second word."""
    program = tmp_path / "imagenet-hard"
    program.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    program.chmod(0o755)
    typed = {"MODEL": "--board=/x", "BENCHMARK": "$(touch hit)", "ORG": "a b; touch hit"}
    typed |= {"OWNER": "`touch hit`", "NAME": "", "LINK": "https://a.org"}
    done = subprocess.run(
        ["bash", ROOT / ".github" / "evaluate-model", "leaderboard"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **typed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [
        *(
            "leaderboard",
            "evaluate",
            "--board=leaderboard",
            "--benchmark=$(touch hit)",
            "--org=a b; touch hit",
        ),
        *("--owner=github:`touch hit`", "--link=Weights=https://a.org", "--", "--board=/x"),
    ]
    assert not (tmp_path / "hit").exists()


def proposed(root: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ROOT / ".github" / "propose-entry", archive, "evaluate/1"],
        cwd=root,
        env={**os.environ, "SERVER": "https://example.org/a/b"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("small_networks")
def test_an_entry_and_its_record_pass_in_one_request(board: Path, tmp_path: Path) -> None:
    """Of a maintainer, as the workflow leaves them; of nobody else, and not with a forged record."""
    assert evaluate(board, "--owner", "github:maintainer") == 0
    made = Request(tmp_path / "git", Board(tmp_path / "empty"))
    shutil.copytree(board / "benchmarks", made.base / "leaderboard" / "benchmarks", dirs_exist_ok=True)
    made.commit(made.base)
    made.git(made.request, "pull", "-q")
    made.git(made.base, "config", "receive.denyCurrentBranch", "ignore")
    name = "Lab__efficientnet_lite0__sample"
    files = [f"entries/{name}/entry.json", f"entries/{name}/predictions.parquet", f"verified/{name}.json"]
    with tarfile.open(tmp_path / "entry.tar", "w") as tar:
        for each in files:
            tar.add(board / each, f"leaderboard/{each}")
    done = proposed(made.request, tmp_path / "entry.tar")
    assert done.returncode == 0, done.stderr
    assert "[Open the request](https://example.org/a/b/compare/evaluate/1?expand=1)" in done.stdout
    made.git(made.request, "checkout", "-q", "-")
    made.git(made.request, "merge", "-q", "--no-ff", "-m", "merge", "evaluate/1")
    entries = made.base / "leaderboard" / "entries"
    who = Author("github", "maintainer")
    review = review_of_request(made.request, entries, author=who, maintainer=True)
    assert (review.entries, review.problems) == ((name,), ())
    (problem,) = review_of_request(made.request, entries, author=who).problems
    assert "does not belong to an entry: a request with entries changes nothing else" in problem
    record = made.request / "leaderboard" / "verified" / f"{name}.json"
    value = json.loads(record.read_text())
    record.write_text(json.dumps(value | {"entry_sha256": "0" * 64}))
    made.git(made.request, "commit", "-qa", "--amend", "-m", "merge")
    (problem,) = review_of_request(made.request, entries, author=who, maintainer=True).problems
    assert "is not about the entry as the request leaves it" in problem
    assert read_entry(made.request / "leaderboard" / "entries" / name).owner == {"github": "maintainer"}


@pytest.mark.parametrize(
    "extra", [".github/workflows/x.yml", "leaderboard/entries/a__b/x.py", "../x", "link"]
)
def test_an_archive_with_more_is_refused(tmp_path: Path, extra: str) -> None:
    """Other paths, links: nothing is pushed."""
    (tmp_path / "f").write_text("x")
    with tarfile.open(tmp_path / "entry.tar", "w") as tar:
        tar.add(tmp_path / "f", "leaderboard/entries/a__b/entry.json")
        if extra == "link":
            info = tarfile.TarInfo("leaderboard/verified/a__b.json")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
        else:
            tar.add(tmp_path / "f", extra)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = proposed(tmp_path, tmp_path / "entry.tar")
    assert done.returncode == 1
    assert "the archive holds other than an entry and its record" in done.stderr
    assert not (tmp_path / "leaderboard").exists()
