"""Fetch a weights file of an address once, or say within seconds what to download and where to put it."""

from __future__ import annotations

import logging
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from imagenet_hard.base.errors import WeightsError

log = logging.getLogger(__name__)

TIMEOUT = 6.0
"""Seconds that a server has to answer the first request; ``urlopen`` waits for ever."""


def url_file(url: str, *, name: str, progress: bool = False) -> Path:
    """The file of ``url`` in torch.hub's cache, downloaded if it is not there.

    ``name`` is the model's, for the message. The hash in the file's name is checked.

    Raises:
        WeightsError: if it is not there and cannot be had, saying what to put where.
    """
    import torch

    path = place_of(url)
    if path.exists():
        return path
    help_ = f"Download {url} to {path}, or pass --weights FILE"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT):  # noqa: S310 - the URL is from the library's own table
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        digits = re.search(r"-([a-f0-9]{8,})\.", path.name)
        log.info("downloading %s to %s", url, path)
        torch.hub.download_url_to_file(url, str(path), digits.group(1) if digits else None, progress=progress)
    except urllib.error.HTTPError as error:
        raise WeightsError(
            f"the weights of {name} could not be downloaded: {error.code} {error.reason}. {help_}"
        ) from error
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "reason", error))
        raise WeightsError(
            f"the weights of {name} are not on this machine and could not be downloaded: {reason}. {help_}"
        ) from error
    return path


def place_of(url: str) -> Path:
    """Where ``url_file`` looks for its file; without torch where nobody has imported it yet."""
    torch = sys.modules.get("torch")
    if torch is not None:
        folder = Path(torch.hub.get_dir())
    else:  # by the same rules
        cache = os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")  # noqa: PTH118
        folder = Path(os.path.expanduser(os.environ.get("TORCH_HOME", cache))) / "hub"  # noqa: PTH111
    return folder / "checkpoints" / url.rsplit("/", 1)[-1]
