"""Publish the built site as a static Space on the Hugging Face Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import ImageNetHardError, ResultError, UsageError
from imagenet_hard.hub.errors import causes, check_token
from imagenet_hard.leaderboard.site.build import MANIFEST

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REASONS = {
    401: "the Hub did not accept the token: set HF_TOKEN or run `hf auth login`",
    403: "the token may not write there: it needs write access to that Space",
    404: "there is no such account or Space, or the token cannot see it",
    409: "another commit came in between: run the command again",
    412: "another commit came in between: run the command again",
    429: "too many requests: wait a few minutes, then run the command again",
}


def publish_space(folder: Path, repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Make the Space ``repo`` if it is not there and give it the files of ``folder``; its commit's URL.

    One commit, which also removes files that the site no longer has. Running it again changes nothing
    where nothing differs, so an interrupted upload is simply repeated.

    Raises:
        UsageError: ``folder`` is no built site, or ``repo`` is no ORG/NAME.
        ResultError: the Hub refuses, or cannot be reached; the message says what to do.
    """
    check_repo(repo)
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is no built site: run `imagenet-hard leaderboard build` first")
    check_token(token)
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    files = [*json.loads((folder / MANIFEST).read_bytes())["files"], MANIFEST]
    _told(
        repo,
        lambda: api.create_repo(repo, repo_type="space", space_sdk="static", private=private, exist_ok=True),
    )
    commit = _told(
        repo,
        lambda: api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            repo_type="space",
            commit_message="Build the leaderboard",
            allow_patterns=files,
            delete_patterns="*",
        ),
    )
    return str(commit.commit_url)


def check_repo(repo: str) -> None:
    """Refuse what is no ORG/NAME.

    Raises:
        UsageError: it is not.
    """
    if not _REPO.fullmatch(repo):
        raise UsageError(f"not the name of a Space: got {repo!r}, expected ORG/NAME")


def _told(repo: str, call: Callable[[], Any]) -> Any:
    """The call's result; its error in our words, without whatever the client quotes."""
    try:
        return call()
    except ImageNetHardError:
        raise
    except Exception as error:
        statuses = [getattr(getattr(e, "response", None), "status_code", None) for e in causes(error)]
        status = next((each for each in statuses if isinstance(each, int)), None)
        if type(error).__name__ == "LocalTokenNotFoundError":
            status = 401
        reason = _REASONS.get(status or 0) or (
            f"the Hub answered {status}" if status else f"the Hub cannot be reached ({type(error).__name__})"
        )
        raise ResultError(f"the Space {repo} was not published: {reason}") from None
