"""Interpreters that start at once: forks of a process that has imported what every client needs.

Most of what a client of the Hub does at its start is to import what has nothing to do with the Hub: that is
done once. What reads the environment as it is imported (``huggingface_hub``, ``datasets``, this package) is
left to the fork, which has the environment, the folder and the streams that it was given, and no others.
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
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIRST = (
    *("PIL.Image", "click", "concurrent.futures.thread", "dill", "filelock", "fsspec", "httpx2", "jinja2"),
    *("multiprocess.pool", "numpy", "pandas", "pyarrow.dataset", "pyarrow.parquet", "pydantic"),
    *("rich.console", "scipy.special", "scipy.stats", "tqdm.auto", "xxhash", "yaml"),
)


class WarmInterpreter:
    """``run`` is ``subprocess.run([sys.executable, "-c", code], ...)`` without the wait."""

    def __init__(self) -> None:
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
    for line in sys.stdin:
        order = json.loads(line)
        for name in order["first"]:
            importlib.import_module(name)
        assert not {"huggingface_hub", "datasets", "imagenet_hard"} & set(sys.modules)
        child = os.fork()
        if child == 0:
            _become(order)
        print(json.dumps(_status(child, order["timeout"])), flush=True)


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
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
