"""Interpreters that start at once: forks of a process that has imported what every client needs.

Most of what a client of the Hub does at its start is to import what has nothing to do with the Hub: that is
done once. What reads the environment as it is imported (``huggingface_hub``, ``datasets``, this package) is
left to the fork, which has the environment, the folder and the streams that it was given, and no others.
Where a second client has the environment of an earlier one, it is the fork of a process that has that
environment as well, and has imported what the earlier one had.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]
LATER = ("datasets", "huggingface_hub", "imagenet_hard", "open_clip", "timm", "transformers")
"""What reads the environment as it is imported, and what imports that."""

PASSING = ("HF_TOKEN", "PYTEST_CURRENT_TEST")
"""Variables that nothing reads as it is imported."""

MOST = 3
"""Environments that have a process of their own at one time."""

FIRST = (
    *("PIL.Image", "click", "concurrent.futures.thread", "dill", "filelock", "fsspec", "httpx2", "jinja2"),
    *("multiprocess.pool", "numpy", "pandas", "pyarrow.dataset", "pyarrow.parquet", "pydantic"),
    *("rich.console", "scipy.special", "scipy.stats", "tqdm.auto", "xxhash", "yaml"),
)


class WarmInterpreter:
    """``run`` is ``subprocess.run([sys.executable, "-c", code], ...)`` without the wait."""

    port = 0  # that the last server had: with the same one the next has the same clients

    def __init__(self, home: Path) -> None:
        """``home``: a folder for the clients' caches, emptied for each server."""
        self.home = home
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.hub.warm import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def run(
        self,
        code: str,
        *,
        env: Mapping[str, str],
        cwd: Path,
        timeout: float,
        streams: Path,
        first: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """``streams``: a folder for what ``code`` says. ``first``: more modules to import once for all."""
        out, err = streams / "stdout", streams / "stderr"
        order = {"code": code, "env": dict(env), "cwd": str(cwd), "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "timeout": timeout, "first": first}) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        if status is None:
            raise subprocess.TimeoutExpired(code, timeout, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(code, status, out.read_text(), err.read_text())

    def close(self) -> None:
        """It ends when nobody can ask it for more."""
        self._process.communicate()


def serve() -> None:
    """Fork for each order on stdin, one after the other, and say how the fork ended."""
    for name in FIRST:
        with suppress(ModuleNotFoundError):  # which client the Hub's has is a matter of its version
            importlib.import_module(name)
    known: dict[frozenset[tuple[str, str]], _Environment | list[str]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        later = [name for name in order["first"] if name.partition(".")[0] in LATER]
        for name in order["first"]:
            if name not in later:
                importlib.import_module(name)
        assert not set(LATER) & set(sys.modules)
        lasting = frozenset((k, v) for k, v in order["env"].items() if k not in PASSING)
        started = known.pop(lasting, later or None)
        if isinstance(started, list):
            started = _Environment(dict(lasting), started)
        known[lasting] = started or []
        if started:
            print(started.answer(line), flush=True)
        else:
            print(_answer(order), flush=True)
            known[lasting] = _imported(order)
        running = [each for each in known.values() if isinstance(each, _Environment)]
        for lasting in [k for k, each in known.items() if each in running[:-MOST]]:
            known.pop(lasting).close()
    for each in known.values():
        if isinstance(each, _Environment):
            each.close()


class _Environment:
    """A fork that has an environment, and has imported what its clients need; they are forks of it."""

    def __init__(self, env: Mapping[str, str], names: Sequence[str]) -> None:
        theirs, orders = os.pipe()
        answers, ours = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(orders)
            os.close(answers)
            try:
                with os.fdopen(theirs) as lines, os.fdopen(ours, "w") as sink:
                    _serve_clients(env, names, lines, sink)
            finally:
                os._exit(0)
        os.close(theirs)
        os.close(ours)
        self._orders, self._answers = os.fdopen(orders, "w"), os.fdopen(answers)

    def answer(self, order: str) -> str:
        self._orders.write(order)
        self._orders.flush()
        return self._answers.readline().strip()

    def close(self) -> None:
        """Killed: processes that were forked since hold the other end of its pipe as well."""
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        self._orders.close()
        self._answers.close()


def _serve_clients(env: Mapping[str, str], names: Sequence[str], lines: TextIO, sink: TextIO) -> None:
    os.environ.clear()
    os.environ.update(env)
    for line in lines:
        _import(names)
        order = json.loads(line)
        _import(order["first"])
        print(_answer(order), file=sink, flush=True)
        names = _imported(order)


def _import(names: Sequence[str]) -> None:
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):  # a part that is not for this environment
                importlib.import_module(name)


def _answer(order: dict[str, Any]) -> str:
    """How a fork for this order ended."""
    child = os.fork()
    if child == 0:
        _become(order)
    return json.dumps(_status(child, order["timeout"]))


def _imported(order: dict[str, Any]) -> list[str]:
    """What its fork had imported in the end of that which reads the environment."""
    path = Path(order["out"] + ".imported")
    return path.read_text().split() if path.exists() else []  # killed before it could say


def _status(child: int, timeout: float) -> int | None:
    """As ``subprocess`` tells it; None where the time is up, and the child killed."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        os.kill(child, signal.SIGKILL)

    timer = threading.Timer(timeout, kill)
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    timer.join()  # a fork must find one thread only
    return None if late.is_set() else os.waitstatus_to_exitcode(status)


def _become(order: dict[str, Any]) -> None:
    """A fresh interpreter that runs the code and ends."""
    status = 1
    try:
        for number, path in enumerate((os.devnull, order["out"], order["err"])):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        exec(compile(order["code"], "<string>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        names = [name for name, module in sys.modules.items() if module and name.split(".")[0] in LATER]
        Path(order["out"] + ".imported").write_text(" ".join(names))
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
