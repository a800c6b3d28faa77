"""`imagenet-hard submit` and `imagenet-hard verify` as commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagenet_hard.base.errors import ImageNetHardError, UsageError
from imagenet_hard.cli import submit as submit_module
from imagenet_hard.cli import verify as verify_module
from tests.leaderboard.boards import FIRST, Board, change, standard


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path)


def run(command: object, *args: object) -> Result:
    return CliRunner().invoke(command, list(map(str, args)), standalone_mode=False)  # type: ignore[arg-type]


def submit(*args: object) -> Result:
    return run(submit_module.command, *args)


def verify(*args: object) -> Result:
    return run(verify_module.command, *args)


def test_submit_writes_an_entry(board: Board, tmp_path: Path) -> None:
    """Gold is found beside the entries; the Hub's files are written as well."""
    path = board.result(board.scored(5))
    args = [
        path,
        "--name",
        "New",
        "--org",
        "Lab",
        "--link",
        "Paper=https://a.org/?x=1",
        "--entries",
        board.entries,
    ]
    page = "https://a.org/board"
    done = submit(*args, "--eval-results", tmp_path / "model", "--results-source", page)
    assert done.exception is None, done.exception
    assert done.stdout.splitlines()[0] == f"wrote {board.entries / 'Lab__New'}"
    assert page in (tmp_path / "model" / ".eval_results" / "imagenet-hard.yaml").read_text()
    assert "goes with --eval-results or --model-repo" in str(
        submit(*args, "--results-source", page).exception
    )
    assert "unchanged:" in submit(*args).stdout
    value = json.loads(submit(*args, "--json").stdout)
    assert value["entry"] == "Lab__New"
    assert value["report"]["tier"] == "re-scored"
    assert json.loads((board.entries / "Lab__New" / "entry.json").read_text())["links"] == [
        {"label": "Paper", "url": "https://a.org/?x=1"}
    ]


def test_submit_stops_before_it_writes(board: Board, tmp_path: Path) -> None:
    """A result that the Hub cannot show leaves no entry behind either."""
    other = Board(tmp_path / "local", source="folder", revision=None)
    args = [other.result(other.scored()), "--name", "a", "--org", "b", "--entries", other.entries]
    page = "https://a.org/board"
    done = submit(*args, "--eval-results", tmp_path / "model", "--results-source", page)
    assert isinstance(done.exception, UsageError)
    assert list(other.entries.iterdir()) == []
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("link", ["https://a.org", "=https://a.org", "Paper="])
def test_a_link_needs_a_label(board: Board, link: str) -> None:
    """LABEL=URL, both."""
    done = submit("x.json", "--name", "a", "--org", "b", "--link", link)
    assert "expected LABEL=https://" in str(done.exception)


def test_verify_by_id_and_all(board: Board, tmp_path: Path) -> None:
    """Reports on stdout, Markdown in a file, exit code by outcome."""
    done = verify(FIRST, "--entries", board.entries)
    assert (done.return_value, done.exception) == (0, None)
    assert done.stdout.startswith(f"{FIRST}: re-scored, top-1 ")
    assert "\n  passed  score: recomputed" in done.stdout
    done = verify("--all", "--entries", board.entries, "--json", "--comment", tmp_path / "report.md")
    assert [r["tier"] for r in json.loads(done.stdout)] == ["re-scored"] * 3
    assert (tmp_path / "report.md").read_text().count(": re-scored, top-1 ") == 3
    change(board.first, "claim", to={"n_correct": 60, "n_top5": 60, "n_total": 60})
    done = verify("--all", "--entries", board.entries)
    assert done.return_value == 1
    assert f"{FIRST}: FAILED" in done.stdout


def test_accepted_reports_are_kept(board: Board, tmp_path: Path) -> None:
    """--accept writes what passes, and nothing for what fails."""
    change(board.entries / "Some-Lab__ConvNeXt", "submitter", to="<b>")
    done = verify("--all", "--entries", board.entries, "--accept", tmp_path / "verified")
    assert done.return_value == 1
    assert sorted(p.stem for p in (tmp_path / "verified").iterdir()) == ["Some-Lab__ResNet-50", FIRST]


