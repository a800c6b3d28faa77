"""The check on pull requests: its script on real git repositories, and what is posted of it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from importlib.metadata import files
from pathlib import Path

import pytest
import yaml

from imagenet_hard.base.errors import ResultError
from imagenet_hard.leaderboard.corrections import CORRECTIONS, make_correction, newest, read_corrections
from imagenet_hard.leaderboard.gold import known_golds, read_gold
from imagenet_hard.leaderboard.verify.changes import RequestReview
from imagenet_hard.leaderboard.verify.git_changes import review_of_request
from imagenet_hard.leaderboard.verify.ownership import Author
from imagenet_hard.leaderboard.verify.report import MARKER, Report, check, markdown_report, tier_of
from imagenet_hard.leaderboard.verify.run import verify
from imagenet_hard.leaderboard.withdrawn import withdraw
from tests.conftest import ROOT
from tests.leaderboard.boards import FIRST, Board, change, standard

WORKFLOWS = ROOT / ".github" / "workflows"
SCRIPT = ROOT / ".github" / "verify-entries"


def commented(
    folder: Path, report: str | None, *, files: tuple[str, ...] = (), before: str | None = None
) -> list[list[object]]:
    """What the workflow's own script does with a report: its calls as [name, argument]."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    (folder / "report").mkdir()
    if report is not None:
        (folder / "report" / "report.md").write_text(report)
    steps = yaml.safe_load((WORKFLOWS / "comment-entries.yml").read_text())["jobs"]["comment"]["steps"]
    changed = files or (f"leaderboard/entries/{FIRST}/entry.json",)
    comments = [
        {"id": 1, "user": {"login": "mallory"}, "body": MARKER},
        *([{"id": 7, "user": {"login": "github-actions[bot]"}, "body": before}] if before else []),
    ]
    script = f"""
      const calls = []
      const note = name => async value => {{ calls.push([name, value]) }}
      const core = {{info: text => calls.push(['info', text])}}
      const context = {{repo: {{}}, payload: {{workflow_run: {{head_sha: 'c0ffee', head_branch: 'x',
        conclusion: 'success', html_url: 'https://example.org/run',
        head_repository: {{owner: {{login: 'm'}}}}}}}}}}
      const listFiles = {json.dumps([{"filename": name} for name in changed])}
      const listComments = {json.dumps(comments)}
      const github = {{paginate: async all => all, rest: {{
        pulls: {{list: async () => ({{data: [{{number: 5, head: {{sha: 'c0ffee'}}}}]}}), listFiles}},
        issues: {{listComments, updateComment: note('update'), createComment: note('create')}}}}}};
      (async () => {{ {steps[1]["with"]["script"]} }})().then(() => console.log(JSON.stringify(calls)))
    """
    # `require` is the action's; a file has it as well.
    (folder / "script.js").write_text(script)
    done = subprocess.run([node, "script.js"], cwd=folder, capture_output=True, text=True, check=True)
    calls: list[list[object]] = json.loads(done.stdout)
    return calls


HOSTILE = (
    "`a` | <b> @torvalds #1 www.evil.org a@b.org [x](https://evil.org) ![x](https://evil.org) "
    "<!-- x --> <img src=x> ``` ~~~ \\` \u202e"
)


def test_a_report_is_posted_as_one_block_of_code(tmp_path: Path) -> None:
    """Whatever strangers wrote stands between two fences that it cannot close; the commit is named."""
    checks = (check("schema", "flagged", HOSTILE), check("x", "failed", "```\n# live"))
    report = Report(entry="x```\n# live", tier=tier_of(checks), checks=checks)
    ((name, posted),) = commented(tmp_path, markdown_report([report], problems=["```\n@all"]))
    assert name == "create"
    lines = posted["body"].split("\n")
    assert [i for i, line in enumerate(lines) if "`" in line] == [3, 5, len(lines) - 3]
    assert lines[3] == "Commit `c0ffee`: success. [Full report](https://example.org/run)"
    assert (lines[5], lines[-3]) == ("```text", "```")
    assert lines[6].startswith("REFUSED: ")
    assert "@torvalds" in lines[8]


def test_a_forged_report_is_as_harmless(tmp_path: Path) -> None:
    """A request can write any file for ours: no fence in it ends ours, and a comment's length is kept."""
    forged = f"{MARKER}\n\n```text\n" + "``\u200b` @all\r\n" * 9000 + "\n```\n[approve](https://evil.org)\n"
    ((_, posted),) = commented(tmp_path, forged)
    inside, after = posted["body"].split("\n```text\n")[1].split("\n```\n")
    assert "`" not in inside
    assert "evil" not in posted["body"]
    assert "see the full report" in inside
    assert after.strip() == "A flag fails nothing: a person looks at it before merging."
    assert len(posted["body"]) < 65_536


