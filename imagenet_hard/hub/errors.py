"""What the Hub's clients throw, as errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from imagenet_hard.base.errors import DatasetError, ImageNetHardError, UsageError

_NETWORK = frozenset(("httpx", "httpx2", "httpcore", "requests", "urllib3", "aiohttp", "socket"))


@contextmanager
def explained(repo: str, revision: str | None, token: str | bool | None) -> Iterator[None]:
    """Turn every error of ``datasets`` and ``huggingface_hub`` into a DatasetError without the token."""
    try:
        yield
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as error:
        secret = _secret(token)
        chain = list(causes(error))
        text = _explain(chain, repo, revision, secret is not None)
        if secret and any(secret in f"{e!r} {e}" for e in chain):
            # The clients quote a malformed token in full: neither the message nor its cause may.
            raise DatasetError(text.replace(secret, "***")) from None
        raise DatasetError(text) from error


def check_token(token: str | bool | None) -> None:
    """Refuse a token that no header can carry: the clients would quote it in full.

    Raises:
        UsageError: it is not one word of plain characters.
    """
    secret = _secret(token)
    if secret is not None and not (secret.isascii() and secret.isprintable() and secret.split() == [secret]):
        raise UsageError(
            "the Hub token is no token: it has blanks, line ends or special characters, or is empty. "
            "Expected one word such as hf_...; check HF_TOKEN or the file that it was read from"
        )


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment: a busy server, a lost connection."""
    chain = list(causes(error))
    if statuses := [status for e in chain if (status := _status(e)) is not None]:
        return statuses[0] == 429 or statuses[0] >= 500
    return any(map(_is_network, chain))


def _explain(chain: list[BaseException], repo: str, revision: str | None, has_token: bool) -> str:
    from huggingface_hub import errors

    what = f"the data set {repo} on the Hub"
    access = f"ask for access at https://huggingface.co/datasets/{repo}"
    how = "check the token" if has_token else "set HF_TOKEN, run `hf auth login` or pass token="
    for error in chain:
        match error:
            case errors.GatedRepoError():
                check = "then use a token of that account" if has_token else how
                return f"{what} is gated: {access}, {check}"
            case errors.RepositoryNotFoundError() if has_token:
                return f"{what} does not exist, or is private and the token has no access: check both"
            case errors.RepositoryNotFoundError():
                return f"{what} does not exist, or is private: check the name; if it is private, {how}"
            case errors.RevisionNotFoundError():
                return (
                    f"{what} has no revision {revision!r}: expected a branch, a tag or a commit (40 digits)"
                )
            case errors.DisabledRepoError():
                return f"{what} has been disabled by the Hub: it cannot be loaded"
            case errors.HFValidationError():
                return f"{repo!r} is no Hub id: expected OWNER/NAME. {error}"
            case errors.OfflineModeIsEnabled():
                return f"{what} cannot be reached, as HF_HUB_OFFLINE is set: unset it, or load what is cached"
            case errors.HfHubHTTPError():
                return _by_status(what, error, access)
    if (trouble := disk_trouble(chain[0])) is not None:
        return f"{what} cannot be stored: {trouble}"
    last = chain[-1]
    if any(map(_is_network, chain)):
        return (
            f"{what} cannot be reached: {type(last).__name__}: {last}. Check the network and the proxy; "
            "what was loaded before is read from the cache with HF_HUB_OFFLINE=1"
        )
    return f"{what} cannot be loaded: {type(last).__name__}: {last}"


def _by_status(what: str, error: BaseException, access: str) -> str:
    status = _status(error)
    if status == 401:
        return f"the Hub refused the token (401) for {what}: get a new one at https://huggingface.co/settings/tokens"
    if status == 403:
        return f"{what} may not be read (403): {access}, or use a token with read rights"
    if status == 429:
        return f"the Hub asks to slow down (429) for {what}: wait some minutes; a token raises the limit"
    if status is not None and status >= 500:
        return f"the Hub failed ({status}) for {what}: try again later; see https://status.huggingface.co"
    return f"{what} cannot be loaded: {error}"


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return None if status is None else int(status)


def _is_network(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.partition(".")[0] in _NETWORK


def _secret(token: str | bool | None) -> str | None:
    if isinstance(token, str):
        return token
    if token is False:
        return None
    from huggingface_hub import get_token

    return get_token()


_DISK = {
    errno.ENOSPC: "Free some space, or move the cache with HF_HOME",
    errno.EACCES: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EPERM: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EROFS: "Move the cache to a writable place with HF_HOME",
}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
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
