"""Pull requests on the Hub, by the official client on loopback: never two for one submission."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from imagenet_hard.leaderboard.withdrawn import withdraw
from tests.hub.server import Fault, LoopbackHub
from tests.leaderboard.boards import FIRST, Board, change, standard

REPO = "alice/board"
COMMIT = r"/commit/"

SUBMIT = """
import json, logging
from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.hub.pull_request import open_pull_request
for repo, marker, options in {calls!r}:
    try:
        files = {{"entries/a__b/entry.json": b"{{}}", "entries/a__b/predictions.parquet": b"PAR1" * 100}}
        done = open_pull_request(repo, files, title="Submit a__b", description="x", marker=marker,
                                 waits=(0, 0.1), **options)
        print("=> " + json.dumps([done.number, done.opened, done.url]))
    except ImageNetHardError as error:
        print("=> " + json.dumps([type(error).__name__, str(error)]))
"""


def submits(
    hub: LoopbackHub, *markers: str, repo: str = REPO, token: str | None = "hf_bob", **options: Any
) -> list[Any]:
    """What each submission ends in: [number, opened, url], or [error, message]."""
    calls = [(repo, marker, options) for marker in markers]
    done = hub.client(SUBMIT.format(calls=calls), token=token)
    assert done.returncode == 0, done.stderr
    assert not token or token not in done.stdout + done.stderr
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("=> ")]


def requests(hub: LoopbackHub, repo: str = REPO, kind: str = "dataset") -> list[dict[str, Any]]:
    discussions: list[dict[str, Any]] = hub.repos[kind, repo].meta["discussions"]
    return discussions


@pytest.fixture
def hub(minihub: LoopbackHub) -> LoopbackHub:
    minihub.push("dataset", REPO, {"README.md": b"# Board\n"})
    return minihub


def test_one_request_for_one_submission(hub: LoopbackHub) -> None:
    """The same marker again finds the request; another marker opens another."""
    first, again, other = submits(hub, "aa", "aa", "bb")
    assert first[:2] == [1, True]
    assert again[:2] == [1, False]
    assert again[2] == first[2]
    assert other[:2] == [2, True]
    assert [d["title"] for d in requests(hub)] == ["Submit a__b [aa]", "Submit a__b [bb]"]


def test_a_closed_request_is_opened_anew_and_a_merged_one_is_not(hub: LoopbackHub) -> None:
    """Refused once, a submission may come again; accepted, it is done."""
    submits(hub, "aa")
    requests(hub)[0]["status"] = "closed"
    assert submits(hub, "aa")[0][:2] == [2, True]
    requests(hub)[1]["status"] = "merged"
    assert submits(hub, "aa")[0][:2] == [2, False]


def test_anothers_request_of_the_same_title_does_not_stand_in(hub: LoopbackHub) -> None:
    """Nobody blocks a submission by opening a request with its marker first."""
    assert submits(hub, "aa", token="hf_alice")[0][:2] == [1, True]
    assert submits(hub, "aa", token="hf_bob")[0][:2] == [2, True]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", COMMIT, drop="lost"),
        Fault("POST", COMMIT, drop="lost", rst=True),
        Fault("POST", COMMIT, drop="request"),
        Fault("POST", COMMIT, status=500),
        Fault("POST", COMMIT, status=429, headers={"Retry-After": "0"}),
        Fault("POST", COMMIT, status=412),
        Fault("POST", COMMIT, status=409, times=2),
        Fault("GET", r"/discussions", status=503),
    ],
    ids=lambda fault: f"{fault.drop or fault.status}{'-rst' if fault.rst else ''}",
)
def test_a_passing_fault_leaves_one_request(hub: LoopbackHub, fault: Fault) -> None:
    """Lost replies are recognised, refused attempts are made again."""
    hub.faults.append(fault)
    assert submits(hub, "aa")[0][0] == 1
    assert fault.hits
    assert len(requests(hub)) == 1


def test_every_reply_lost(hub: LoopbackHub) -> None:
    """The commit lands at the first attempt, and every later look finds it."""
    hub.faults.append(Fault("POST", COMMIT, drop="lost", times=9))
    assert submits(hub, "aa")[0][:2] == [1, False]
    assert len(requests(hub)) == 1


def test_a_lasting_fault_is_explained(hub: LoopbackHub) -> None:
    """After the last attempt the message says that nothing is lost by trying again."""
    hub.faults.append(Fault("POST", COMMIT, status=500, times=9))
    name, message = submits(hub, "aa")[0]
    assert name == "ResultError"
    assert message == (
        "the Hub failed (500) for alice/board: run the same command again later; what has been sent is kept."
        " It says: injected"
    )
    assert requests(hub) == []


@pytest.mark.parametrize(
    ("repo", "token", "fault", "message"),
    [
        (REPO, None, None, "set HF_TOKEN or run `hf auth login`"),
        (REPO, "hf_wrong", None, "the Hub refused the token (401) for alice/board"),
        (
            "alice/nothing",
            "hf_bob",
            None,
            "alice/nothing on the Hub does not exist, or is private and the token",
        ),
        (
            REPO,
            "hf_bob",
            Fault("POST", COMMIT, status=403, times=9),
            "the token may not open a pull request on alice/board (403)",
        ),
        ("board", "hf_bob", None, "expected OWNER/NAME"),
        ("../../x", "hf_bob", None, "expected OWNER/NAME"),
        (REPO, "hf bob", None, "the Hub token is not valid"),
    ],
)
def test_refusals_say_what_to_do(
    hub: LoopbackHub, repo: str, token: str | None, fault: Fault | None, message: str
) -> None:
    """At once, and without the token."""
    if fault:
        hub.faults.append(fault)
    found = submits(hub, "aa", repo=repo, token=token)[0]
    assert message in found[1]
    assert requests(hub) == []


CLI = """
import sys
from imagenet_hard.cli.{command} import command
from imagenet_hard.cli.main import run
sys.exit(run(command, {args!r}, "x"))
"""


def cli(hub: LoopbackHub, command: str, *args: object, token: str = "hf_bob") -> Any:
    return hub.client(CLI.format(command=command, args=list(map(str, args))), token=token)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return standard(tmp_path / "board")


def push_board(hub: LoopbackHub, board: Board, *leave_out: str) -> None:
    files = {
        str(path.relative_to(board.root)): path.read_bytes()
        for path in board.root.rglob("*")
        if path.is_file() and path.parts[-2] not in ("results", *leave_out)
    }
    hub.push("dataset", REPO, files)


@pytest.mark.slow
def test_submitted_and_verified_on_the_hub(hub: LoopbackHub, board: Board) -> None:
    """`submit --hub` twice opens one request; `verify --hub --pr` checks what it changes."""
    push_board(hub, board, FIRST)
    result = board.result(board.scored())
    args = (result, "--name", "ViT-B/32", "--org", "Some Lab", "--golds", board.golds, "--hub", REPO, "--yes")
    first, again = cli(hub, "submit", *args), cli(hub, "submit", *args)
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert first.stdout.startswith("opened http")
    assert again.stdout.startswith("open already: http")
    assert len(requests(hub)) == 1
    done = cli(hub, "verify", "--hub", REPO, "--pr", 1, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert (report["entry"], report["tier"]) == (FIRST, "re-scored")
    assert "a new entry of hub:bob" in [c["detail"] for c in report["checks"]]
    hub.push("dataset", REPO, {"entries/README.md": b"what main got since the request was opened"})
    later = cli(hub, "verify", "--hub", REPO, "--pr", 1)
    assert (later.returncode, later.stdout.startswith(f"{FIRST}: re-scored")) == (0, True), later.stdout
    whole = cli(hub, "verify", "--hub", REPO)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count(": re-scored") == 2


def open_requests(hub: LoopbackHub, *requests: tuple[dict[str, bytes], list[str]]) -> None:
    """Pull requests by bob, in order: each with the files that it writes, and those that it deletes."""
    code = f"""