def test_the_next_run_replaces_the_comment(tmp_path: Path) -> None:
    """Also one that reports nothing, or breaks off; somebody else's comment stays."""
    for i, (report, said) in enumerate(
        [(markdown_report([]), "no entry to verify"), (None, "The check ended without a report.")]
    ):
        folder = tmp_path / str(i)
        folder.mkdir()
        ((name, posted),) = commented(folder, report, before=f"{MARKER}\nof the run before")
        assert (name, posted["comment_id"]) == ("update", 7)
        assert said in posted["body"]


def test_a_request_that_may_have_changed_its_own_check(tmp_path: Path) -> None:
    """Its report is not repeated."""
    files = (".github/workflows/verify-entries.yml", f"leaderboard/entries/{FIRST}/entry.json")
    ((_, posted),) = commented(tmp_path, markdown_report([], problems=["all is well"]), files=files)
    assert "all is well" not in posted["body"]
    assert "changes 1 files outside leaderboard/" in posted["body"]


def test_actions_are_pinned_by_commit_and_packages_by_hash() -> None:
    """A tag can be moved; a hash cannot."""
    for path in WORKFLOWS.glob("*.yml"):
        for action in re.findall(r"uses: (.*)", path.read_text()):
            assert re.fullmatch(r"(actions|pypa)/[a-z-]+@[0-9a-f]{40} # v[\d.]+", action), (path.name, action)
    steps = yaml.safe_load((WORKFLOWS / "verify-entries.yml").read_text())["jobs"]["verify"]["steps"]
    installs = [line for step in steps for line in step.get("run", "").splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)
    wanted = re.findall(
        r"^([a-z0-9-]+)==[0-9.]+ \\\n    --hash", (ROOT / ".github/requirements.txt").read_text(), re.M
    )
    asked = (ROOT / ".github" / "requirements.in").read_text().replace("_", "-").split()
    assert set(asked) <= set(wanted)


def modules_of(package: str) -> set[str]:
    """What an installed package gives to import."""
    paths = (each for each in files(package) or () if each.suffix == ".py")
    return {each.parts[0].removesuffix(".py") for each in paths}


