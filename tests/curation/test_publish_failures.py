"""The Hub fails in every way it can: a build lands once, or the message says what to do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.curation.build.builds import built
from tests.curation.publishing import PUBLISH, REPO, SHARD, asked, call, holds, log, publishes, stored
from tests.hub.server import TOKENS, Fault, LoopbackHub, hub_client_env

pytest.importorskip("datasets")

OTHER_COMMIT = (
    "from huggingface_hub import HfApi\n"
    "HfApi().upload_file(path_or_fileobj=b'theirs', path_in_repo={path!r}, repo_id={repo!r},"
    " repo_type='dataset', commit_message='Theirs')"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return built(tmp_path / "small")


LATER = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
PASSING = {
    "status-500": {"status": 500},
    "error-page-502": {"status": 502, "body": b"<html>bad gateway</html>"},
    "rate-limit-seconds": {"status": 429, "headers": {"Retry-After": "1"}},
    "rate-limit-date": {"status": 429, "headers": {"Retry-After": LATER}},
    "conflict-409": {"status": 409},
    "conflict-412": {"status": 412},
    "lost-before": {"drop": "request"},
    "lost-before-reset": {"drop": "request", "rst": True},
    "lost-after": {"drop": "lost"},
    "lost-after-reset": {"drop": "lost", "rst": True},
    "cut-reply": {"drop": "response", "after": 20},
}
"""What may happen to a request that a later one survives."""


def test_a_commit_survives_each_failure_and_lands_once(minihub: LoopbackHub, folder: Path) -> None:
    """One commit, one upload of each file and one tag, whatever happened to the commit request."""
    for name, fault in PASSING.items():
        minihub.push("dataset", f"lab/{name}", {"LICENSE": b"x"})
        minihub.faults.append(Fault("POST", f"/lab/{name}/commit/", **fault))
    started = time.monotonic()
    reports = publishes(minihub, *(call(folder, f"lab/{name}") for name in PASSING))
    assert all(fault.hits == 1 for fault in minihub.faults)
    assert time.monotonic() - started > 1  # the Retry-After of one second, which was not in `waits`
    for name, report in zip(PASSING, reports, strict=True):
        assert report.get("done") is True, (name, report)
        assert [line.split(" (")[0] for line in log(minihub, f"lab/{name}")] == [
            "Publish small 1.0.0",
            "push",
            "initial commit",
        ], name
        assert holds(minihub, folder, f"lab/{name}")
        assert minihub.repos["dataset", f"lab/{name}"].resolve("v1.0.0") == report["commit"]
        commits = 1 if name.startswith(("lost-after", "cut")) else 2
        assert len(asked(minihub, "POST", f"/lab/{name}/commit/")) == commits, name
        assert len(asked(minihub, "POST", f"/lab/{name}.git/info/lfs")) == 1, name
    assert len(asked(minihub, "PUT", "/_lfs/")) == 2
    assert any("trying again in 1 s" in line for line in reports[2]["said"])


def test_a_pull_request_survives_each_failure_and_opens_once(minihub: LoopbackHub, folder: Path) -> None:
    """Never two for one build, whatever happened to the commit request; a later run finds it too."""
    for name, fault in PASSING.items():
        minihub.push("dataset", f"lab/{name}", {"LICENSE": b"x"})
        minihub.faults.append(Fault("POST", f"/lab/{name}/commit/", **fault))
    calls = [call(folder, f"lab/{name}", pull_request=True) for name in PASSING]
    reports = publishes(minihub, *calls, token=TOKENS["bob"])
    assert all(fault.hits == 1 for fault in minihub.faults)
    again = publishes(minihub, *calls, token=TOKENS["bob"])
    for name, report, second in zip(PASSING, reports, again, strict=True):
        requests = minihub.repos["dataset", f"lab/{name}"].meta["discussions"]
        assert [r["num"] for r in requests] == [1], (name, report)
        assert report["pull_request"] == second["pull_request"] == 1
        assert report["url"] == f"{minihub.url}/datasets/lab/{name}/discussions/1"
        assert holds(minihub, folder, f"lab/{name}", "refs/pr/1")
        assert log(minihub, f"lab/{name}") == ["push", "initial commit"]
        assert (report["tag"], report["commit"]) == (None, None)
    assert len(asked(minihub, "PUT", "/_lfs/")) == 2


FAILURES: tuple[dict[str, Any], ...] = (
    {"status": 503},
    {"status": 502, "body": b"<html>bad gateway</html>"},
    {"drop": "lost"},
)


@pytest.mark.parametrize(
    "requests",
    [
        {
            "look": ("GET", r"/api/datasets/lab/look$"),
            "refs": ("GET", r"/lab/refs/refs"),
            "tag": ("POST", r"/lab/tag/tag/"),
        },
        {"card": ("POST", r"/api/validate-yaml")},
        {"make": ("POST", r"/api/repos/create")},
    ],
    ids=",".join,
)
def test_every_other_request_may_fail(
    minihub: LoopbackHub, folder: Path, requests: dict[str, tuple[str, str]]
) -> None:
    """Making the repository, looking and tagging: a busy server, an error page and a lost reply in a row."""
    for method, path in requests.values():
        minihub.faults += [Fault(method, path, **failure) for failure in FAILURES]
    reports = publishes(minihub, *(call(folder, f"lab/{name}") for name in requests))
    assert [fault.hits for fault in minihub.faults] == [1] * len(minihub.faults)
    for name, report in zip(requests, reports, strict=True):
        assert report.get("done") is True, (name, report)
        assert holds(minihub, folder, f"lab/{name}")
        assert len(log(minihub, f"lab/{name}")) == 2
        git = minihub.repos["dataset", f"lab/{name}"]
        assert git.resolve("v1.0.0") == git.resolve("main") == report["commit"]


def test_a_commit_in_between_is_kept(minihub: LoopbackHub, folder: Path) -> None:
    """The server's own 412: the head is read again and the build goes on top."""
    minihub.push("dataset", REPO, {"LICENSE": b"x"})
    hook = OTHER_COMMIT.format(path="theirs.txt", repo=REPO)
    (report,) = publishes(minihub, call(folder, at="sending", hook=hook))
    assert [line.split(" (")[0] for line in log(minihub)] == [
        "Publish small 1.0.0",
        "Theirs",
        "push",
        "initial commit",
    ]
    assert stored(minihub)["theirs.txt"] == b"theirs"
    assert any("another commit came first (412)" in line for line in report["said"])
    assert {c["path"]: c["action"] for c in report["changes"]}["theirs.txt"] == "left alone"


