"""What a process that this one starts gets to see: no token, and nothing of the folder that we stand in.

That folder may be a stranger's checkout: a module that lies there must not be imported, and its git settings
must not start a program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

KEPT = {
    *("PATH", "PATHEXT", "HOME", "USERPROFILE", "SYSTEMROOT", "WINDIR"),
    *("TMPDIR", "TMP", "TEMP", "TZ", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
}
"""What a program needs to start. A list of what is kept: nobody can list how secrets are called."""

_GIT = ("git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-pager")
"""A git that starts no program which the repository names."""

_START = (
    "import sys, runpy; at = sys.argv.index('--'); sys.path[:] = sys.argv[1:at]; "
    "sys.argv[:at + 1] = []; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def bare_environment(**more: str) -> dict[str, str]:
    """The variables that a child gets: ``KEPT``, the locale's, and ``more``."""
    kept = {key: value for key, value in os.environ.items() if key in KEPT or key.startswith("LC_")}
    return {**kept, **more}


def run_git(folder: Path, *arguments: str, seconds: float, **more: str) -> subprocess.CompletedProcess[bytes]:
    """git in ``folder``, within so many ``seconds``; ``more``: variables that it gets. What it says is kept.

    Raises:
        OSError, subprocess.SubprocessError: it is not there, or takes longer.
    """
    return subprocess.run(  # noqa: S603 - fixed arguments, no shell
        [*_GIT, "-C", str(folder), *arguments],
        # Bare: a hook's GIT_DIR would point elsewhere. The lock would write into the checkout.
        env=bare_environment(GIT_OPTIONAL_LOCKS="0", **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
    )


def module_command(module: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs ``module`` with this interpreter, isolated: ``PYTHON*`` is ignored.

    The child finds modules where this process does, in the same order, however they were installed.
    """
    return [sys.executable, "-I", "-c", _START, *search_path(), "--", module, *arguments]


def search_path() -> list[str]:
    """``sys.path`` without the current folder, which ``python -m`` and an empty entry put there."""
    package, here = Path(__file__).resolve().parents[2], Path.cwd()
    kept = [
        each
        for each in dict.fromkeys(sys.path)
        if Path(each).is_absolute() and (Path(each).resolve() != here or here == package)
    ]
    return kept if str(package) in {str(Path(each).resolve()) for each in kept} else [*kept, str(package)]