def test_what_is_installed_is_enough(tmp_path: Path) -> None:
    """Every package that `verify` imports is among those with a hash."""
    board = standard(tmp_path)
    code = f"""
import sys
from imagenet_hard.cli.main import run
from imagenet_hard.cli.verify import command
run(command, [{str(board.first)!r}, "--entries", {str(board.entries)!r}], "x")
print("=>", *{{name.partition(".")[0] for name in sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = set(done.stdout.split("=>")[1].split())
    pinned = (ROOT / ".github" / "requirements.txt").read_text()
    # Others may be there as well, such as what pyarrow uses where it is installed.
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = {re.split("[>=<]", each)[0] for each in declared}
    ours = {name.replace("_", "-") for name in packages if modules_of(name) & imported}
    assert {"pillow", "pyarrow", "pydantic"} <= ours
    assert not {name for name in ours if f"\n{name}==" not in pinned}


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
        for kind in ("entries", "benchmarks", "withdrawn"):
            if (board.root / kind).is_dir():
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

    def merge(self) -> None:
        """Put what lies in the request's folder on a branch, and merge that."""
        self.git(self.request, "checkout", "-q", "-b", "theirs")
        self.commit(self.request)
        self.git(self.request, "checkout", "-q", "-")
        self.git(self.request, "merge", "-q", "--no-ff", "-m", "merge", "theirs")

    def judged(self, author: str = "", *, maintainer: bool = False) -> RequestReview:
        """Merge the request, and judge its paths in this process."""
        self.merge()
        who = Author("github", author) if author else None
        return review_of_request(
            self.request, self.base / "leaderboard/entries", author=who, maintainer=maintainer
        )

    def check(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Merge the request, and run the script on it."""
        self.merge()
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
            env={**os.environ, **path, "GITHUB_ACTIONS": "", **variables},
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
    assert "```text\nSome-Lab__New: re-scored, top-1 " in text
    assert (request_.root / "report.md.txt").read_text() == done.stdout


def test_a_request_without_entries_has_nothing_to_verify(request_: Request) -> None:
    """A text that was mended."""
    (request_.entries / "README.md").write_text("x")
    done = request_.check()
    assert (done.returncode, done.stdout) == (0, "no entry to verify\n"), done.stderr


def test_a_submission_that_changes_more(request_: Request) -> None:
    """Entries together with a tier of one's own: refused, and the entry is verified all the same."""
    renamed(request_, "New")
    verified = request_.request / "leaderboard" / "verified"
    verified.mkdir()
    (verified / "Some-Lab__New.json").write_text("{}")
    done = request_.check(REQUEST_ASSOCIATION="OWNER")
    assert done.returncode == 1
    # Its own record a maintainer may bring, but this is none; test_requests.py has what others may.
    assert "'verified/Some-Lab__New.json': " in done.stdout
    assert "entry: this key is missing" in done.stdout
    assert "Some-Lab__New: re-scored" in done.stdout


def forged_record(request: Request) -> None:
    path = request.request / "leaderboard" / "verified" / f"{FIRST}.json"
    path.parent.mkdir()
    path.write_text("{}")


def gold_changed(request: Request) -> None:
    next((request.request / "leaderboard" / "benchmarks").glob("*.json")).write_text("{}")


def text_beside_gold(request: Request) -> None:
    (request.request / "leaderboard" / "benchmarks" / "README.md").write_text("x")


def stray_file(request: Request) -> None:
    (request.entries / "numpy.py").write_text("x")


def link_as_entry(request: Request) -> None:
    (request.entries / "X__Y").symlink_to(FIRST)


def link_for_the_entries(request: Request) -> None:
    shutil.move(request.entries, request.request / "leaderboard" / "elsewhere")
    request.entries.symlink_to("elsewhere")


def submodule_as_entry(request: Request) -> None:
    inner = request.entries / "X__Z"
    inner.mkdir()
    request.git(inner, "init", "-q")
    request.git(inner, "commit", "-q", "--allow-empty", "-m", "x")


def program_in_an_entry(request: Request) -> None:
    (renamed(request, "New") / "entry.json").chmod(0o755)


def code_changed(request: Request) -> None:
    (request.request / "leaderboard" / "README.md").write_text("x")
    (request.request / "setup.py").write_text("x")


def git_attributes(request: Request) -> None:
    renamed(request, "New")
    (request.request / ".gitattributes").write_text("*.json filter=x diff=x")


def removed_entry(request: Request) -> None:
    shutil.rmtree(request.entries / FIRST)


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (forged_record, f"'verified/{FIRST}.json' is the maintainers' to change"),
        (gold_changed, ".json' is the maintainers' to change"),
        (text_beside_gold, "'benchmarks/README.md' is the maintainers' to change"),
        (stray_file, "'entries/numpy.py' is of no kind that a board holds"),
        (link_as_entry, "'entries/X__Y' is not a plain file"),
        (link_for_the_entries, "'entries' is not a plain file"),
        (submodule_as_entry, "'entries/X__Z' is not a plain file"),
        (program_in_an_entry, "'entries/Some-Lab__New/entry.json' is not a plain file"),
        (code_changed, "'setup.py' is the maintainers' to change"),
        (git_attributes, "'.gitattributes' does not belong to an entry"),
        (removed_entry, f"{FIRST} is removed: only its proven owner"),
    ],
)
def test_what_a_request_may_not_change(
    request_: Request, attack: Callable[[Request], None], why: str
) -> None:
    """Each is red and says why."""
    attack(request_)
    problems = request_.judged("mallory").problems
    assert any(why in each for each in problems), problems


def test_what_maintainers_change(request_: Request) -> None:
    """Gold and records, where the board still holds together with them."""
    gold = next((request_.request / "leaderboard" / "benchmarks").glob("*.json"))
    gold.write_text(gold.read_text().replace('"note": ""', '"note": "mended"'))
    assert request_.judged(maintainer=True) == RequestReview((), ())


def test_maintainers_err(request_: Request) -> None:
    """Gold that does not hold what it says is red for everybody."""
    gold_changed(request_)
    assert f"{FIRST} is left out" in "".join(request_.judged(maintainer=True).problems)


