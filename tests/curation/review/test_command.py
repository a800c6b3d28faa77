"""`imagenet-hard curate review`: the report, the page, and wrong usage."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from imagenet_hard.cli.curate.review import command
from imagenet_hard.cli.main import run
from imagenet_hard.curation.recipe import Recipe
from imagenet_hard.curation.review.decisions import DecisionRow, append_decision
from imagenet_hard.curation.store import FILE, CurationStore, ImageRecord, Views
from tests.curation.review.survivors import free_port
from tests.dataset.images import class_tree

NOON = datetime(2023, 4, 12, 12, 0, 0, tzinfo=UTC)
RECIPE = {
    "name": "small",
    "version": "1.0.0",
    "sources": [{"variant": "imagenet", "path": "val", "licence": "x"}],
    "classifiers": [{"model": "efficientnet_lite0"}],
}


def review(*args: object) -> int:
    return run(command, [str(arg) for arg in args], "imagenet-hard curate review")


def decide(work: Path, reviewer: str, **actions: str) -> Path:
    path = work / "decisions" / f"{reviewer}.csv"
    for id, action in actions.items():
        reason = "ambiguous: [bold]?" if action == "drop" else ""
        append_decision(path, DecisionRow(id, action, reason, (), reviewer, NOON, "ab" * 32))
    return path


def hard(id: str, sha256: str = "ab" * 32, label: int = 0) -> ImageRecord:
    views = Views.empty(324)
    views.deficit[:], views.predicted[:] = np.linspace(2, 1, 324), 5
    return ImageRecord(id, "imagenet", (label,), sha256, "hard", views={"efficientnet_lite0": views})


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path / "recipe.yaml"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Scores with three survivors, a and b and c; two reviewers who differ about b."""
    with CurationStore(tmp_path / "work" / FILE, create=True) as store:
        store.write([hard(id) for id in "abc"], facts={"standard": json.dumps({"efficientnet_lite0": 112})})
    decide(tmp_path / "work", "ann", a="keep", b="drop")
    decide(tmp_path / "work", "bob", a="keep", b="keep")
    return tmp_path / "work"


def test_the_report_as_tables(work, recipe, capsys):
    """Counts, reviewers, agreement, conflicts; a reason is no markup."""
    assert review("--recipe", recipe, "--work", work, "--report") == 0
    out = capsys.readouterr().out
    for line in (
        r"in conflict +│ +1 ",
        r"undecided +│ +1 ",
        r"ann +│ +2 ",
        r"ann, bob +│ +2 +│ +50.0% +│ +0.000 ",
        r"b +│ ann +│ drop +│ ambiguous: \[bold\]\?",
        r" +│ bob +│ keep +│ ",
    ):
        assert re.search(line, out), f"{line} is not in\n{out}"


def test_an_undefined_kappa_is_a_dash(tmp_path, work, recipe, capsys):
    """Never nan."""
    decide(work, "cid", c="keep")
    assert review("--recipe", recipe, "--work", work, "--report") == 0
    out = capsys.readouterr().out
    assert re.search(r"ann, cid +│ +0 +│ +– +│ +– ", out)
    assert "nan" not in out.lower()


def test_the_report_as_json(work, recipe, capsys):
    """For machines: all of it, and an adjudication settles."""
    assert review("--recipe", recipe, "--work", work, "--report", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in found.pop("conflicts")] == ["b"]
    assert found == {
        "decided": {"keep": 1, "drop": 0, "relabel": 0},
        "undecided": 1,
        "adjudicated": 0,
        "reviewers": {"ann": 2, "bob": 2},
        "agreement": [{"reviewers": ["ann", "bob"], "n": 2, "raw": 0.5, "kappa": 0.0}],
    }
    chief = decide(work, "chief", b="drop")
    options = ("--recipe", recipe, "--work", work, "--report", "--json", "--adjudication", chief)
    assert review(*options) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["conflicts"], found["adjudicated"], found["decided"]["drop"]) == ([], 1, 1)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 2, "give either --reviewer NAME, to review, or --report"),
        (("--reviewer", "ann", "--report"), 2, "give either --reviewer NAME, to review, or --report"),
        (("--reviewer", "ann", "--json"), 2, "--json and --adjudication belong to --report"),
        (("--reviewer", "ann", "--port", "0"), 2, "0 is not in the range 1<=x<=65535"),
        (("--report", "--adjudication", "nowhere.csv"), 1, "cannot read nowhere.csv: it is not there"),
    ],
)
def test_wrong_usage(work, recipe, capsys, args, code, message):
    """What is wrong, without a traceback."""
    assert review("--recipe", recipe, "--work", work, *args) == code
    assert message in capsys.readouterr().err


def test_a_report_without_scores_or_decisions(tmp_path, recipe, capsys):
    """Says which step comes first."""
    assert review("--recipe", recipe, "--work", tmp_path, "--report") == 2
    assert "there are no decisions in" in capsys.readouterr().err
    decide(tmp_path, "ann", a="keep")
    assert review("--recipe", recipe, "--work", tmp_path, "--report") == 1
    assert "run `imagenet-hard curate score`" in capsys.readouterr().err


def test_help_needs_no_framework():
    """Neither torch nor Gradio is imported."""
    code = (
        "from imagenet_hard.cli.main import group, run\nrun(group, ['curate', 'review', '--help'], 'x')\n"
        "import sys\nprint('loaded:', *[m for m in ('torch', 'gradio', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rpartition("loaded:")[2].split() == []
    assert "--no-browser" in done.stdout


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Real folders, and scores in which every image is hard; the work folder."""
    sources = pytest.importorskip("imagenet_hard.curation.sources")
    class_tree(tmp_path / "val", per_class=1)
    (source,) = sources.open_sources(Recipe.model_validate(RECIPE), tmp_path)
    with CurationStore(tmp_path / "work" / FILE, create=True) as store:
        records = [hard(e.id, hashlib.sha256(e.image).hexdigest(), e.labels[0]) for e in source.images]
        store.write(records, facts={"standard": json.dumps({"efficientnet_lite0": 112})})
    return tmp_path / "work"


@pytest.mark.slow
def test_the_page_is_served_until_it_is_interrupted(tmp_path, scored, recipe):
    """The address on stderr, an answer there, Ctrl-C ends it with 0."""
    port = free_port()
    args = ["--recipe", recipe, "--data", tmp_path, "--work", scored, "--reviewer", "ann", "--no-browser"]
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "imagenet_hard.cli.main",
            "curate",
            "review",
            *map(str, args),
            "--port",
            str(port),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Python heeds Ctrl-C only where it is not ignored from the start, as in a shell's background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "only this machine" in line)
        assert f"http://127.0.0.1:{port}/" in line
        assert str(scored / "decisions" / "ann.csv") in line
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            assert b"Review of hard images" in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "Everything that was decided is on disk." in err


def test_no_conflicts_to_settle(tmp_path, scored, recipe, capsys):
    """Told, and nothing is served."""
    args = ("--recipe", recipe, "--data", tmp_path, "--work", scored, "--reviewer", "chief", "--conflicts")
    assert review(*args) == 2
    assert "none is in conflict" in capsys.readouterr().err
