"""The folder for what can be made again: listings of models, zero-shot heads."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """``$IMAGENET_HARD_CACHE``, else ``imagenet-hard`` in the user's cache folder; it need not exist.

    A home folder that cannot be told stays "~", where nothing will be found: no cache is no error.
    """
    if own := os.environ.get("IMAGENET_HARD_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base or os.path.expanduser("~/.cache")) / "imagenet-hard"  # noqa: PTH111 (never raises)
