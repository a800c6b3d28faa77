"""Publishing from a process of its own to a Hub on loopback, and what that Hub then holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.hub.server import TOKENS, LoopbackHub

REPO = "lab/hard"
SHARD = "data/validation-0000{}-of-00002.parquet"
# ``hook`` runs in the client when it says something that contains ``at``: somebody else comes first.
PUBLISH = """
import json
from dataclasses import asdict
from pathlib import Path
from imagenet_hard.curation.publish import publish
from imagenet_hard.base.errors import ImageNetHardError
for folder, repo, options in {calls}:
    said, todo = [], [options.pop("hook", None)]
    at = options.pop("at", None)
    def say(text):
        said.append(text)
        if at and at in text and todo:
            exec(todo.pop())
    try:
        result = asdict(publish(Path(folder), repo, on_progress=say, waits=(0, 0, 0), **options))
    except ImageNetHardError as error:
        result = dict(error=type(error).__name__, exit=error.exit_code, message=str(error))
    print("=> " + json.dumps(dict(result, said=said)))
"""


def call(folder: Path, repo: str = REPO, **options: Any) -> tuple[str, str, dict[str, Any]]:
    """One ``publish(folder, repo, **options)``."""
    return str(folder), repo, options


def publishes(
    hub: LoopbackHub,
    *calls: tuple[str, str, dict[str, Any]],
    token: str | None = TOKENS["alice"],
    **client: Any,
) -> list[dict[str, Any]]:
    """What each call gives a client of ``hub``: the report or the error; no token is ever shown."""
    done = hub.client(PUBLISH.format(calls=calls), token=token, **client)
    assert done.returncode == 0, done.stderr
    for secret in (*TOKENS.values(), "xyzzy"):
        assert secret not in done.stdout + done.stderr
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("=> ")]


def log(hub: LoopbackHub, repo: str = REPO, revision: str = "main") -> list[str]:
    """The first lines of the commits, newest first."""
    stored = hub.repos["dataset", repo]
    return stored.git("log", "--format=%s", stored.resolve(revision)).decode().splitlines()


def stored(hub: LoopbackHub, repo: str = REPO, revision: str = "main") -> dict[str, bytes]:
    """The files of a repository."""
    git = hub.repos["dataset", repo]
    tree = git.tree(git.resolve(revision))
    return {row["path"]: git.blob(row) for row in tree if row["type"] == "file"}


def local(folder: Path) -> dict[str, bytes]:
    """The files of a build."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def asked(hub: LoopbackHub, method: str, path: str = "", since: int = 0) -> list[str]:
    """The paths of the requests that a server answered well or badly."""
    return [r["path"] for r in hub.requests[since:] if r["method"] == method and path in r["path"]]


def holds(hub: LoopbackHub, folder: Path, repo: str = REPO, revision: str = "main") -> bool:
    """Whether a revision has the build's files, and no others below data/."""
    there, build = stored(hub, repo, revision), local(folder)
    return {p: data for p, data in there.items() if p in build or p.startswith("data/")} == build