def test_a_lost_commit_is_found_below_anothers(minihub: LoopbackHub, folder: Path) -> None:
    """Ours landed, its reply was lost, and somebody changed the card: theirs stays, ours is tagged."""
    minihub.push("dataset", REPO, {"LICENSE": b"x"})
    minihub.faults.append(Fault("POST", "/lab/hard/commit/", drop="lost"))
    hook = OTHER_COMMIT.format(path="README.md", repo=REPO)
    (report,) = publishes(minihub, call(folder, at="connection failed", hook=hook))
    assert [line.split(" (")[0] for line in log(minihub)][:2] == ["Theirs", "Publish small 1.0.0"]
    git = minihub.repos["dataset", REPO]
    assert report["commit"] == git.resolve("main~1") == git.resolve("v1.0.0")
    assert stored(minihub)["README.md"] == b"theirs"


def test_refusals_are_not_tried_again(minihub: LoopbackHub, folder: Path) -> None:
    """401, 403 and 404 on the commit: one request, and the right that is missing."""
    said = {
        401: "the Hub refused the token (401) for lab/r401: get one with write access at",
        403: "the token may not write to lab/r403 (403). It needs the role write",
        404: "lab/r404 on the Hub does not exist, or is private and the token has no access (404): check",
        413: "the Hub did not accept the upload to lab/r413 (413)",
    }
    for status in said:
        minihub.push("dataset", f"lab/r{status}", {"LICENSE": b"x"})
        minihub.faults.append(Fault("POST", f"/lab/r{status}/commit/", status=status, times=9))
    results = publishes(minihub, *(call(folder, f"lab/r{status}") for status in said))
    for (status, text), result in zip(said.items(), results, strict=True):
        assert (result["error"], result["exit"]) == ("DatasetError", 1)
        assert text in result["message"]
        assert len(asked(minihub, "POST", f"/lab/r{status}/commit/")) == 1
        assert log(minihub, f"lab/r{status}") == ["push", "initial commit"]


def test_it_gives_up_in_the_end(minihub: LoopbackHub, folder: Path) -> None:
    """A Hub that never recovers: as many attempts as waits and one, then what to do."""
    lasting = {
        "r500": {"status": 500},
        "r412": {"status": 412},
        "gone": {"drop": "request"},
    }
    for name, fault in lasting.items():
        minihub.push("dataset", f"lab/{name}", {"LICENSE": b"x"})
        minihub.faults.append(Fault("POST", f"/lab/{name}/commit/", times=99, **fault))
    slow = {"status": 429, "headers": {"Retry-After": "3600"}}
    minihub.push("dataset", "lab/slow", {"LICENSE": b"x"})
    minihub.faults.append(Fault("POST", "/lab/slow/commit/", times=99, **slow))
    failed, busy, gone, later = publishes(
        minihub, *(call(folder, f"lab/{name}") for name in (*lasting, "slow"))
    )
    assert "the Hub failed (500) for lab/r500: run the same command again later" in failed["message"]
    assert "lab/r412 changed at every attempt (412)" in busy["message"]
    assert "lab/gone on the Hub cannot be reached: RemoteProtocolError" in gone["message"]
    assert "the Hub asks to wait 3600 s (429): run the same command again then" in later["message"]
    assert [len(asked(minihub, "POST", f"/lab/{name}/commit/")) for name in (*lasting, "slow")] == [
        4,
        4,
        4,
        1,
    ]


