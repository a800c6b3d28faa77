"""What the Hub and its clients throw, as errors that say what to do and show no token."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, Literal

from imagenet_hard.base.errors import DatasetError, ImageNetHardError
from imagenet_hard.hub.checks import Token, secret_of

Kind = Literal["dataset", "model", "space"]
Action = Literal["read", "write", "propose"]
"""``propose``: open a pull request."""

TOKENS = "https://huggingface.co/settings/tokens"
CONFLICTS = (409, 412)
"""Statuses of a commit before which another one came."""

KINDS: Mapping[Kind, tuple[str, str]] = {
    "dataset": ("data set", "datasets/"),
    "model": ("model", ""),
    "space": ("Space", "spaces/"),
}
"""Kind -> its word, and where the pages of its repositories begin."""

_AGAIN = "run the same command again later; what has been sent is kept"
_NETWORK = frozenset(("httpx", "httpx2", "httpcore", "requests", "urllib3", "aiohttp", "socket"))
_XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3}) ")
_DISK = {
    errno.ENOSPC: "Free some space, or move the cache with HF_HOME",
    errno.EACCES: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EPERM: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EROFS: "Move the cache to a writable place with HF_HOME",
}


@contextmanager
def translated_errors(
    repo: str,
    *,
    kind: Kind = "dataset",
    action: Action = "read",
    revision: str | None = None,
    token: Token = None,
    error: type[ImageNetHardError] = DatasetError,
) -> Iterator[None]:
    """Turn every error of ``datasets`` and ``huggingface_hub`` into an ``error`` without the token."""
    try:
        yield
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as caught:
        secret = secret_of(token)
        chain = list(causes(caught))
        text = _Asked(repo, kind, action, revision, secret is not None).sentence(chain)
        if secret and any(secret in f"{e!r} {e}" for e in [*chain, text]):
            # The clients quote a malformed token in full: neither the message nor its cause may.
            raise error(text.replace(secret, "***")) from None
        raise error(text) from caught


def is_transient(error: BaseException) -> bool:
    """Whether the same may succeed in a moment: a busy server, a lost connection, another's commit."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    chain = list(causes(error))
    if isinstance(error, ImageNetHardError) or any(isinstance(e, OfflineModeIsEnabled) for e in chain):
        return False
    if (status := status_of(error)) is not None:
        return status == 429 or status >= 500 or status in CONFLICTS
    # JSON: a proxy's error page where the client expected some.
    return any(_is_network(e) or isinstance(e, JSONDecodeError) for e in chain)


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, if there is one."""
    if (response := response_of(error)) is not None:
        return int(response.status_code)
    # hf_xet has one ConnectionError for everything.
    found = (_XET_STATUS.search(str(e)) for e in causes(error) if isinstance(e, ConnectionError))
    return next((int(match[1]) for match in found if match), None)


def response_of(error: BaseException) -> Any:
    """The server's reply behind an error, if there is one."""
    responses = (getattr(e, "response", None) for e in causes(error))
    return next((response for response in responses if response is not None), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first: libraries wrap errors in their own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def disk_trouble(error: BaseException) -> str | None:
    """What the disk refused and what to do, where the disk is the cause: full, read-only, forbidden."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in _DISK:
            where = f" ({cause.filename})" if cause.filename else ""
            return f"{cause.strerror}{where}. {_DISK[cause.errno]}"
    return None


@dataclass(frozen=True)
class _Asked:
    """What was asked of the Hub, and the sentence on what came of it."""

    repo: str
    kind: Kind
    action: Action
    revision: str | None
    has_token: bool

    @property
    def what(self) -> str:
        return f"the {KINDS[self.kind][0]} {self.repo} on the Hub"

    @property
    def ask_access(self) -> str:
        return f"ask for access at https://huggingface.co/{KINDS[self.kind][1]}{self.repo}"

    def sentence(self, chain: list[BaseException]) -> str:
        return (
            self._of_client(chain)
            or self._of_status(status_of(chain[0]), chain)
            or self._of_machine(chain)
            or f"{self.what} cannot be {'read' if self.action == 'read' else 'written'}: {_named(chain[-1])}"
        )

    def _of_client(self, chain: list[BaseException]) -> str | None:
        """What the client has an error of its own for."""
        from huggingface_hub import errors

        for error in chain:
            match error:
                case errors.GatedRepoError():
                    then = "then use a token of that account" if self.has_token else _LOG_IN
                    return f"{self.what} is gated: {self.ask_access}, {then}"
                case errors.RepositoryNotFoundError() if self.action == "read":
                    return self._not_found(status_of(error))
                case errors.RevisionNotFoundError():
                    expected = "expected a branch, a tag or a commit (40 digits)"
                    return f"{self.what} has no revision {self.revision!r}: {expected}"
                case errors.DisabledRepoError():
                    return f"{self.what} has been disabled by the Hub"
                case errors.LocalTokenNotFoundError():
                    return f"the Hub wants a token for {self.repo}: {_LOG_IN}"
                case errors.HFValidationError():
                    return f"{self.repo!r} is not a Hub id: expected OWNER/NAME. {error}"
                case errors.OfflineModeIsEnabled():
                    return f"{self.what} cannot be reached: HF_HUB_OFFLINE is set; unset it, or use the cache"
        if self.action != "read" and isinstance(chain[0], JSONDecodeError):
            return f"the Hub, or a proxy on the way, answers with no JSON for {self.repo}: {_AGAIN}"
        if self.action != "read" and type(chain[0]) is ValueError:  # the client's check of the card
            return f"the upload to {self.repo} was stopped: {' '.join(str(chain[0]).split())}"
        return None

    def _of_status(self, status: int | None, chain: list[BaseException]) -> str | None:
        if status is None:
            return None
        if self.action == "read":
            return self._of_read_status(status, chain[0])
        message = next(filter(None, (getattr(e, "server_message", None) for e in chain)), "")
        said = f" It says: {' '.join(message.split())}" if message else ""
        if status == 401 and not self.has_token:
            return f"the Hub wants a token for {self.repo} (401): {_LOG_IN}"
        if status == 401:
            with_write = f"get one with write access at {TOKENS}"
            return f"the Hub refused the token (401) for {self.repo}: {with_write}.{said}"
        if status == 403 and self.action == "propose":
            return (
                f"the token may not open a pull request on {self.repo} (403). It needs the permission to "
                f"open discussions and pull requests: see {TOKENS}.{said}"
            )
        if status == 403:
            instead = " Without that right, propose the data set with a pull request (--pr)."
            return (
                f"the token may not write to {self.repo} (403). It needs the role write, or, if it is "
                f"fine-grained, write access to the repositories of {self.repo.partition('/')[0]}: "
                f"see {TOKENS}.{instead if self.kind == 'dataset' else ''}{said}"
            )
        if status == 404:
            return f"{self._not_found(status)}.{said}"
        if status in CONFLICTS:
            return (
                f"{self.repo} changed at every attempt ({status}): run the same command again when nobody "
                f"else writes to it; what has been sent is kept.{said}"
            )
        if status == 429 or status >= 500:
            what = "asks to slow down" if status == 429 else "failed"
            return f"the Hub {what} ({status}) for {self.repo}: {_AGAIN}.{said}"
        return f"the Hub did not accept the upload to {self.repo} ({status}).{said or f' {chain[0]}'}"

    def _of_read_status(self, status: int, error: BaseException) -> str:
        if status == 401 and not self.has_token:
            return f"the Hub wants a token for {self.what} (401): {_LOG_IN}"
        if status == 401:
            then = f"get a new one at {TOKENS} and log in with `hf auth login`"
            return f"the Hub refused the token (401) for {self.what}: {then}"
        if status == 403:
            return f"{self.what} may not be read (403): {self.ask_access}, or use a token with read rights"
        if status == 429:
            then = "wait some minutes; a token raises the limit"
            return f"the Hub asks to slow down (429) for {self.what}: {then}"
        if status >= 500:
            then = "try again later; see https://status.huggingface.co"
            return f"the Hub failed ({status}) for {self.what}: {then}"
        return f"{self.what} cannot be read ({status}): {error}"

    def _of_machine(self, chain: list[BaseException]) -> str | None:
        """The disk or the network."""
        if (trouble := disk_trouble(chain[0])) is not None:
            return f"{self.what} cannot be stored: {trouble}"
        if not any(map(_is_network, chain)):
            return None
        then = (
            "; what was loaded before is read from the cache with HF_HUB_OFFLINE=1"
            if self.action == "read"
            else ", and run the same command again: what has been sent is kept"
        )
        return f"{self.what} cannot be reached: {_named(chain[-1])}. Check the network and the proxy{then}"

    def _not_found(self, status: int | None) -> str:
        without = f" ({status}): check the name; if it is private, {_LOG_IN}"
        with_token = f" and the token has no access ({status}): check both (`hf auth login` takes another)"
        return f"{self.what} does not exist, or is private{with_token if self.has_token else without}"


_LOG_IN = "set HF_TOKEN or run `hf auth login`"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _is_network(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.partition(".")[0] in _NETWORK
