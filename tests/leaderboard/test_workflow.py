"""The check on pull requests: its script on real git repositories, and the form of what is posted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from imagenet_hard.leaderboard.report import MARKER, Report, check, markdown_report, tier_of
from imagenet_hard.leaderboard.verify import verify
from tests.conftest import ROOT
from tests.leaderboard.boards import FIRST, Board, change, standard

WORKFLOWS = ROOT / ".github" / "workflows"
SCRIPT = ROOT / ".github" / "verify-entries"


def ours() -> re.Pattern[str]:
    """The pattern of a line that may be posted, out of the workflow itself."""
    text = (WORKFLOWS / "comment-entries.yml").read_text()
    found = re.search(r"const ours = /(.*)/$", text, re.MULTILINE)
    assert found
    return re.compile(found[1], re.ASCII)


def test_our_reports_have_the_form_that_is_posted(tmp_path: Path) -> None:
    """Passed, failed, flagged and empty reports, with whatever strangers wrote in them."""
    board = standard(tmp_path)
    change(board.entries / "Some-Lab__ConvNeXt", "name", to="<script>`|@all](x)")
    reports = verify(sorted(board.entries.iterdir()), golds=board.golds)
    hostile = (check("schema", "flagged", "`a` | <b> @all \\ \n ![x](https://evil.org)"),)
    reports = (*reports, Report(entry="x`|<i>\n", tier=tier_of(hostile), checks=hostile))
    for text in (markdown_report(reports), markdown_report([])):
        first, *lines = text.split("\n")
        assert first == MARKER
        assert [line for line in lines if not ours().fullmatch(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "[click](https://evil.org)",
        "@everyone",
        "<img src=x>",
        "### `a`: [x](y)",
        "| schema | passed | `a` [x](y) |",
        "| schema | passed | `a` @x `b` |",
        "| <b> | passed | `a` |",
        "imagenet-hard 1.0. A flag fails nothing: a person looks at it before merging. @x",
    ],
)
def test_other_lines_are_not_posted(line: str) -> None:
    """A request can change the workflow that makes the report; this is all it gets posted."""
    assert not ours().fullmatch(line)


def test_no_secret_and_no_write_access_meets_a_request() -> None:
    """The workflow that sees a stranger's files may only read; the one that may write checks nothing out."""
    verifying = yaml.safe_load((WORKFLOWS / "verify-entries.yml").read_text())
    commenting = yaml.safe_load((WORKFLOWS / "comment-entries.yml").read_text())
    # YAML 1.1 reads the key `on` as true.
    assert list(verifying[True]) == ["pull_request"]
    assert verifying["permissions"] == {"contents": "read"}
    assert "secrets." not in (WORKFLOWS / "verify-entries.yml").read_text()
    steps = verifying["jobs"]["verify"]["steps"]
    checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout")]
    assert all(each["persist-credentials"] is False for each in checkouts)
    # No expression inside a shell script: a branch name must not become code.
    assert not any("${{" in step.get("run", "") for step in steps)
    assert not any("request/" in step.get("run", "") for step in steps)
    assert commenting["permissions"] == {}
    uses = [step.get("uses", "") for step in commenting["jobs"]["comment"]["steps"]]
    assert not any("checkout" in each for each in uses)
    assert not any("run" in step for step in commenting["jobs"]["comment"]["steps"])
    assert "${{" not in commenting["jobs"]["comment"]["steps"][1]["with"]["script"]


class Request:
    """A repository with a board in it, and a merge commit of what a stranger changed."""

    def __init__(self, root: Path, board: Board) -> None:
        self.root, self.base, self.request = root, root / "base", root / "request"
        for kind in ("entries", "benchmarks"):
            shutil.copytree(board.root / kind, self.base / "leaderboard" / kind)
        self.git(self.base, "init", "-q")
        self.commit(self.base)
        subprocess.run(["git", "clone", "-q", self.base, self.request], check=True)
        self.entries = self.request / "leaderboard" / "entries"

    def git(self, where: Path, *args: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *args], cwd=where, check=True, capture_output=True)

    def commit(self, where: Path) -> None:
        self.git(where, "add", "-A")
        self.git(where, "commit", "-q", "-m", "x")

    def check(self) -> subprocess.CompletedProcess[str]:
        self.git(self.request, "checkout", "-q", "-b", "theirs")
        self.commit(self.request)
        self.git(self.request, "checkout", "-q", "-")
        self.git(self.request, "merge", "-q", "--no-ff", "-m", "merge", "theirs")
        tools = self.root / "bin"
        tools.mkdir()
        program = tools / "imagenet-hard"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom imagenet_hard.cli.main import run\n"
            "from imagenet_hard.cli.verify import command\n"
            "assert sys.argv[1] == 'verify'\nsys.exit(run(command, sys.argv[2:], 'x'))\n"
        )
        program.chmod(0o755)
        path = {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            ["bash", SCRIPT, "base", "request", "report.md"],
            cwd=self.root,
            env={**os.environ, **path, "GITHUB_ACTIONS": ""},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    board = standard(tmp_path / "board")
    return Request(tmp_path, board)


def renamed(request: Request, name: str) -> Path:
    """A copy of the first entry under another name."""
    copy = request.entries / f"Some-Lab__{name}"
    shutil.copytree(request.entries / FIRST, copy)
    change(copy, "id", to=copy.name)
    change(copy, "name", to=name)
    return copy


def test_a_new_entry_passes(request_: Request) -> None:
    """Only what was changed is verified, against the board; the report is written."""
    renamed(request_, "New")
    done = request_.check()
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith("Some-Lab__New: re-scored")
    assert "passed  ownership: a new entry" in done.stdout
    text = (request_.root / "report.md").read_text()
    assert text.count("### `") == 1


def test_a_request_without_entries_has_nothing_to_verify(request_: Request) -> None:
    """A text that was mended."""
    (request_.entries / "README.md").write_text("x")
    done = request_.check()
    assert (done.returncode, done.stdout) == (0, "no entry was changed\n"), done.stderr


def test_a_submission_that_changes_more(request_: Request) -> None:
    """Entries together with gold labels, or with a tier of one's own."""
    renamed(request_, "New")
    verified = request_.request / "leaderboard" / "verified"
    verified.mkdir()
    (verified / "Some-Lab__New.json").write_text("{}")
    done = request_.check()
    assert done.returncode == 1
    assert "this one also changes 1 others, the first leaderboard/verified/Some-Lab__New.json" in done.stdout


def test_attacks_by_file_names(request_: Request) -> None:
    """A line end, an option and commands in folder names, a removed entry, a link: all fail, none runs."""
    for name in ("a\nb", "--all", "$(touch pwned)", ";touch pwned"):
        shutil.copytree(request_.entries / FIRST, request_.entries / name)
    (request_.entries / "Some-Lab__link").mkdir()
    (request_.entries / "Some-Lab__link" / "entry.json").symlink_to("/etc/passwd")
    shutil.rmtree(request_.entries / "Some-Lab__ResNet-50")
    done = request_.check()
    assert done.returncode == 1, done.stderr
    assert done.stdout.count(": FAILED") == 6, done.stdout
    assert "root:" not in done.stdout + (request_.root / "report.md").read_text()
    assert not list(request_.root.rglob("pwned"))
