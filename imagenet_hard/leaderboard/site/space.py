"""Publish the built site as a static Space on the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from imagenet_hard.base.errors import ResultError, UsageError
from imagenet_hard.hub.checks import Token
from imagenet_hard.hub.content import Content, LocalFile
from imagenet_hard.hub.retry import WAITS
from imagenet_hard.hub.write import check_upload, upload
from imagenet_hard.leaderboard.site.build import MANIFEST


def publish_space(
    folder: Path, repo: str, *, private: bool = False, token: Token = None, waits: Sequence[float] = WAITS
) -> str:
    """Make the Space ``repo`` if it is not there and give it the files of ``folder``; its commit's URL.

    One commit, which also removes files that the site no longer has. Running it again changes nothing
    where nothing differs, so an interrupted upload is simply repeated.

    Raises:
        UsageError: ``folder`` is no built site, or ``repo`` is no ORG/NAME.
        ResultError: the Hub refuses, or cannot be reached; the message says what to do.
    """
    check_upload(repo, token=token)
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is not a built site: run `imagenet-hard leaderboard build` first")
    names = [*json.loads((folder / MANIFEST).read_bytes())["files"], MANIFEST]
    files = {name: LocalFile.read(name, folder / name) for name in names}
    content = Content(
        files,
        title=f"Build the leaderboard ({files[MANIFEST].sha256[:16]})",
        description="",
        removes=lambda path: path != ".gitattributes",  # by which the Hub knows what is stored as LFS
    )
    return upload(
        repo, content, kind="space", private=private, token=token, waits=waits, error=ResultError
    ).url
