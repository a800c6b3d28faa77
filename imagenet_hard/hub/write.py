"""Put files into a repository on the Hub: one commit or pull request and a tag, or nothing where they are.

What is there is looked at before every attempt, so an upload may be called again after any failure, also
where the reply to a commit was lost: it makes no second commit or request for the same files.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import DatasetError, ImageNetHardError, UsageError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.hub.checks import Token, check_repo_id, check_token, secret_of
from imagenet_hard.hub.content import Content, FileChange, compare
from imagenet_hard.hub.errors import KINDS, Kind, translated_errors
from imagenet_hard.hub.read import files_at, offline
from imagenet_hard.hub.retry import WAITS, retry

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

MAIN = "main"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What was uploaded, or would be.

    ``done``: the Hub holds the content, or an open pull request does; False in a plan. ``changes``: every
    file of both sides once. ``commit``: the commit on ``branch`` that holds the content; None before there
    is one and for a pull request, which ``pull_request`` numbers. ``url``: the commit's, the pull request's,
    or the repository's. ``tag``: None without one; ``new_tag``: whether it is, or would be, made now.
    """

    repo: str
    branch: str
    new_repo: bool
    private: bool
    changes: tuple[FileChange, ...]
    tag: str | None
    new_tag: bool
    done: bool
    url: str
    commit: str | None = None
    pull_request: int | None = None


def upload(
    repo: str,
    content: Content,
    *,
    kind: Kind = "dataset",
    branch: str = MAIN,
    private: bool = False,
    pull_request: bool = False,
    token: Token = None,
    dry_run: bool = False,
    say: Say = lambda _: None,
    confirm: Callable[[Outcome], None] = lambda _: None,
    waits: Sequence[float] = WAITS,
    error: type[ImageNetHardError] = DatasetError,
) -> Outcome:
    """Make the repository ``repo`` (OWNER/NAME) hold ``content``.

    A new repository is made, ``private`` or public; an existing one gets one commit on ``branch`` or, with
    ``pull_request``, a pull request on main. Files that are there with the same content are not sent again.
    A commit gets the content's tag; a pull request does not. Run again, it finishes what was begun or
    changes nothing.

    With ``dry_run`` the Hub is only read. ``confirm`` is called with the plan before the first write, and
    stops by raising. ``waits``: seconds between the attempts where the Hub is busy, the connection is lost or
    another commit comes first.

    Raises:
        UsageError: no such kind of id, no token, or options that exclude each other.
        error: the tag stands for other content, or the Hub refuses or fails; no message has the token.
    """
    secret = check_upload(repo, branch=branch, pull_request=pull_request, token=token, writes=not dry_run)
    from huggingface_hub import HfApi

    api = HfApi(token=secret or False)
    work = _Upload(api, repo, content, kind, branch, private, pull_request, say, error)
    known: dict[str, Any] = {"kind": kind, "token": secret or False, "error": error}
    with translated_errors(repo, revision=branch, **known):
        plan = retry(work.plan, waits, say)
    if plan.done and not dry_run:
        say(f"nothing to do: {plan.url} is as it should be")
    if plan.done or dry_run:
        return plan
    confirm(plan)
    with translated_errors(repo, action="propose" if pull_request else "write", **known):
        return retry(work.attempt, waits, say)


def check_upload(
    repo: str, *, branch: str = MAIN, pull_request: bool = False, token: Token = None, writes: bool = True
) -> str | None:
    """The token of an upload, which is refused where it cannot be made; the Hub is not asked.

    Raises:
        UsageError: no such kind of id, no token where it ``writes``, no network, or options that exclude
            each other.
    """
    check_token(token)
    if offline():
        raise UsageError("HF_HUB_OFFLINE is set: unset it to publish")
    secret = secret_of(token)
    if secret is None and writes:
        raise UsageError(
            "publishing needs a token with write access, and there is none: set HF_TOKEN, run "
            "`hf auth login` or pass token="
        )
    check_repo_id(repo)
    if pull_request and branch != MAIN:
        raise UsageError(f"a pull request goes to {MAIN}: got the branch {branch!r} with it; leave one out")
    return secret


