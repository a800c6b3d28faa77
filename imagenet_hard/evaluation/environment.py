"""Where a result was made: versions and the commit. No user, no host, no path, and no heavy import."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from pydantic import Field

from imagenet_hard.base.children import run_git
from imagenet_hard.base.runtime import package_versions
from imagenet_hard.base.types import Record


class Environment(Record):
    """Software that made a result."""

    python: str
    platform: str = Field(description="operating system and processor architecture")
    versions: dict[str, str] = Field(description="imagenet-hard and the packages that touch the numbers")
    commit: str | None = Field(None, description="git commit of the package's checkout, where it is one")
    dirty: bool | None = Field(None, description="whether that checkout's package differs from the commit")


def environment() -> Environment:
    """The environment of this process. Reads package metadata and imports none of the packages."""
    commit, dirty = checkout_state(Path(__file__).resolve().parents[2])
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        versions=package_versions(),
        commit=commit,
        dirty=dirty,
    )


def checkout_state(root: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout at ``root``; (None, None) if it is none or git is missing.

    Only ``root`` itself counts, so a virtual environment inside somebody's repository is not taken for
    ours. Dirty: ``imagenet_hard/`` has changed or new files.
    """
    if not (root / ".git").exists():
        return None, None
    try:
        done = run_git(root, "status", "--porcelain=v2", "--branch", "--", "imagenet_hard", seconds=20)
    except (OSError, subprocess.SubprocessError):
        return None, None
    lines = done.stdout.decode(errors="replace").splitlines()
    found = [commit for line in lines if (commit := line.removeprefix("# branch.oid ")) != line]
    if done.returncode or not found or found[0] == "(initial)":
        return None, None
    return found[0], any(not line.startswith("# ") for line in lines)