def test_tokens_that_do_not_do(minihub: LoopbackHub, folder: Path) -> None:
    """None, unknown, malformed, read-only, of somebody else: nothing is made, none is shown."""
    (none,) = publishes(minihub, call(folder), token=None)
    assert (none["error"], none["exit"]) == ("UsageError", 2)
    assert "needs a token with write access, and there is none: set HF_TOKEN" in none["message"]
    unknown, malformed, reader, bob, off = publishes(
        minihub,
        call(folder, token="hf_wrong_" + "xyzzy"),
        call(folder, token="hf_wrong\n" + "xyzzy"),
        call(folder, token="hf_reader"),
        call(folder, token=TOKENS["bob"]),
        call(folder, token=False),
    )
    assert "the Hub refused the token (401)" in unknown["message"]
    assert "the Hub token is not valid" in malformed["message"]
    for refused in (reader, bob):
        assert "the token may not write to lab/hard (403)" in refused["message"]
        assert 'the rights to create a dataset under the namespace "lab"' in refused["message"]
    assert "needs a token" in off["message"]
    assert minihub.repos == {}
    (offline,) = publishes(minihub, call(folder), offline=True)
    assert offline["message"] == "HF_HUB_OFFLINE is set: unset it to publish"


def test_killed_in_mid_upload_it_goes_on(minihub: LoopbackHub, tmp_path: Path) -> None:
    """``kill -9`` after the first of two shards: the second run sends the other one only."""
    folder = built(tmp_path / "small")
    shards = {
        json.loads((folder / "manifest.json").read_text())["files"][SHARD.format(i)]["sha256"]: i
        for i in (0, 1)
    }
    first, second = shards
    minihub.faults.append(Fault("PUT", f"/_lfs/{second}", times=99, drop="request"))
    code = PUBLISH.format(calls=[call(folder)])
    env = hub_client_env(minihub, token=TOKENS["alice"])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: first in uploaded(minihub) and minihub.faults[0].hits > 0)
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert log(minihub) == ["initial commit"]
    minihub.faults.clear()
    (report,) = publishes(minihub, call(folder))
    assert report["done"] is True
    assert uploaded(minihub) == [first, second]
    assert holds(minihub, folder)


def uploaded(hub: LoopbackHub) -> list[str]:
    """The sha256 of each upload that the server took, in order."""
    puts = [r for r in hub.requests if r["method"] == "PUT" and r["status"] == 200]
    return [r["path"].split("/_lfs/")[1][:64] for r in puts]


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that a client in another process brings about."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_xet_survives_failures(minihub_xet: LoopbackHub, folder: Path) -> None:
    """A busy token server, a lost commit, a refusal that hf_xet calls a connection error."""
    hub = minihub_xet
    for name in ("busy", "lost", "request", "refused"):
        hub.push("dataset", f"lab/{name}", {"LICENSE": b"x"})
    hub.faults += [
        Fault("GET", "/lab/busy/xet-write-token", status=503),
        Fault("POST", "/lab/lost/commit/", drop="lost"),
        Fault("POST", "/lab/request/commit/", drop="lost"),
        Fault("GET", "/lab/refused/xet-write-token", status=403, times=9),
    ]
    busy, lost, request, refused = publishes(
        hub,
        call(folder, "lab/busy"),
        call(folder, "lab/lost"),
        call(folder, "lab/request", pull_request=True),
        call(folder, "lab/refused"),
    )
    for name, report in (("busy", busy), ("lost", lost)):
        assert report.get("done") is True, report
        assert holds(hub, folder, f"lab/{name}")
        assert len(log(hub, f"lab/{name}")) == 3
        assert len(asked(hub, "POST", f"/lab/{name}/commit/")) == 1
    assert request["pull_request"] == 1
    assert len(hub.repos["dataset", "lab/request"].meta["discussions"]) == 1
    assert "the token may not write to lab/refused (403)" in refused["message"]
    assert len(asked(hub, "GET", "/lab/refused/xet-write-token")) == 1
