"""One pull request on the Hub for one submission: never two, also where a reply is lost.

Each title ends in a marker of the content. Before every attempt the requests of the same account are
listed, so a request that was opened by a commit whose reply never came is found and not opened again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imagenet_hard.base.errors import ImageNetHardError, ResultError, UsageError
from imagenet_hard.hub.errors import causes, check_token, is_passing

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)

RepoType = Literal["dataset", "model"]
WAITS = (1.0, 4.0, 16.0)
"""Seconds before each new attempt, unless the Hub says how long."""

_LONGEST_WAIT = 300.0
_CONFLICTS = (409, 412)


@dataclass(frozen=True)
class PullRequest:
    """A pull request; ``opened`` is False where it was there already."""

    number: int
    url: str
    opened: bool


def open_pull_request(
    repo: str,
    files: Mapping[str, bytes],
    *,
    title: str,
    description: str,
    marker: str,
    repo_type: RepoType = "dataset",
    token: str | bool | None = None,
    waits: Sequence[float] = WAITS,
) -> PullRequest:
    """Open a pull request with ``files`` (path -> content), or find the one with this ``marker``.

    A request that was closed without being merged doesn't count: it may be submitted anew.

    Raises:
        UsageError: ``repo`` is no Hub id, or the token is no token.
        ResultError: the Hub refuses or cannot be reached; the message says which right is missing.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    check_token(token)
    check_repo_id(repo)
    api = HfApi(token=token)
    marked = f"{title} [{marker}]"
    last: Exception | None = None
    for wait in (0.0, *waits):
        time.sleep(_asked_wait(last, wait))
        try:
            if found := _existing(api, repo, repo_type, marked):
                return found
            # Built anew each time: the client marks operations as uploaded.
            operations = [CommitOperationAdd(path, content) for path, content in sorted(files.items())]
            done = api.create_commit(
                repo,
                operations,
                commit_message=marked,
                commit_description=description,
                repo_type=repo_type,
                create_pr=True,
            )
            assert done.pr_num is not None
            assert done.pr_url is not None
            return PullRequest(done.pr_num, done.pr_url, opened=True)
        except Exception as error:
            if not (is_passing(error) or _status(error) in _CONFLICTS):
                raise _explained(error, repo) from None
            log.warning(
                "the Hub did not answer for %s (%s): looking again",
                repo,
                _status(error) or type(error).__name__,
            )
            last = error
    # The last attempt may have landed as well.
    assert last is not None
    try:
        found = _existing(api, repo, repo_type, marked)
    except Exception as error:
        raise _explained(error, repo) from None
    if found:
        return found
    raise _explained(last, repo) from None


def account(token: str | bool | None = None) -> str:
    """The name of the account that the token belongs to.

    Raises:
        ResultError: there is no token, or the Hub refuses it or cannot be reached.
    """
    from huggingface_hub import HfApi

    check_token(token)
    try:
        return str(HfApi(token=token).whoami()["name"])
    except Exception as error:
        raise _explained(error, "the Hub") from None


def check_repo_id(repo: str) -> None:
    """Refuse what is no ``OWNER/NAME``.

    Raises:
        UsageError: it is not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is no Hub id: expected OWNER/NAME. {error}") from None
    if repo.count("/") != 1:
        raise UsageError(f"{repo!r} is no Hub id: expected OWNER/NAME")


def _existing(api: HfApi, repo: str, repo_type: RepoType, title: str) -> PullRequest | None:
    # By this account only: a stranger's request of the same title must not stand in for ours.
    user = api.whoami()["name"]
    requests = api.get_repo_discussions(
        repo, author=user, discussion_type="pull_request", repo_type=repo_type
    )
    for request in requests:
        if request.title == title and request.author == user and request.status != "closed":
            return PullRequest(request.num, request.url, opened=False)
    return None


def _asked_wait(error: Exception | None, wait: float) -> float:
    """Seconds that ``Retry-After`` asks for, else ``wait``."""
    asked = getattr(_response(error), "headers", {}).get("retry-after", "") if error else ""
    return min(float(asked), _LONGEST_WAIT) if asked.isdigit() else wait


def _explained(error: BaseException, repo: str) -> ImageNetHardError:
    """An error that says what to do, without the token or the client's own causes, which may quote it."""
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(error, ImageNetHardError):
        return error
    status = _status(error)
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        what = "a pull request needs a token that the Hub knows: run `hf auth login` or set HF_TOKEN"
    elif isinstance(error, RepositoryNotFoundError) or status == 404:
        what = "there is no such repository, or the token may not see it: check the name"
    elif status == 403:
        what = "the token may not open pull requests (403): use one with write access or that permission"
    elif isinstance(error, OfflineModeIsEnabled):
        what = "HF_HUB_OFFLINE is set: unset it"
    elif status in _CONFLICTS:
        what = f"it changed at every attempt ({status}): try again later"
    elif status is not None:
        what = f"the Hub answered {status}: try again later, an open request is found then"
    elif is_passing(error):  # type: ignore[arg-type] # only a network error gets here
        what = (
            f"no connection ({type(list(causes(error))[-1]).__name__}): try again, an open request is found"
        )
    else:
        what = f"{type(error).__name__} in the Hub's client"
    return ResultError(f"no pull request on {repo}: {what}")


def _response(error: BaseException) -> Any:
    return next((r for e in causes(error) if (r := getattr(e, "response", None)) is not None), None)


def _status(error: BaseException) -> int | None:
    status = getattr(_response(error), "status_code", None)
    return None if status is None else int(status)
