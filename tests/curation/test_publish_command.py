"""``imagenet-hard curate publish`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.curation.build.builds import built
from tests.hub.server import TOKENS, LoopbackHub

pytest.importorskip("datasets")

# A terminal where somebody types ``answer``; None is no terminal.
COMMAND = """
import io, sys
from imagenet_hard.cli.main import main
class Terminal(io.StringIO):
    def isatty(self):
        return True
if {answer!r} is not None:
    sys.stdin = Terminal({answer!r})
main({args!r})
"""


def publish(hub: LoopbackHub, *args: object, answer: str | None = None, token: str | None = TOKENS["alice"]):
    """The finished process of ``imagenet-hard curate publish ARGS``."""
    code = COMMAND.format(answer=answer, args=["curate", "publish", *map(str, args)])
    done = hub.client(code, token=token)
    assert TOKENS["alice"] not in done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return built(tmp_path / "small")


def test_the_plan_then_the_url(minihub: LoopbackHub, folder: Path) -> None:
    """A dry run prints the plan, publishing prints the address alone; the rest goes to stderr."""
    planned = publish(minihub, folder, "--repo", "lab/hard", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert planned.stderr == ""
    for text in (
        "data/validation-00001-of-00002.parquet",
        "add",
        "a new data set",
        "public",
        "tag v1.0.0: to be",
    ):
        assert text in planned.stdout
    done = publish(minihub, folder, "--repo", "lab/hard")
    commit = minihub.repos["dataset", "lab/hard"].resolve("v1.0.0")
    assert done.stdout == f"{minihub.url}/datasets/lab/hard/commit/{commit}\n"
    for text in (
        "making the public data set lab/hard",
        "sending 4 files",
        f"committed {commit}",
        "tagged v1.0.0",
    ):
        assert text in done.stderr
    again = publish(minihub, folder, "--repo", "lab/hard", "--dry-run")
    assert "nothing to do" in again.stdout
    assert "there, with this content" in again.stdout


def test_json_is_all_of_the_report(minihub: LoopbackHub, folder: Path) -> None:
    """For machines: a plan and an outcome, on stdout alone."""
    args = (folder, "--repo", "lab/hard", "--private", "--no-tag", "--json")
    plan = json.loads(publish(minihub, *args, "--dry-run").stdout)
    done = json.loads(publish(minihub, *args).stdout)
    assert (plan["done"], plan["commit"], plan["private"], plan["tag"]) == (False, None, True, None)
    assert (done["done"], done["commit"]) == (True, minihub.repos["dataset", "lab/hard"].resolve("main"))
    assert done["changes"][1] == {
        "path": "README.md",
        "action": "add",
        "size": (folder / "README.md").stat().st_size,
    }


def test_a_public_upload_is_asked_about(minihub: LoopbackHub, folder: Path) -> None:
    """On a terminal, with the plan above the question; "no" sends nothing, --yes and --private do not ask."""
    question = "Upload to lab/hard, which everybody can see?"
    no = publish(minihub, folder, "--repo", "lab/hard", answer="n\n")
    assert (no.returncode, no.stdout) == (1, "")
    assert question in no.stderr
    assert no.stderr.index("README.md") < no.stderr.index(question)
    assert "nothing was uploaded" in no.stderr
    closed = publish(minihub, folder, "--repo", "lab/hard", answer="")
    assert closed.returncode == 130
    assert minihub.repos == {}
    hidden = publish(minihub, folder, "--repo", "lab/secret", "--private", answer="")
    assert hidden.returncode == 0, hidden.stderr
    assert question not in hidden.stderr
    assert publish(minihub, folder, "--repo", "lab/sure", "--yes", answer="").returncode == 0
    yes = publish(minihub, folder, "--repo", "lab/hard", answer="y\n")
    assert yes.returncode == 0
    assert yes.stdout.startswith(f"{minihub.url}/datasets/lab/hard/commit/")
    nothing = publish(minihub, folder, "--repo", "lab/hard", answer="")
    assert nothing.returncode == 0
    assert "nothing to do" in nothing.stderr


def test_a_pull_request(minihub: LoopbackHub, folder: Path) -> None:
    """Its address, and how the tag comes about."""
    minihub.push("dataset", "lab/hard", {"LICENSE": b"x"})
    done = publish(minihub, folder, "--repo", "lab/hard", "--pr", token=TOKENS["bob"])
    assert done.stdout == f"{minihub.url}/datasets/lab/hard/discussions/1\n"
    assert "Once it is merged, publish again without --pr" in done.stderr
    planned = publish(minihub, folder, "--repo", "lab/hard", "--pr", "--dry-run", token=TOKENS["bob"])
    assert (
        f"the pull request is open already: {minihub.url}/datasets/lab/hard/discussions/1" in planned.stdout
    )


def test_errors_have_codes(minihub: LoopbackHub, tmp_path: Path, folder: Path) -> None:
    """Wrong usage is 2, a refusal 1, each one message and no traceback."""
    for args, code, message in (
        ((folder,), 2, "Missing option '--repo'"),
        ((folder, "--repo", "hard"), 2, "Error: 'hard' is not a Hub id"),
        ((tmp_path / "none", "--repo", "lab/hard"), 2, "Error: there is no folder"),
        ((tmp_path, "--repo", "lab/hard"), 1, "is not a built data set"),
        ((folder, "--repo", "bob/hard"), 1, "the token may not write to bob/hard (403)"),
    ):
        done = publish(minihub, *args)
        assert (done.returncode, done.stdout) == (code, ""), args
        assert message in done.stderr
        assert "Traceback" not in done.stderr
