"""Where we run: our version and those of the packages, cores, memory, the cache and the content folders."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib.metadata import EntryPoints, PackageNotFoundError, entry_points, version
from pathlib import Path, PurePosixPath

from imagenet_hard.base.errors import ImageNetHardError, UsageError

__version__ = "0.1.0"
"""The version, written here and nowhere else."""

COMPUTING = ("torch", "torchvision", "timm", "open_clip_torch", "transformers", "openvino", "numpy", "pillow")
"""Packages that move a number: the same everywhere in a cluster."""

PACKAGES = (*COMPUTING, "pyarrow", "datasets", "huggingface_hub", "safetensors", "pydantic")
"""Packages whose versions a result records."""

FRAMEWORKS = {"torch": "torch", "torchvision": "torchvision", "timm": "timm", "open_clip": "open_clip_torch"}
"""Module -> its package: what models take, and the board does not."""

EXTENDED = ("backends", "tta", "metrics")
"""Closed sets that installed packages may add to (``base.extensions``)."""

Folders = tuple[tuple[str, int], ...]
"""Where packages may lie, each with its time of change."""

_PACKAGE = Path(__file__).resolve().parents[1]
_CGROUPS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def package_versions() -> dict[str, str]:
    """Our version, those of ``PACKAGES`` that are installed, and of packages that extend this one.

    None of them is imported.
    """
    return {"imagenet-hard": __version__, **_versions(_package_folders()), **extending_packages()}


def extending_packages() -> dict[str, str]:
    """Versions of the installed packages that bring backends, TTA methods or metrics by entry point."""
    points = [each for group in EXTENDED for each in extending_points(group)]
    return dict(sorted((each.dist.name, each.dist.version) for each in points if each.dist))


def extending_points(group: str) -> EntryPoints:
    """What installed packages bring for ``imagenet_hard.GROUP``; nothing is imported."""
    return _points(_package_folders()).select(group=f"imagenet_hard.{group}")


def _package_folders() -> Folders:
    """Those of this process: to install or remove a package changes one."""
    found = []
    for path in sys.path:
        try:
            found.append((path, Path(path).stat().st_mtime_ns))
        except OSError:
            found.append((path, 0))
    return tuple(found)


# Both read the metadata of installed packages, a tenth of a second: only where a folder changed. Two sets of
# folders are known, as a program may add one for a while.
@lru_cache(maxsize=2)
def _versions(folders: Folders) -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@lru_cache(maxsize=2)
def _points(folders: Folders) -> EntryPoints:
    return entry_points()  # type: ignore[return-value]  # Python 3.11: a dict of them with the same select


def lacks_framework(error: BaseException) -> str | None:
    """What to install, where ``error`` says that one of ``FRAMEWORKS`` is not there; else None."""
    module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if module not in FRAMEWORKS:
        return None
    return (
        f"{FRAMEWORKS[module]} is not installed, and models need it: "
        f"pip install {' '.join(FRAMEWORKS.values())} (a plain `pip install imagenet-hard` brings them)"
    )


def available_cores() -> int:
    """Cores that this process may use (a container's or Slurm's share, not the machine's)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def free_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """In bytes: the least of what the kernel calls available and what the control group leaves.

    None where it cannot be told.
    """
    found = []
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    for limit, used in _CGROUPS:
        try:
            found.append(int((cgroup / limit).read_text()) - int((cgroup / used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(0, min(found)) if found else None


def cache_dir() -> Path:
    """The folder for what can be made again: ``$IMAGENET_HARD_CACHE``, else ``imagenet-hard`` in the user's
    cache folder; it need not exist.

    A home folder that cannot be told stays "~", where nothing will be found: no cache is no error.
    """
    if own := os.environ.get("IMAGENET_HARD_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base or os.path.expanduser("~/.cache")) / "imagenet-hard"  # noqa: PTH111 (never raises)


def content_dir(kind: str) -> Path:
    """What people change by pull request: the folder ``evaluate/suites``, ``curation/recipes``, ...

    These folders lie at the top of the checkout, and travel in the wheel under ``imagenet_hard/content/``.

    Raises:
        UsageError: ``kind`` is no relative path, or leads out of the project.
        ImageNetHardError: neither the installed package nor a checkout has the folder.
    """
    parts = PurePosixPath(kind).parts
    if not parts or PurePosixPath(kind).is_absolute() or ".." in parts:
        raise UsageError(
            f"no content folder: got {kind!r}, expected a relative path such as 'evaluate/suites'"
        )
    candidates = [_PACKAGE.joinpath("content", *parts)]
    # Beside an installed package lie other packages (Hugging Face's `evaluate`): only a checkout counts.
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        candidates.append(_PACKAGE.parent.joinpath(*parts))
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise ImageNetHardError(
        f"the content folder {kind!r} is missing: looked at {' and '.join(map(str, candidates))}. "
        "Install the package again (its wheel carries the folder), or run from a whole checkout."
    )