def correction(request: Request, name: str, *, row: int = 0) -> Path:
    """A correction of the board's gold in the request's folder."""
    board = request.request / "leaderboard"
    first = next(iter(known_golds(board / "benchmarks")))
    gold = newest(read_gold(board / "benchmarks", first), read_corrections(board))
    labels = [0] if gold.labels[row] != (0,) else [1]
    made = make_correction(gold, {gold.ids[row]: (labels, "looked", ["ann"])}, date=dt.date(2026, 1, 1))
    path = board / CORRECTIONS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(made.model_dump_json())
    return path


def test_anybody_sends_a_correction(request_: Request) -> None:
    """Checked against the board's gold; nothing rides along with it."""
    correction(request_, "one")
    correction(request_, "two", row=1)
    assert request_.judged("ann") == RequestReview((), ())


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (lambda r: correction(r, "Two"), "is of no kind that a board holds"),
        (lambda r: (correction(r, "a"), renamed(r, "New")), "a request with entries changes nothing else"),
        (lambda r: (p := correction(r, "a")).write_text(p.read_text().replace("looked", "<b>")), "without <"),
        (lambda r: (p := correction(r, "a")).write_text(p.read_text().replace("[0]", "[7]")), "it says"),
        (lambda r: correction(r, "a").write_text("{" * 10_000), "a.json"),
        (lambda r: shutil.copy(correction(r, "a"), r.request / "leaderboard/corrections/b.json"), "a and b"),
    ],
)
def test_corrections_that_are_refused(
    request_: Request, attack: Callable[[Request], object], why: str
) -> None:
    """By the reason in words."""
    attack(request_)
    (problem,) = request_.judged("mallory").problems
    assert why in problem


def test_the_boards_corrections_are_the_maintainers(request_: Request) -> None:
    """Nobody else changes or removes one that was merged."""
    path = correction(request_, "one")
    request_.commit(request_.request)
    request_.git(request_.base, "pull", "-q", str(request_.request), "HEAD")
    path.unlink()
    (problem,) = request_.judged("mallory").problems
    assert "only maintainers change or remove one" in problem
    entries = request_.base / "leaderboard/entries"
    assert review_of_request(request_.request, entries, maintainer=True) == RequestReview((), ())


def test_git_that_fails(request_: Request) -> None:
    """No repository, no merge, another base: red."""
    renamed(request_, "New")
    request_.merge()
    run = partial(review_of_request, base=request_.base / "leaderboard" / "entries")
    (request_.root / "folder").mkdir()
    with pytest.raises(ResultError, match="git rev-list failed"):
        run(request_.root / "folder")
    request_.git(request_.base, "commit", "-q", "--allow-empty", "-m", "later")
    with pytest.raises(ResultError, match="is merged into"):
        run(request_.request)
    with pytest.raises(ResultError, match="has 1 parents"):
        review_of_request(request_.base, request_.base / "leaderboard" / "entries")


@pytest.mark.parametrize(
    ("had", "has", "author", "outcome"),
    [
        ("alice", "alice", "Alice", "passed: replaces an entry of the same owner, github:Alice"),
        ("alice", "alice", "mallory", "failed: the request was opened by github:mallory"),
        ("alice", "mallory", "mallory", "failed: the board has"),
        (
            "alice",
            "alice",
            "",
            "flagged: replaces an entry of the same submitter and model; not proven",
        ),
        (None, "mallory", "mallory", "flagged: replaces"),
        (None, None, "mallory", "failed: the request was opened by github:mallory"),
    ],
)
def test_an_entry_is_its_owners(
    tmp_path: Path, had: str | None, has: str | None, author: str, outcome: str
) -> None:
    """Who types another's submitter does not get the entry: the account that asks has to own it."""
    board = standard(tmp_path / "board")
    asked = tmp_path / FIRST
    shutil.copytree(board.first, asked)
    change(asked, "training_data", to="other")
    for folder, owner in ((board.first, had), (asked, has)):
        change(folder, "owner", to=owner and {"github": owner})
    who = Author("github", author) if author else None
    (report,) = verify([asked], golds=board.golds, base=board.entries, author=who, trusted=True)
    (found,) = [c for c in report.checks if c.name == "ownership"]
    assert f"{found.outcome}: {found.detail}".startswith(outcome)


def withdrawn(request: Request, by: str = "github:alice", entry: str = FIRST) -> Path:
    """The first entry taken back as the command does it; its record."""
    return withdraw(request.entries, entry, by=by, why="wrong weights", date=dt.date(2026, 1, 1))


