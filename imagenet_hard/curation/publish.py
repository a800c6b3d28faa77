"""Publish a build to the Hugging Face Hub: one commit or pull request, and a tag for the version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.curation.publication import Publication
from imagenet_hard.curation.publish_target import MAIN, PublishReport, Target
from imagenet_hard.curation.release import read_release
from imagenet_hard.hub.errors import check_token, explained
from imagenet_hard.hub.retry import WAITS, patiently, refusals


def publish(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    pull_request: bool = False,
    tag: bool = True,
    token: str | bool | None = None,
    revision: str | None = None,
    dry_run: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
    confirm: Callable[[PublishReport], None] = lambda _: None,
    waits: Sequence[float] = WAITS,
) -> PublishReport:
    """Make the data set ``repo`` (OWNER/NAME) hold the build in ``folder``.

    A new repository is made, ``private`` or public; an existing one gets one commit on ``revision``
    (a branch; None is main) or, with ``pull_request``, a pull request on main. Files that are there
    with the same content are not sent again; files below ``data/`` that the build does not have are
    removed in the same commit, others are left alone. The commit is tagged ``v<version>``; a pull
    request is not, publish again once it is merged. Run again, it finishes what was begun or
    changes nothing, also where an earlier reply was lost.

    ``token``: None takes the one of the environment (``HF_TOKEN``) or of ``hf auth login``. With
    ``dry_run`` the Hub is only read. ``confirm`` is called with the plan before the first write, and
    stops by raising. ``waits``: seconds between the attempts where the Hub is busy, the connection
    is lost or another commit comes first.

    Raises:
        UsageError: no folder, no such kind of id, no token, or options that exclude each other.
        DatasetError: the folder is no build or has changed since, its version is on the Hub with
            other content, or the Hub refuses or fails; no message contains the token.
    """
    secret = _checked_token(token, needed=not dry_run)
    _check_repo(repo)
    if pull_request and revision not in (None, MAIN):
        raise UsageError(f"a pull request goes to {MAIN}: got the branch {revision!r} with it; leave one out")
    release = read_release(folder)
    from huggingface_hub import HfApi

    target = Target(repo, revision or MAIN, private, pull_request, tag)
    work = Publication(HfApi(token=secret or False), target, release, on_progress)
    again = partial(patiently, waits=waits, on_progress=on_progress)
    guard = partial(explained, repo, revision, secret or False)
    with guard():
        plan = again(work.plan)
    if plan.done and not dry_run:
        on_progress(f"nothing to do: {plan.url} holds this build")
    if plan.done or dry_run:
        return plan
    confirm(plan)
    with guard(), refusals(repo, pull_request=pull_request, secret=secret):
        return again(work.attempt)


def _checked_token(token: str | bool | None, needed: bool) -> str | None:
    from huggingface_hub import constants, get_token

    check_token(token)
    if constants.HF_HUB_OFFLINE:
        raise UsageError("HF_HUB_OFFLINE is set: unset it to publish")
    secret = token if isinstance(token, str) else None if token is False else get_token()
    if secret is None and needed:
        raise UsageError(
            "publishing needs a token with write access, and there is none: set HF_TOKEN, run "
            "`hf auth login` or pass token="
        )
    return secret


def _check_repo(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # not in an __all__

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is no Hub id: expected OWNER/NAME. {error}") from None
    if "/" not in repo:
        raise UsageError(f"{repo!r} is no Hub id: expected OWNER/NAME, as in my-organisation/{repo}")
