"""A Hub on loopback for tests, and clients that talk to it in processes of their own.

``huggingface_hub`` fixes its endpoint when it is imported, so a test never talks to the server
from its own process: it hands a few lines to ``hub.client``, which run in an interpreter of their own.

    def test_it(minihub):
        commit = minihub.push("model", "alice/tiny", {"config.json": b"{}"})
        done = minihub.client("import huggingface_hub as h; print(h.model_info('alice/tiny').sha)")
        assert done.stdout.strip() == commit
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.hub import minihub as minihub_module
from tests.hub.minihub import LFS_GLOBS, Fault, MiniHub, Repo
from tests.hub.warm import WarmInterpreter

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {"alice": "hf_alice", "bob": "hf_bob"}  # alice owns alice/* and lab/*; bob owns bob/*

__all__ = ["TOKENS", "Fault", "LoopbackHub", "hub_client_env", "minihub", "run_client"]


class LoopbackHub(MiniHub):
    """``MiniHub`` with repositories filled from the server's side, and clients."""

    def __init__(self, root: Path, interpreter: WarmInterpreter, **options: Any) -> None:
        self.home, self.interpreter = interpreter.home, interpreter
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        super().__init__(root / "server", port=interpreter.port, **options)
        interpreter.port = self.httpd.server_port

    def push(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, bytes],
        *,
        private: bool = False,
        tag: str | None = None,
    ) -> str:
        """Commit ``files`` to a "model", "dataset" or "space" repository (made if absent); the commit."""
        owner, name = repo_id.split("/")
        if (kind, repo_id) not in self.repos:
            path = self.root / "repos" / kind / owner / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.repos[kind, repo_id] = Repo.create(
                path, self.root / "lfs", owner, type=kind, id=repo_id, sdk=None, private=private
            )
        repo = self.repos[kind, repo_id]
        blobs = {path: self._stored(path, data) for path, data in files.items()}
        commit: str = repo.commit("refs/heads/main", repo.resolve("main"), "push", "", owner, blobs, [])
        if tag is not None:
            repo.git("tag", "--force", tag, commit)
        return commit

    def _stored(self, path: str, data: bytes) -> bytes:
        """The blob that git holds: the file itself, or its LFS pointer as the real Hub would have it."""
        if not any(fnmatch(path.rsplit("/", 1)[-1], pattern) for pattern in LFS_GLOBS):
            return data
        oid = hashlib.sha256(data).hexdigest()
        (self.root / "lfs" / oid).write_bytes(data)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()

    def client(self, code: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """``run_client(self, code, ...)``."""
        return run_client(self, code, **options)


def hub_client_env(hub: LoopbackHub, *, token: str | None = None, offline: bool = False) -> dict[str, str]:
    """The environment of a client of ``hub``: caches of its own, no token but ``token``, no other network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env = {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")])),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(hub.home),
        "HF_DATASETS_CACHE": str(hub.home / "datasets"),
        "IMAGENET_HARD_CACHE": str(hub.home / "imagenet-hard"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "0" if hub.xet else "1",
        "NO_PROXY": "*",
        "no_proxy": "*",
        "OMP_NUM_THREADS": "1",
    }
    if token is not None:
        env["HF_TOKEN"] = token
    if offline:
        env["HF_HUB_OFFLINE"] = "1"
    return env


def run_client(
    hub: LoopbackHub,
    code: str,
    *,
    token: str | None = None,
    offline: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
    first: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in an interpreter of its own whose Hub is ``hub``.

    The clients of one hub share their caches, so a second call finds what the first one loaded.
    ``cwd`` is an empty folder unless given: a folder named like a data set would win over the Hub.
    ``first``: modules to import once for all clients, or for all of this environment where they read it.
    """
    if cwd is None:
        cwd = hub.home / "empty"
        cwd.mkdir(parents=True, exist_ok=True)
    return hub.interpreter.run(
        code,
        env={**hub_client_env(hub, token=token, offline=offline), **(env or {})},
        cwd=cwd,
        timeout=timeout,
        streams=hub.home,
        first=first,
    )


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmInterpreter]:
    """What the clients of all hubs start from."""
    started = WarmInterpreter(tmp_path_factory.mktemp("clients") / "home")
    yield started
    started.close()


@pytest.fixture
def minihub(tmp_path: Path, interpreter: WarmInterpreter) -> Iterator[LoopbackHub]:
    """An empty Hub on loopback: ``push`` fills it, ``client`` runs code against it, ``faults`` break it."""
    if shutil.which("git") is None:
        pytest.skip("the loopback Hub keeps its repositories in git, which is not installed")
    with LoopbackHub(tmp_path / "hub", interpreter) as hub:
        yield hub


@pytest.fixture
def minihub_xet(tmp_path: Path, interpreter: WarmInterpreter) -> Iterator[LoopbackHub]:
    """The same in xet mode: files travel by ``hf_xet``."""
    pytest.importorskip("hf_xet")
    if shutil.which("git") is None:
        pytest.skip("the loopback Hub keeps its repositories in git, which is not installed")
    # The two server modules know each other by these names.
    sys.modules.setdefault("minihub", minihub_module)
    from tests.hub import minihub_xet as xet_module

    sys.modules.setdefault("minihub_xet", xet_module)
    with LoopbackHub(tmp_path / "hub", interpreter, xet=True) as hub:
        yield hub
