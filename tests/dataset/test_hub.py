"""Data sets on the Hub, read by the official clients from a server on loopback."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.images import CARD, build, jpeg, parquet, published, rows
from tests.hub.server import TOKENS, Fault, LoopbackHub

pytest.importorskip("datasets")

REPO = "alice/hard"
# One interpreter for several calls: importing the clients takes longer than all of them.
LOAD = """
import json
import datasets.config
from imagenet_hard.dataset import load_dataset
from imagenet_hard.base.errors import ImageNetHardError
datasets.config.TORCH_AVAILABLE = False  # a stream would import it, to be read by torch's loader as well
for name, options in {calls}:
    try:
        b = load_dataset(name, **options)
        n = len(list(b))
        result = dict(name=b.name, source=b.source, revision=b.revision, split=b.split, n=n,
                      fingerprint=b.fingerprint(), identity=b.identity(), size=len(b))
    except ImageNetHardError as error:
        result = dict(error=type(error).__name__, message=str(error))
    print("=> " + json.dumps(result))
"""


def call(name: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """One ``load_dataset(name, **options)``."""
    return name, options


def loads(hub: LoopbackHub, *calls: tuple[str, dict[str, Any]], **client: Any) -> list[dict[str, Any]]:
    """What each call gives a client of ``hub``: the facts of the benchmark, or its error."""
    done = hub.client(LOAD.format(calls=calls), **client)
    assert done.returncode == 0, done.stderr
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("=> ")]


def push(hub: LoopbackHub, repo: str = REPO, n: int = 4, card: str = CARD, **options: Any) -> str:
    """A published data set of ``n`` rows in two shards; gives the commit."""
    whole = published(rows(n))
    halves = [whole.select(range(n // 2)), whole.select(range(n // 2, n))]
    files = {f"data/validation-0000{i}-of-00002.parquet": parquet(half) for i, half in enumerate(halves)}
    return hub.push("dataset", repo, {**files, "README.md": card.encode()}, **options)


def test_a_hub_id_is_loaded_and_its_commit_recorded(minihub: LoopbackHub, tmp_path: Path) -> None:
    """Stored, streamed and from a folder: one fingerprint; the same commit by main, tag and itself."""
    old = push(minihub, n=2, tag="v1")
    new = push(minihub, n=4)
    built = build(tmp_path / "built", published(rows(4)))
    stored, streamed, folder, tagged, at_commit = loads(
        minihub,
        call(REPO),
        call(REPO, streaming=True),
        call(str(built)),
        call(REPO, revision="v1"),
        call(REPO, revision=old),
    )
    assert (stored["name"], stored["source"], stored["split"], stored["n"]) == (REPO, REPO, "validation", 4)
    assert stored["revision"] == streamed["revision"] == new
    assert (folder["source"], folder["revision"]) == ("folder", None)
    assert stored["fingerprint"] == streamed["fingerprint"] == folder["fingerprint"]
    assert stored["size"] == streamed["size"] == 4
    assert (tagged["revision"], tagged["n"]) == (old, 2)
    assert tagged == at_commit
    assert tagged["identity"] != stored["identity"]


def test_our_names_are_hub_ids(minihub: LoopbackHub) -> None:
    """The name and the id are the same data set."""
    commit = push(minihub, "taesiri/imagenet-hard")
    commit_4k = push(minihub, "taesiri/imagenet-hard-4K", n=2)
    names = ("imagenet-hard", "taesiri/imagenet-hard", "imagenet-hard-4k", "taesiri/imagenet-hard-4K")
    ours, theirs, ours_4k, theirs_4k = loads(minihub, *map(call, names))
    assert (ours["name"], ours["source"], ours["revision"]) == (names[0], names[1], commit)
    assert (ours_4k["name"], ours_4k["source"], ours_4k["revision"]) == (names[2], names[3], commit_4k)
    assert (ours, ours_4k) == (theirs, theirs_4k)


def test_offline_reads_what_was_loaded_at_its_commit(minihub: LoopbackHub) -> None:
    """HF_HUB_OFFLINE=1 after a first load: same rows, same commit, also by tag and with several cached."""
    old = push(minihub, n=2, tag="v1")
    push(minihub, "taesiri/imagenet-hard-4K", n=2)
    tagged, large = loads(minihub, call(REPO, revision="v1"), call("imagenet-hard-4k"))
    new = push(minihub, n=4)
    (main,) = loads(minihub, call(REPO))
    assert main["revision"] == new
    asked = len(minihub.requests)
    *found, unknown, streamed, nothing = loads(
        minihub,
        call(REPO),
        call(REPO, revision="v1"),
        call(REPO, revision=old),
        call("imagenet-hard-4k"),
        call(REPO, revision="v2"),
        call(REPO, streaming=True),
        call("alice/other"),
        offline=True,
    )
    assert found == [main, tagged, tagged, large]
    assert len(minihub.requests) == asked
    assert "revision v2 is not in the cache, and HF_HUB_OFFLINE is set: cached are" in unknown["message"]
    assert old in unknown["message"]
    assert "Load it once with the network" in unknown["message"]
    assert "cannot be streamed offline" in streamed["message"]
    assert "nothing of it is cached" in nothing["message"]


def test_offline_without_a_known_name(minihub: LoopbackHub) -> None:
    """Loaded by tag, by plain ``datasets``, or without a README: the only cached commit is read."""
    tagged = push(minihub, tag="v1")
    plain = push(minihub, "alice/plain")
    shard = parquet(published(rows(3)))
    bare = minihub.push("dataset", "alice/bare", {"data/validation-00000-of-00001.parquet": shard})
    first = loads(minihub, call(REPO, revision="v1"), call("alice/bare"))
    assert (first[1]["revision"], first[1]["n"]) == (bare, 3)
    done = minihub.client("import datasets; datasets.load_dataset('alice/plain')")
    assert done.returncode == 0, done.stderr
    offline = loads(minihub, call(REPO), call("alice/plain"), call("alice/bare"), offline=True)
    assert [result["revision"] for result in offline] == [tagged, plain, bare]


def test_a_damaged_cache_is_noticed_offline(minihub: LoopbackHub) -> None:
    """Rows missing from the cache are an error that names the folder, not a smaller benchmark."""
    push(minihub)
    loads(minihub, call(REPO))
    (arrow,) = (minihub.home / "datasets").rglob("*.arrow")
    arrow.unlink()
    (damaged,) = loads(minihub, call(REPO), offline=True)
    assert "is damaged: got 0 rows of the split validation, expected 4. Delete" in damaged["message"]


def test_a_private_data_set_needs_a_token(minihub: LoopbackHub) -> None:
    """As an argument or by HF_TOKEN; without one, and with a wrong one, the message says what to do."""
    repo = "lab/secret"
    commit = push(minihub, repo, private=True)
    *found, without, bob, wrong = loads(
        minihub,
        call(repo, token=TOKENS["alice"]),
        call(repo, token=TOKENS["alice"], streaming=True),
        call(repo),
        call(repo, token=TOKENS["bob"]),
        call(repo, token="hf_wrong_xyzzy"),
    )
    assert [result["revision"] for result in found] == [commit, commit]
    assert (
        "does not exist, or is private (401): check the name; if it is private, set HF_TOKEN"
        in without["message"]
    )
    assert "is private and the token has no access (404): check both" in bob["message"]
    assert "the Hub refused the token (401)" in wrong["message"]
    assert "xyzzy" not in wrong["message"]
    by_environment, none = loads(minihub, call(repo), call(repo, token=False), token=TOKENS["alice"])
    assert by_environment["revision"] == commit
    assert "is private" in none["message"]


@pytest.mark.parametrize("token", ["hf_wrong_xyzzy", "hf_wrong\nxyzzy"])
def test_a_bad_token_is_never_shown(minihub: LoopbackHub, token: str) -> None:
    """Neither in the message nor in the trace, even where the client would quote it."""
    push(minihub)
    done = minihub.client(
        f"from imagenet_hard.dataset import load_dataset\nload_dataset({REPO!r}, token={token!r})"
    )
    assert done.returncode == 1
    expected = (
        "the Hub refused the token (401)" if token == "hf_wrong_xyzzy" else "the Hub token is not valid"
    )
    assert expected in done.stderr
    assert "xyzzy" not in done.stdout + done.stderr


def test_what_is_not_there(minihub: LoopbackHub) -> None:
    """Unknown data set, revision or split, an impossible id, an option of folders."""
    push(minihub)
    unknown, revision, split, impossible, labels = loads(
        minihub,
        call("alice/none"),
        call(REPO, revision="v9"),
        call(REPO, split="train"),
        call("alice/a..b"),
        call(REPO, labels="x"),
    )
    assert "data set alice/none on the Hub does not exist, or is private" in unknown["message"]
    assert "has no revision 'v9': expected a branch, a tag or a commit" in revision["message"]
    assert split == {
        "error": "UsageError",
        "message": f"{REPO} has no split 'train': expected one of validation",
    }
    assert "'alice/a..b' is not a Hub id: expected OWNER/NAME" in impossible["message"]
    assert "labels='x' does not go with alice/hard" in labels["message"]
    assert {e["error"] for e in (unknown, revision, impossible)} == {"DatasetError"}


def test_a_server_that_refuses(minihub: LoopbackHub) -> None:
    """Each status is a sentence that says what to do."""
    refusals: list[tuple[int, dict[str, str], str]] = [
        (500, {}, "the Hub failed (500) for the data set alice/r0 on the Hub: try again later"),
        (503, {}, "the Hub failed (503)"),
        (429, {"Retry-After": "0"}, "asks to slow down (429)"),
        (
            403,
            {"X-Error-Code": "GatedRepo"},
            "is gated: ask for access at https://huggingface.co/datasets/alice/r3",
        ),
        (401, {"X-Error-Code": "GatedRepo"}, "is gated: ask for access at"),
        (403, {}, "may not be read (403): ask for access at"),
        (403, {"X-Error-Message": "Access to this resource is disabled."}, "has been disabled by the Hub"),
    ]
    for i, (status, headers, _) in enumerate(refusals):
        minihub.faults.append(
            Fault("*", f"/api/datasets/alice/r{i}", times=99, status=status, headers=headers)
        )
    results = loads(minihub, *(call(f"alice/r{i}") for i in range(len(refusals))))
    for result, (*_, text) in zip(results, refusals, strict=True):
        assert result["error"] == "DatasetError"
        assert text in result["message"]


def test_a_busy_file_server_is_asked_again(minihub: LoopbackHub) -> None:
    """One failure passes; a refusal does not, stored or streamed."""
    commit = push(minihub)
    push(minihub, "alice/gone")
    minihub.faults.append(Fault("GET", r"/alice/hard/resolve/.*parquet", times=1, status=503))
    minihub.faults.append(Fault("*", r"/alice/gone/resolve/.*parquet", times=999, status=403))
    busy, stored, streamed = loads(
        minihub, call(REPO), call("alice/gone"), call("alice/gone", streaming=True)
    )
    assert (busy.get("revision"), busy.get("n")) == (commit, 4), busy
    assert "may not be read (403)" in stored["message"]
    assert "may not be read (403)" in streamed["message"]


def test_no_network_says_how_to_go_on(minihub: LoopbackHub) -> None:
    """A Hub that does not answer: the message points at offline mode, and offline mode works."""
    commit = push(minihub)
    loads(minihub, call(REPO))
    dead = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    (failed,) = loads(minihub, call(REPO), env=dead)
    assert "cannot be reached: ConnectionRefusedError" in failed["message"]
    assert "read from the cache with HF_HUB_OFFLINE=1" in failed["message"]
    (again,) = loads(minihub, call(REPO), env=dead, offline=True)
    assert (again["revision"], again["n"]) == (commit, 4)


def test_bad_rows_on_the_hub_are_named(minihub: LoopbackHub) -> None:
    """A test split without labels is refused, stored and streamed."""
    columns = rows(2)
    columns["label"] = [[-1], [-1]]
    minihub.push("dataset", "alice/test", {"data/test-00000-of-00001.parquet": parquet(published(columns))})
    for result in loads(minihub, call("alice/test"), call("alice/test", streaming=True)):
        assert "row 0 of alice/test (test) has no labels: got [-1]" in result["message"]


def test_xet_serves_the_same_rows(minihub_xet: LoopbackHub, tmp_path: Path) -> None:
    """A data set uploaded and read in xet mode has the fingerprint of its folder."""
    folder = build(tmp_path / "built", published(rows(4)))
    done = minihub_xet.client(
        "from huggingface_hub import HfApi; api = HfApi()\n"
        "api.create_repo('alice/hard', repo_type='dataset')\n"
        f"api.upload_folder(folder_path={str(folder)!r}, repo_id='alice/hard', repo_type='dataset')",
        token=TOKENS["alice"],
    )
    assert done.returncode == 0, done.stderr
    on_hub, local = loads(minihub_xet, call(REPO), call(str(folder)))
    assert on_hub["fingerprint"] == local["fingerprint"]
    assert len(on_hub["revision"]) == 40


def test_a_part_of_a_data_set_and_bare_shards_are_refused(minihub: LoopbackHub) -> None:
    """A publisher's upload that was interrupted; and tars, whose numbers mean nothing without their names."""
    half = {"data/validation-00000-of-00002.parquet": parquet(published(rows(2))), "README.md": CARD.encode()}
    minihub.push("dataset", "alice/half", half)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("a.jpg", jpeg()), ("a.cls", b"1")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    minihub.push(
        "dataset", "alice/wds", {"test/0.tar": buffer.getvalue(), "classnames.txt": b"tench\ngoldfish"}
    )
    part, shards = loads(minihub, call("alice/half"), call("alice/wds"))
    assert "is incomplete: 1 of 2 files is missing, validation-00001-of-00002.parquet" in part["message"]
    assert "alice/wds is made of webdataset shards" in shards["message"]
    assert "hf download alice/wds --repo-type dataset --local-dir DIR" in shards["message"]