from huggingface_hub import HfApi, CommitOperationAdd as Add, CommitOperationDelete as Delete
for files, delete in {requests!r}:
    ops = [Add(p, c) for p, c in files.items()] + [Delete(p) for p in delete]
    HfApi().create_commit({REPO!r}, ops, commit_message="x", repo_type="dataset", create_pr=True)
"""
    done = hub.client(code, token="hf_bob")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_requests_that_are_no_submission(hub: LoopbackHub, board: Board) -> None:
    """Changed labels, a tier of one's own, a removed entry, another's place: each is refused.

    An entry of bob's is taken back with a record of it, and not without.
    """
    bobs = board.entries / "Some-Lab__ConvNeXt"
    change(bobs, "owner", to={"hub": "bob"})
    push_board(hub, board)
    gold = next(board.golds.glob("*.parquet"))
    entry = board.first / "entry.json"
    stolen = entry.read_bytes().replace(b'"submitter": "Some Lab"', b'"submitter": "mallory"')
    assert stolen != entry.read_bytes()
    files = [f"entries/{bobs.name}/{path.name}" for path in bobs.iterdir()]
    record = withdraw(board.entries, bobs.name, by="hub:bob", why="wrong", date=dt.date(2026, 1, 1))
    open_requests(
        hub,
        ({f"benchmarks/{gold.name}": b"PAR1"}, []),
        ({f"verified/{FIRST}.json": b"{}"}, []),
        ({}, [f"entries/{FIRST}/entry.json"]),
        ({f"entries/{FIRST}/entry.json": stolen}, []),
        ({f"withdrawn/{record.name}": record.read_bytes()}, files),
        ({}, files),
    )
    done = cli(hub, "verify", "--hub", REPO, "--pr", 5)
    assert (done.returncode, done.stdout) == (0, "no entry to verify\n"), done.stdout + done.stderr
    for number, message in (
        (6, f"REFUSED: {bobs.name} is removed without a record"),
        (1, f"REFUSED: 'benchmarks/{gold.name}' is the maintainers' to change"),
        (2, f"REFUSED: 'verified/{FIRST}.json' is the maintainers' to change"),
        (3, "FAILED"),
        (4, "the request was opened by hub:bob: the entry names nobody as its owner"),
        (99, "no revision 'refs/pr/99'"),
    ):
        done = cli(hub, "verify", "--hub", REPO, "--pr", number)
        assert done.returncode == 1, done.stdout
        assert message in done.stdout + done.stderr
