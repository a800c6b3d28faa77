"""One pull request on the Hub for one submission: never two, also where a reply is lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imagenet_hard.base.errors import ResultError
from imagenet_hard.hub.checks import check_repo_id, check_token
from imagenet_hard.hub.errors import Kind, is_transient, translated_errors
from imagenet_hard.hub.retry import retry

log = logging.getLogger(__name__)


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
    kind: Kind = "dataset",
    waits: Sequence[float] = (1, 4, 16),
) -> PullRequest:
    """Open a pull request with ``files`` (path -> content), or find the one with this ``marker``.

    The title ends in the marker. Before every attempt the requests of the same account are listed, so that
    one whose reply never came is found and not opened again. A request that was closed without being merged
    doesn't count: it may be submitted anew.

    Raises:
        UsageError: ``repo`` is no Hub id, or the token is no token.
        ResultError: the Hub refuses or cannot be reached; the message says which right is missing.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    check_token(None)
    check_repo_id(repo)
    api = HfApi()
    marked = f"{title} [{marker}]"

    def existing() -> PullRequest | None:
        # By this account only: a stranger's request of the same title must not stand in for ours.
        user = api.whoami()["name"]
        requests = api.get_repo_discussions(repo, author=user, discussion_type="pull_request", repo_type=kind)
        for request in requests:
            if request.title == marked and request.author == user and request.status != "closed":
                return PullRequest(request.num, request.url, opened=False)
        return None

    def attempt() -> PullRequest:
        if found := existing():
            return found
        done = api.create_commit(
            repo,
            # Built anew each time: the client marks operations as uploaded.
            [CommitOperationAdd(path, data) for path, data in sorted(files.items())],
            commit_message=marked,
            commit_description=description,
            repo_type=kind,
            create_pr=True,
        )
        assert done.pr_num is not None
        assert done.pr_url is not None
        return PullRequest(done.pr_num, done.pr_url, opened=True)

    with translated_errors(repo, kind=kind, action="propose", error=ResultError):
        try:
            return retry(attempt, waits, lambda text: log.warning("%s: %s", repo, text))
        except Exception as error:
            # The last attempt may have landed as well.
            if is_transient(error) and (found := existing()):
                return found
            raise
