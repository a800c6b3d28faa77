"""Fetch a weights file once, or say within seconds what to download and where to put it.

``huggingface_hub`` retries an unreachable Hub for 23 s for each file name that timm tries, and
``urlopen`` has no timeout; so the server is asked for a sign of life first.
"""

from __future__ import annotations

import logging
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from imagenet_hard.base.errors import WeightsError

log = logging.getLogger(__name__)

TIMEOUT = 6.0
"""Seconds that a server has to answer the first request."""


def url_file(url: str, *, name: str, progress: bool = False) -> Path:
    """The file of ``url`` in torch.hub's cache, downloaded if it is not there.

    ``name`` is the model's, for the message. The hash in the file's name is checked.

    Raises:
        WeightsError: if it is not there and cannot be had, saying what to put where.
    """
    import torch

    file_name = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if path.exists():
        return path
    help_ = f"Download {url} to {path}, or pass --weights FILE"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT):  # noqa: S310 - the URL is from the library's own table
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        digits = re.search(r"-([a-f0-9]{8,})\.", file_name)
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


def hub_file(
    repo_id: str, file_names: Sequence[str], *, revision: str | None = None, kind: str = "weights"
) -> Path:
    """The first of ``file_names`` that the Hub repository ``repo_id`` has, in the Hub's cache.

    Without network, or with HF_HUB_OFFLINE=1, what is cached is used.

    Raises:
        WeightsError: if none can be had, saying why and what to put where; it never holds a token.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision}" if revision else ""
    page = f"{ENDPOINT}/{repo_id}"
    try:
        unreachable = None if HF_HUB_OFFLINE else _silence(ENDPOINT)
        for file_name in file_names:
            try:
                return Path(
                    hf_hub_download(
                        repo_id,
                        file_name,
                        revision=revision,
                        local_files_only=bool(HF_HUB_OFFLINE or unreachable),
                    )
                )
            except LocalEntryNotFoundError:
                if not (HF_HUB_OFFLINE or unreachable):
                    raise
            except EntryNotFoundError:
                continue
    except GatedRepoError as error:
        raise WeightsError(
            f"{page} is gated: accept its terms there, then log in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise WeightsError(
            f"{page} has no revision {revision!r}: expected a branch, a tag or a full commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"{page} does not exist, or is private and {_token_state()} does not open it ({_status(error)}): "
            "check the spelling ORG/NAME, or log in with `hf auth login`"
        ) from error
    except HFValidationError as error:
        raise WeightsError(
            f"{repo_id!r} is not the name of a Hub repository: expected ORG/NAME, as hf-hub:ORG/NAME"
        ) from error
    except HfHubHTTPError as error:
        status = _status(error)
        if status in (401, 403):
            raise WeightsError(
                f"the Hub refused {_token_state()} for {page} ({status}): renew it with `hf auth login`, "
                "or unset HF_TOKEN if the repository is public"
            ) from error
        raise WeightsError(f"the Hub answered {status} for {page}{at}: try again later") from error
    except OSError as error:
        raise WeightsError(
            f"the {kind} of {repo_id} could not be fetched from {page}: "
            f"{type(error).__name__}{f' ({error.strerror})' if error.strerror else ''}. "
            f"Check the network and the free space of {HF_HUB_CACHE}"
        ) from error
    if not (HF_HUB_OFFLINE or unreachable):
        raise WeightsError(
            f"{page}{at} has none of {', '.join(file_names)}: it holds no {kind} that can be loaded"
        )
    by_hand = f", or download {page}/resolve/{revision or 'main'}/{file_names[0]} and pass --weights FILE"
    why = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else f"{ENDPOINT} does not answer ({unreachable})"
    raise WeightsError(
        f"the {kind} of {repo_id}{at} {'are' if kind == 'weights' else 'is'} not on this machine and {why}. "
        f"Where there is network, run `hf download {repo_id}` and copy models--{repo_id.replace('/', '--')} "
        f"into {HF_HUB_CACHE}{by_hand if kind == 'weights' else ''}"
    )


def hub_commit(path: Path) -> str | None:
    """The commit that a file of the Hub's cache belongs to: ``.../snapshots/COMMIT/file``."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


@cache
def _silence(endpoint: str) -> str | None:
    """Why the Hub gives no sign of life, or None where it answers."""
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=TIMEOUT)
    except Exception as error:  # requests or httpx, by the version of huggingface_hub
        return type(error).__name__
    return None


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _token_state() -> str:
    from huggingface_hub import get_token

    return "your token" if get_token() else "no token"