@dataclass(frozen=True)
class _State:
    """A repository at one moment: branch and tag names -> commit."""

    private: bool
    branches: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass
class _Upload:
    """Content on its way to a repository. ``attempt`` may be called again after any failure.

    ``sent_on``: the head under a commit whose reply is missing; ``additions``: they remember what they have
    uploaded.
    """

    api: HfApi
    repo: str
    content: Content
    kind: Kind
    branch: str
    private: bool
    pull_request: bool
    say: Say
    error: type[ImageNetHardError]
    outcome: Outcome | None = None
    commit: str | None = None
    sent_on: str | None = None
    additions: dict[str, CommitOperationAdd] = field(default_factory=dict)

    def plan(self) -> Outcome:
        """What there is to do. Only reads.

        Raises:
            UsageError, the given error: the repository and the options do not fit, or the tag is taken.
        """
        state = self._look()
        head = None if state is None else state.branches[self.branch]
        changes = compare(self.content, {}) if head is None else self._compared(head)
        differs = any(change.is_write for change in changes)
        new_tag = self._lacks_tag(state, changes) and not self.pull_request
        request = self._open_request() if self.pull_request and differs else None
        self.outcome = Outcome(
            repo=self.repo,
            branch=self.branch,
            new_repo=state is None,
            private=self.private if state is None else state.private,
            changes=changes,
            tag=None if self.pull_request else self.content.tag,
            new_tag=new_tag,
            done=request is not None or not (differs or new_tag),
            url=self._url(request or (None if differs else head)),
            commit=None if differs else head,
            pull_request=request,
        )
        return self.outcome

    def attempt(self) -> Outcome:
        """Bring the repository from where it is now to where it should be.

        Raises:
            UsageError, the given error: as ``plan``, or the Hub holds something else after the commit.
            Exception: whatever the client raises.
        """
        state = self._look()
        if state is None:
            what = f"{'private' if self.private else 'public'} {KINDS[self.kind][0]}"
            self.say(f"making the {what} {self.repo}")
            self.api.create_repo(
                self.repo,
                repo_type=self.kind,
                private=self.private,
                exist_ok=True,
                space_sdk="static" if self.kind == "space" else None,
            )
            state = self._look()
            if state is None:
                raise self.error(f"the Hub made {self.repo} but does not show it: run the same command again")
        if self.pull_request:
            return self._propose(state.branches[self.branch])
        if self.commit is None:
            self.commit = self._bring(state)
        if self.content.tag is not None and self._lacks_tag(state):
            self.api.create_tag(self.repo, repo_type=self.kind, tag=self.content.tag, revision=self.commit)
            self.say(f"tagged {self.content.tag}")
        return self._done(commit=self.commit, url=self._url(self.commit))

    def _look(self) -> _State | None:
        """The repository, or None where there is none that the token can see."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        try:
            info = self.api.repo_info(self.repo, repo_type=self.kind)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            state = None
        else:
            refs = self.api.list_repo_refs(self.repo, repo_type=self.kind)
            state = _State(
                private=bool(info.private),
                branches={ref.name: ref.target_commit for ref in refs.branches},
                tags={ref.name: ref.target_commit for ref in refs.tags},
            )
        self._check(state)
        return state

    def _check(self, state: _State | None) -> None:
        """Refuse a repository that the options do not fit.

        Raises:
            The given error: it is missing where it has to be there, or lacks the branch.
            UsageError: it is public and was asked to be private.
        """
        if state is None and self.pull_request:
            raise self.error(
                f"{self.repo} does not exist, or the token has no access: a pull request needs a repository "
                "to go to. Publish without a pull request to make it"
            )
        if state is None and self.branch != MAIN:
            raise self.error(
                f"{self.repo} does not exist yet: publish to {MAIN} first, not to {self.branch!r}"
            )
        if state is not None and self.private and not state.private:
            raise UsageError(
                f"{self.repo} is public already, and publishing as private would not hide it: change its "
                "visibility in its settings on the Hub, or choose another name"
            )
        if state is not None and self.branch not in state.branches:
            raise self.error(
                f"{self.repo} has no branch {self.branch!r}: expected one of {', '.join(state.branches)}"
            )

    def _lacks_tag(self, state: _State | None, changes: Sequence[FileChange] = ()) -> bool:
        """Whether the tag has to be made; refuses one that stands for something else.

        ``changes``: what the branch still needs.
        """
        name = self.content.tag
        if name is None:
            return False
        if state is None or name not in state.tags:
            return True
        if different := _differing(self._compared(name)):
            raise self.error(
                f"{self.repo} has the tag {name} with other content ({different}): {self.content.retag}"
            )
        if moved := _differing(changes):
            raise self.error(
                f"{self.repo} has published this as {name} already, and {self.branch} has changed since "
                f"({moved}): {self.content.retag} to put this back"
            )
        return False

    def _bring(self, state: _State) -> str:
        """The commit on the branch that holds the content, made if there is none."""
        if (landed := self._landed()) is not None:
            commit = landed
        else:
            head = state.branches[self.branch]
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
        for commit in self.api.list_repo_commits(self.repo, repo_type=self.kind, revision=self.branch):
            if commit.title == self.content.title:
                return commit.commit_id
            if commit.commit_id == self.sent_on:
                break
        return None

    def _propose(self, head: str) -> Outcome:
        """The open pull request with this content, made unless there is one."""
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
        """The oldest open pull request of this content; never a second one is made beside it."""
        numbers = [
            request.num
            for request in self.api.get_repo_discussions(
                self.repo, repo_type=self.kind, discussion_type="pull_request", discussion_status="open"
            )
            if request.title == self.content.title
        ]
        if not numbers:
            return None
        self._check_request(min(numbers))
        return min(numbers)

    def _check_request(self, number: int) -> None:
        self._check_content(f"refs/pr/{number}", f"the pull request {self._url(number)}")

    def _send(self, head: str, changes: tuple[FileChange, ...]) -> CommitInfo:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from rich.filesize import decimal

        assert self.outcome is not None
        self.outcome = replace(self.outcome, changes=changes)
        sent = [change for change in changes if change.action in ("add", "replace")]
        gone = [change.path for change in changes if change.action == "remove"]
        for change in sent:
            if change.path not in self.additions:
                local = self.content.files[change.path].local
                self.additions[change.path] = CommitOperationAdd(change.path, local)
        self.say(f"sending {len(sent)} files, {decimal(sum(c.size for c in sent))}, to {self.repo}")
        with warnings.catch_warnings():
            # The tables that a page offers for download are meant to be in its Space.
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            return self.api.create_commit(
                self.repo,
                [
                    *(self.additions[change.path] for change in sent),
                    *(CommitOperationDelete(path, is_folder=False) for path in gone),
                ],
                commit_message=self.content.title,
                commit_description=self.content.description,
                repo_type=self.kind,
                revision=self.branch,
                create_pr=self.pull_request,
                parent_commit=head,
            )

    def _check_content(self, revision: str, what: str) -> None:
        """Whether the Hub holds what was sent: its .gitignore may leave files out, and files may change."""
        if wrong := _differing(self._compared(revision)):
            raise self.error(
                f"{what} does not hold what is here: {wrong} differ. Look at it (and at a "
                ".gitignore on the Hub), close or undo it, and publish again"
            )

    def _compared(self, revision: str) -> tuple[FileChange, ...]:
        return compare(self.content, files_at(self.repo, revision, kind=self.kind, token=self.api.token))

    def _done(self, **values: Any) -> Outcome:
        assert self.outcome is not None
        return replace(self.outcome, done=True, **values)

    def _url(self, of: str | int | None = None) -> str:
        page = f"{self.api.endpoint}/{KINDS[self.kind][1]}{self.repo}"
        if of is None:
            return page
        return f"{page}/commit/{of}" if isinstance(of, str) else f"{page}/discussions/{of}"


def _differing(changes: Sequence[FileChange]) -> str:
    """The first paths that a commit would change; "" where there are none."""
    return shorten_list([change.path for change in changes if change.is_write])
