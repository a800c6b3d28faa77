"""Where a build is to be published and how, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.curation.hub_state import FileChange, HubState

MAIN = "main"


@dataclass(frozen=True)
class Target:
    """A data set repository OWNER/NAME, a branch of it, and the options of ``publish``."""

    repo: str
    branch: str = MAIN
    private: bool = False
    pull_request: bool = False
    tag: bool = True

    def check(self, state: HubState | None) -> None:
        """Refuse a repository that the options do not fit; None is one that does not exist.

        Raises:
            DatasetError: it is missing where it has to be there, or lacks the branch.
            UsageError: it is public and was asked to be private.
        """
        if state is None and self.pull_request:
            raise DatasetError(
                f"{self.repo} does not exist, or the token has no access: a pull request needs a data set "
                "to go to. Publish without a pull request to make it"
            )
        if state is None and self.branch != MAIN:
            raise DatasetError(
                f"{self.repo} does not exist yet: publish to {MAIN} first, not to {self.branch!r}"
            )
        if state is not None and self.private and not state.private:
            raise UsageError(
                f"{self.repo} is public already, and publishing as private would not hide it: change its "
                "visibility in its settings on the Hub, or choose another name"
            )
        if state is not None and self.branch not in state.branches:
            raise DatasetError(
                f"{self.repo} has no branch {self.branch!r}: expected one of {', '.join(state.branches)}"
            )


@dataclass(frozen=True)
class PublishReport:
    """What was published, or would be.

    ``done``: the Hub holds the build, or an open pull request does; False in a plan. ``changes``:
    every file of the build and of the repository once. ``commit``: the commit on ``branch`` that
    holds the build; None before there is one and for a pull request, which ``pull_request`` numbers.
    ``url``: the commit's, the pull request's, or the repository's. ``tag``: the version's tag, None
    without one; ``new_tag``: whether it is, or would be, made now.
    """

    repo: str
    branch: str
    version: str
    fingerprint: str
    new_repo: bool
    private: bool
    changes: tuple[FileChange, ...]
    tag: str | None
    new_tag: bool
    done: bool
    url: str
    commit: str | None = None
    pull_request: int | None = None