def test_an_owner_takes_an_entry_back(tmp_path: Path) -> None:
    """With a record of it; nobody else does, and in nobody else's name."""
    for author, by, refused in (
        ("alice", "github:alice", ""),
        ("Alice", "github:alice", ""),
        ("alice", "github:bob", "is removed by github:alice, and the record says github:bob"),
        ("mallory", "github:mallory", "only its proven owner or a maintainer"),
        ("mallory", "github:alice", "only its proven owner or a maintainer"),
        ("", "github:alice", "only its proven owner or a maintainer"),
    ):
        root = tmp_path / f"{author} {by}"
        board = standard(root / "board")
        change(board.first, "owner", to={"github": "alice"})
        request = Request(root, board)
        withdrawn(request, by)
        problems = request.judged(author).problems
        assert bool(problems) == bool(refused)
        assert refused in "".join(problems)


def no_record(request: Request, record: Path) -> None:
    record.unlink()


def record_of_another(request: Request, record: Path) -> None:
    other = withdrawn(request, entry="Some-Lab__ResNet-50")
    record.write_text(other.read_text())


def record_of_another_state(request: Request, record: Path) -> None:
    record.write_text(record.read_text().replace('"entry_sha256": "', '"entry_sha256": "0')[:-3])


def linked_record(request: Request, record: Path) -> None:
    record.unlink()
    record.symlink_to("/etc/passwd")


def hidden_text(request: Request, record: Path) -> None:
    record.write_text(record.read_text().replace("wrong", "<b>"))


def record_alone(request: Request, record: Path) -> None:
    shutil.copytree(request.base / "leaderboard" / "entries" / FIRST, request.entries / FIRST)


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (no_record, "is removed without a record of who took it back and why"),
        (record_of_another, "is removed with a record that is of another entry"),
        (record_of_another_state, "is removed, and "),
        (linked_record, "is not a plain file"),
        (hidden_text, "plain text"),
        (record_alone, f"'withdrawn/{FIRST}.json' is the maintainers' to change"),
    ],
)
def test_what_leaves_no_trace(tmp_path: Path, attack: Callable[[Request, Path], None], why: str) -> None:
    """The owner's own request is red where the record is missing, another's, or of an entry that stays."""
    board = standard(tmp_path / "board")
    for folder in board.entries.iterdir():
        change(folder, "owner", to={"github": "alice"})
    request = Request(tmp_path, board)
    attack(request, withdrawn(request))
    problems = request.judged("alice").problems
    assert any(why in each for each in problems), problems


def test_maintainers_lift_a_withdrawal(tmp_path: Path) -> None:
    """Nobody else removes a record, by which the id would be free again."""
    for maintainer in (False, True):
        root = tmp_path / str(maintainer)
        board = standard(root / "board")
        record = withdraw(board.entries, FIRST, by="hub:x", why="y", date=dt.date(2026, 1, 1))
        request = Request(root, board)
        (request.request / "leaderboard" / "withdrawn" / record.name).unlink()
        problems = request.judged("x", maintainer=maintainer).problems
        assert ("is the maintainers' to change" in "".join(problems)) != maintainer
        assert bool(problems) != maintainer


def test_attacks_by_file_names(request_: Request) -> None:
    """A line end, an option and commands in folder names, a link: all are refused, none runs."""
    names = ("a\nb", "--all", "$(touch pwned)", ";touch pwned")
    for name in names:
        shutil.copytree(request_.entries / FIRST, request_.entries / name)
    (request_.entries / "Some-Lab__link").mkdir()
    (request_.entries / "Some-Lab__link" / "entry.json").symlink_to("/etc/passwd")
    done = request_.check()
    assert done.returncode == 1, done.stderr
    assert all(f"{f'entries/{name}/entry.json'!r} is of no kind" in done.stdout for name in names), (
        done.stdout
    )
    assert "'entries/Some-Lab__link/entry.json' is not a plain file" in done.stdout
    assert "root:" not in done.stdout + (request_.root / "report.md").read_text()
    assert not list(request_.root.rglob("pwned"))


def test_case_twins_in_one_request(request_: Request) -> None:
    """Two new entries that differ in capitals only: both fail, the third of the request is reported."""
    first = renamed(request_, "New")
    twin = request_.entries / "some-lab__new"
    shutil.copytree(first, twin)
    for key, value in (("id", twin.name), ("org", "some lab"), ("name", "new")):
        change(twin, key, to=value)
    renamed(request_, "Other")
    done = request_.check()
    assert done.returncode == 1
    assert done.stdout.count("among the entries to verify are Some-Lab__New and some-lab__new") == 2
    assert "Some-Lab__Other: re-scored" in done.stdout
