"""One run of publishing: looks at the repository, does what is missing, and can be called again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.curation.hub_state import FileChange, HubState, compare, files_at, look
from imagenet_hard.curation.publish_target import PublishReport, Target
from imagenet_hard.curation.release import Release

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

Changes = Sequence[FileChange]


class Publication:
    """A release on its way to a repository. ``attempt`` may be called again after any failure."""

    def __init__(self, api: HfApi, target: Target, release: Release, say: Callable[[str], None]) -> None:
        self.api, self.target, self.release, self.say = api, target, release, say
        self.repo = target.repo
        self.report: PublishReport | None = None
        self.commit: str | None = None
        self.sent_on: str | None = None  # the head under a commit whose reply is missing
        self.additions: dict[str, CommitOperationAdd] = {}  # remember what they have uploaded

    def plan(self) -> PublishReport:
        """What there is to do. Only reads.

        Raises:
            DatasetError, UsageError: the repository and the options do not fit, or the tag is taken.
        """
        state = self._look()
        head = None if state is None else state.branches[self.target.branch]
        changes = compare(self.release, {}) if head is None else self._compared(head)
        differs = any(change.is_write for change in changes)
        new_tag = self._lacks_tag(state, changes) and not self.target.pull_request
        request = self._open_request() if self.target.pull_request and differs else None
        self.report = PublishReport(
            repo=self.repo,
            branch=self.target.branch,
            version=self.release.version,
            fingerprint=self.release.fingerprint,
            new_repo=state is None,
            private=self.target.private if state is None else state.private,
            changes=changes,
            tag=self.release.tag if self.target.tag and not self.target.pull_request else None,
            new_tag=new_tag,
            done=request is not None or not (differs or new_tag),
            url=self._url(request or (None if differs else head)),
            commit=None if differs else head,
            pull_request=request,
        )
        return self.report

    def attempt(self) -> PublishReport:
        """Bring the repository from where it is now to where it should be.

        Raises:
            DatasetError, UsageError: as ``plan``, or the Hub holds something else after the commit.
            Exception: whatever the client raises.
        """
        state = self._look()
        if state is None:
            self.say(f"making the {'private' if self.target.private else 'public'} data set {self.repo}")
            self.api.create_repo(self.repo, repo_type="dataset", private=self.target.private, exist_ok=True)
            state = self._look()
            if state is None:
                raise DatasetError(
                    f"the Hub made {self.repo} but does not show it: run the same command again"
                )
        if self.target.pull_request:
            return self._propose(state.branches[self.target.branch])
        if self.commit is None:
            self.commit = self._bring(state)
        if self._lacks_tag(state):
            self.api.create_tag(self.repo, repo_type="dataset", tag=self.release.tag, revision=self.commit)
            self.say(f"tagged {self.release.tag}")
        return self._done(commit=self.commit, url=self._url(self.commit))

    def _look(self) -> HubState | None:
        state = look(self.api, self.repo)
        self.target.check(state)
        return state

    def _lacks_tag(self, state: HubState | None, changes: Changes = ()) -> bool:
        """Whether the version's tag has to be made; refuses one that stands for something else.

        ``changes``: what the branch still needs.
        """
        name = self.release.tag
        if not self.target.tag or state is None or name not in state.tags:
            return self.target.tag
        if different := _differing(self._compared(name)):
            raise DatasetError(
                f"{self.repo} has the tag {name} with other content ({different}): raise the version in the "
                "recipe and build again, or leave the tag out (--no-tag)"
            )
        if moved := _differing(changes):
            raise DatasetError(
                f"{self.repo} has published this build as {name} already, and {self.target.branch} has "
                f"changed since ({moved}): raise the version in the recipe and build again, or leave the tag "
                "out (--no-tag) to put this build back"
            )
        return False

    def _bring(self, state: HubState) -> str:
        """The commit on the branch that holds the build, made if there is none."""
        if (landed := self._landed()) is not None:
            commit = landed
        else:
            head = state.branches[self.target.branch]
            changes = self._compared(head)
            if not _differing(changes):
                return head
            self._lacks_tag(state, changes)
            self.sent_on = self.sent_on or head
            commit = self._send(head, changes).oid
        self._check_content(commit, f"the commit {self._url(commit)}")
        self.say(f"committed {commit}")
        return commit

    def _landed(self) -> str | None:
        """Our commit, if it is on the branch although its reply was lost; others may lie on top of it."""
        if self.sent_on is None:
            return None
        for commit in self.api.list_repo_commits(self.repo, repo_type="dataset", revision=self.target.branch):
            if commit.title == self.release.title:
                return commit.commit_id
            if commit.commit_id == self.sent_on:
                break
        return None

    def _propose(self, head: str) -> PublishReport:
        """The open pull request with this build, made unless there is one."""
        changes = self._compared(head)
        if not _differing(changes):  # merged meanwhile
            return self._done(commit=head, url=self._url(head))
        number = self._open_request()
        if number is None:
            number = self._send(head, changes).pr_num
            assert number is not None
            self._check_request(number)
        return self._done(pull_request=number, url=self._url(number))

    def _open_request(self) -> int | None:
        """The oldest open pull request of this build; never a second one is made beside it."""
        numbers = [
            request.num
            for request in self.api.get_repo_discussions(
                self.repo, repo_type="dataset", discussion_type="pull_request", discussion_status="open"
            )
            if request.title == self.release.title
        ]
        if not numbers:
            return None
        self._check_request(min(numbers))
        return min(numbers)

    def _check_request(self, number: int) -> None:
        self._check_content(f"refs/pr/{number}", f"the pull request {self._url(number)}")

    def _send(self, head: str, changes: tuple[FileChange, ...]) -> CommitInfo:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        assert self.report is not None
        self.report = replace(self.report, changes=changes)
        sent = [change for change in changes if change.action in ("add", "replace")]
        gone = [change.path for change in changes if change.action == "remove"]
        for change in sent:
            if change.path not in self.additions:
                local = self.release.files[change.path].local
                self.additions[change.path] = CommitOperationAdd(change.path, local)
        self.say(f"sending {len(sent)} files, {decimal(sum(c.size for c in sent))}, to {self.repo}")
        return self.api.create_commit(
            self.repo,
            [
                *(self.additions[change.path] for change in sent),
                *(CommitOperationDelete(path, is_folder=False) for path in gone),
            ],
            commit_message=self.release.title,
            commit_description=self.release.description,
            repo_type="dataset",
            revision=self.target.branch,
            create_pr=self.target.pull_request,
            parent_commit=head,
        )

    def _check_content(self, revision: str, what: str) -> None:
        """Whether the Hub holds what was built: its .gitignore may leave files out, and files may change."""
        if wrong := _differing(self._compared(revision)):
            raise DatasetError(
                f"{what} does not hold this build: {wrong} differ. Recognised at it (and at a "
                ".gitignore on the Hub), close or undo it, and publish again"
            )

    def _compared(self, revision: str) -> tuple[FileChange, ...]:
        return compare(self.release, files_at(self.api, self.repo, revision))

    def _done(self, **values: Any) -> PublishReport:
        assert self.report is not None
        return replace(self.report, done=True, **values)

    def _url(self, of: str | int | None = None) -> str:
        page = f"{self.api.endpoint}/datasets/{self.repo}"
        if of is None:
            return page
        return f"{page}/commit/{of}" if isinstance(of, str) else f"{page}/discussions/{of}"


def _differing(changes: Changes) -> str:
    """The first paths that a commit would change; "" where there are none."""
    return shorten_list([change.path for change in changes if change.is_write])
