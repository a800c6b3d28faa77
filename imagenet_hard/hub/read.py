"""What is read from the Hub: commits, lists of files, files, and what an earlier call left in the cache."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ResultError, WeightsError
from imagenet_hard.base.files import read_bounded
from imagenet_hard.hub.checks import Token, check_token
from imagenet_hard.hub.errors import Kind, translated_errors

COMMIT = re.compile(r"[0-9a-f]{40}")

MAX_TEXT = 4 * 2**20
"""Bytes of a file of text that may be anybody's."""

TIMEOUT = 6.0
"""Seconds that the Hub has for a sign of life, before a client that would retry for minutes is asked."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: ``content`` is its sha256 where it is stored by LFS, else its git id."""

    content: str
    size: int
    lfs: bool


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` is set."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return bool(HF_HUB_OFFLINE)


def account() -> str:
    """The name of the account of the environment's token.

    Raises:
        ResultError: there is no token, or the Hub refuses it or cannot be reached.
    """
    from huggingface_hub import HfApi

    check_token(None)
    with translated_errors("this account", action="propose", error=ResultError):
        return str(HfApi().whoami()["name"])


def resolve(repo: str, revision: str | None, token: Token = None) -> str:
    """The commit (40 hex digits) that ``revision`` of a data set repository stands for now.

    Raises:
        DatasetError: there is none, or it cannot be asked for.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with translated_errors(repo, revision=revision, token=token):
        commit = commit_at(repo, revision, token)
        # The download itself asks by commit; this one leaves the name -> commit behind for offline use.
        with suppress(EntryNotFoundError):  # a data set without a README
            hf_hub_download(repo, "README.md", repo_type="dataset", revision=revision or "main", token=token)
    return commit


def commit_at(repo: str, revision: str | None, token: Token = None, *, timeout: float | None = None) -> str:
    """As ``resolve``, within ``timeout`` seconds; leaves nothing behind.

    Raises:
        DatasetError: there is none, or it cannot be asked for.
    """
    from huggingface_hub import HfApi

    with translated_errors(repo, revision=revision, token=token):
        commit = HfApi(token=token).dataset_info(repo, revision=revision, timeout=timeout).sha
    if commit is None:
        raise DatasetError(
            f"the Hub names no commit for {repo} at revision {revision or 'main'}: try again later"
        )
    return str(commit)


def cached_commit(repo: str, revision: str | None) -> str | None:
    """The commit that ``revision`` of a data set stood for when it was last resolved, if it ever was."""
    from huggingface_hub import try_to_load_from_cache

    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    readme = try_to_load_from_cache(repo, "README.md", repo_type="dataset", revision=revision or "main")
    return Path(readme).parent.name if isinstance(readme, str) else None


def files_at(
    repo: str, revision: str, *, kind: Kind = "dataset", token: Token = None
) -> dict[str, RemoteFile]:
    """Path -> file, for every file at a branch, tag, commit or ``refs/pr/N``.

    Raises:
        Exception: whatever the client raises; callers translate it.
    """
    from huggingface_hub import HfApi, RepoFile

    tree = HfApi(token=token).list_repo_tree(repo, repo_type=kind, revision=revision, recursive=True)
    return {
        entry.path: RemoteFile(entry.lfs.sha256 if entry.lfs else entry.blob_id, entry.size, bool(entry.lfs))
        for entry in tree
        if isinstance(entry, RepoFile)
    }


def download(repo: str, revision: str, paths: Iterable[str], into: Path) -> None:
    """Files of a data set repository as real files below ``into``, where the cache would have links.

    Raises:
        DatasetError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    with translated_errors(repo, revision=revision):
        for path in paths:
            hf_hub_download(repo, path, revision=revision, repo_type="dataset", local_dir=into)


def model_text(repo: str, path: str) -> str | None:
    """The text of a file of the model ``repo``, such as its README; None where it has none.

    Raises:
        DatasetError: it is no text, or the Hub refuses or cannot be reached.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with translated_errors(repo, kind="model"):
        try:
            return read_bounded(Path(hf_hub_download(repo, path)), MAX_TEXT, error=DatasetError).decode()
        except EntryNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path} of {repo} is not UTF-8 text: {error}") from None


def branch_point(repo: str, revision: str) -> str:
    """The commit of main that a request began at: what main got since then is no change of the request's.

    Raises:
        Exception: whatever the client raises; callers translate it.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    main = {commit.commit_id for commit in api.list_repo_commits(repo, repo_type="dataset")}
    commits = api.list_repo_commits(repo, repo_type="dataset", revision=revision)
    return next((commit.commit_id for commit in commits if commit.commit_id in main), "main")


def request_author(repo: str, number: int) -> str:
    """The account that opened pull request ``number`` of a data set repository.

    Raises:
        Exception: whatever the client raises; callers translate it.
    """
    from huggingface_hub import HfApi

    return str(HfApi().get_discussion_details(repo, number, repo_type="dataset").author)


def model_file(
    repo: str, names: Sequence[str], *, revision: str | None = None, what: str = "weights"
) -> Path:
    """The first of ``names`` that the model ``repo`` has, in the Hub's cache; ``what`` it holds, in words.

    Without network, or with HF_HUB_OFFLINE=1, what is cached is used. The client retries an unreachable
    Hub for 23 s for each name, so the Hub is asked for a sign of life first.

    Raises:
        WeightsError: if none can be had, saying why and what to put where; it never holds a token.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    at = f" at revision {revision}" if revision else ""
    page = f"{ENDPOINT}/{repo}"
    silent = "HF_HUB_OFFLINE is set" if offline() else _silence(ENDPOINT)
    with translated_errors(repo, kind="model", revision=revision, error=WeightsError):
        for name in names:
            try:
                return Path(
                    hf_hub_download(repo, name, revision=revision, local_files_only=silent is not None)
                )
            except LocalEntryNotFoundError:
                if silent is None:
                    raise
            except EntryNotFoundError:
                continue
    if silent is None:
        raise WeightsError(
            f"{page}{at} has none of {', '.join(names)}: it holds no {what} that can be loaded"
        )
    by_hand = f", or download {page}/resolve/{revision or 'main'}/{names[0]} and pass --weights FILE"
    raise WeightsError(
        f"the {what} of {repo}{at} {'are' if what == 'weights' else 'is'} not on this machine and {silent}. "
        f"Where there is network, run `hf download {repo}` and copy models--{repo.replace('/', '--')} "
        f"into {HF_HUB_CACHE}{by_hand if what == 'weights' else ''}"
    )


def model_files(repo: str, names: Sequence[str], *, revision: str | None = None) -> None:
    """Those of ``names`` that the model ``repo`` has, in the Hub's cache; what it lacks is no error.

    Raises:
        WeightsError: the Hub refuses, or fails half-way.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import LocalEntryNotFoundError

    local = offline() or _silence(ENDPOINT) is not None
    with (
        translated_errors(repo, kind="model", revision=revision, error=WeightsError),
        suppress(*([LocalEntryNotFoundError] if local else [])),
    ):
        snapshot_download(repo, revision=revision, allow_patterns=list(names), local_files_only=local)


def commit_of_file(path: Path) -> str | None:
    """The commit that a file of the Hub's cache belongs to: ``.../snapshots/COMMIT/file``."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None


@cache
def _silence(endpoint: str) -> str | None:
    """That the Hub gives no sign of life, and why; None where it answers."""
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=TIMEOUT)
    except Exception as error:  # requests or httpx, by the version of huggingface_hub
        return f"{endpoint} does not answer ({type(error).__name__})"
    return None