def test_a_folder_is_compared_with_the_board(board: Board, tmp_path: Path) -> None:
    """A path outside the board may not take an id of the board's."""
    theirs = tmp_path / "pr" / FIRST
    shutil.copytree(board.first, theirs)
    change(theirs, "submitter", to="mallory")
    done = verify(theirs, "--entries", board.entries)
    assert done.return_value == 1
    assert "failed  ownership" in done.stdout


def test_canaries(board: Board, tmp_path: Path) -> None:
    """A file of ids; comments and empty lines are passed over."""
    (tmp_path / "canaries").write_text("# planted\n\n" + "\n".join(board.gold.ids[:30]) + "\n")
    done = verify(FIRST, "--entries", board.entries, "--canaries", tmp_path / "canaries")
    assert "canaries: planted labels are hit" in done.stdout
    missing = verify(FIRST, "--entries", board.entries, "--canaries", tmp_path / "no")
    assert isinstance(missing.exception, UsageError)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "what to verify?"),
        (["x", "--all"], "what to verify?"),
        (["x", "--pr", "1"], "--pr belongs to --hub"),
        (["x", "--spot-check", "3"], "give --dataset"),
        (["x", "--spot-check", "3", "--reproduce"], "leave out --spot-check"),
        (["x", "--reproduce", "-d", "sample", "--seed-commit", "a", "--secret-file", "b"], "give one"),
        (["x", "--reproduce", "-d", "sample", "--secret-file", "/none"], "cannot read the secret"),
        (["--all", "--entries", "/none"], "there is no folder of entries at /none"),
    ],
)
def test_wrong_usage(args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what is missing."""
    (tmp_path / "benchmarks").mkdir()
    done = verify(*args, "--golds", tmp_path / "benchmarks")
    assert done.exception is not None
    assert message in str(done.exception)


def test_a_kept_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment; without one the seed is drawn and named, so the choice can be repeated."""
    options = {"seed_commit": None, "secret_file": None}
    monkeypatch.setenv(verify_module.SECRET_VARIABLE, "hunter2-hunter2")
    assert verify_module._secret(options) == (b"hunter2-hunter2", "a kept secret")
    monkeypatch.delenv(verify_module.SECRET_VARIABLE)
    secret, origin = verify_module._secret(options)
    assert secret.decode() in origin
    assert verify_module._secret(options)[0] != secret
    commit = verify_module._secret({**options, "seed_commit": "abc"})
    assert commit == (b"abc", "the commit abc")


def test_gold_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a checkout the package's own gold is taken; without that the message says so."""
    monkeypatch.setattr("imagenet_hard.base.runtime.content_dir", lambda kind: tmp_path / kind)
    assert verify_module.golds_folder(None, tmp_path / "entries") == tmp_path / "leaderboard/benchmarks"
    (tmp_path / "benchmarks").mkdir()
    assert verify_module.golds_folder(None, tmp_path / "entries") == tmp_path / "benchmarks"
    assert verify_module.golds_folder(tmp_path, tmp_path / "entries") == tmp_path
    assert issubclass(UsageError, ImageNetHardError)


def test_no_framework_is_imported(board: Board) -> None:
    """Verifying an entry, from import to report, needs no torch."""
    code = f"""
import sys
from imagenet_hard.cli.verify import command
from imagenet_hard.cli.main import run
import imagenet_hard.leaderboard.importing, imagenet_hard.leaderboard.board
import imagenet_hard.leaderboard.hub_entries
import imagenet_hard.cli.submit, imagenet_hard.leaderboard.eval_results, imagenet_hard.leaderboard.published
code = run(command, [{FIRST!r}, "--entries", {str(board.entries)!r}], "x")
heavy = {{"torch", "timm", "open_clip", "datasets", "gradio", "huggingface_hub"}} & set(sys.modules)
print("=>", code, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "=> 0 []", done.stdout + done.stderr
