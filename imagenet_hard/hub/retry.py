"""Writing to the Hub: what is tried again, when, and what is said where it refuses."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import Any, TypeVar

from imagenet_hard.base.errors import DatasetError, ImageNetHardError
from imagenet_hard.hub.errors import causes, is_passing

WAITS = (1, 2, 4, 8, 16, 32)
"""Seconds before each new attempt, where the Hub does not say how long."""

LONGEST_WAIT = 600
"""Seconds that a run waits when the Hub asks it to; its rate limits count windows of 300."""

CONFLICTS = (409, 412)
LATER = "run the same command again later; what has been uploaded is kept"
_XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3}) ")
TOKENS = "https://huggingface.co/settings/tokens"
R = TypeVar("R")


def patiently(attempt: Callable[[], R], waits: Sequence[float], on_progress: Callable[[str], None]) -> R:
    """Call ``attempt`` until it succeeds, at most ``len(waits) + 1`` times.

    It has to look first at what an earlier call has done: a lost reply says nothing about that.

    Raises:
        Exception: the attempt's last error, or at once one that will not pass (401, 403, 404, ...).
        DatasetError: the Hub asks for a longer wait than ``LONGEST_WAIT``.
    """
    for wait in waits:
        try:
            return attempt()
        except Exception as error:
            if not may_pass(error):
                raise
            asked = asked_wait(status_of(error), _headers(error), datetime.now(UTC))
            seconds = wait if asked is None else asked
            if seconds > LONGEST_WAIT:
                raise DatasetError(
                    f"the Hub asks to wait {math.ceil(seconds)} s ({status_of(error)}): run the same command "
                    "again then; what has been uploaded is kept"
                ) from None
            on_progress(f"{_what_failed(error)}; trying again in {seconds:g} s")
            time.sleep(seconds)
    return attempt()


def may_pass(error: Exception) -> bool:
    """Whether to look at the repository and try again: a busy server, a lost connection, another's commit."""
    if isinstance(error, ImageNetHardError):
        return False
    if (status := status_of(error)) is not None:
        return status == 429 or status >= 500 or status in CONFLICTS
    # A proxy's error page where the client expected JSON.
    return is_passing(error) or any(isinstance(e, JSONDecodeError) for e in causes(error))


def asked_wait(status: int | None, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a reply's ``Retry-After`` (seconds or an HTTP date) or rate limit asks for, if any.

    Sources: RFC 9110, section 10.2.3; the ``RateLimit`` header as the Hub sends it.
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # no __all__

    value = (headers.get("retry-after") or "").strip()
    if value.isdigit():
        return float(value)
    if value:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
    # Every reply carries the rate limit; it is the reason of a 429 only.
    limit = parse_ratelimit_headers(headers) if status == 429 else None
    # One more second, as the Hub's counts are rounded.
    return limit.reset_in_seconds + 1.0 if limit is not None and limit.remaining == 0 else None


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, if there is one."""
    response = _response(error)
    if response is not None:
        return int(response.status_code)
    # hf_xet has one ConnectionError for everything.
    found = (_XET_STATUS.search(str(e)) for e in causes(error) if isinstance(e, ConnectionError))
    return next((int(match[1]) for match in found if match), None)


@contextmanager
def refusals(repo: str, *, pull_request: bool, secret: str | None) -> Iterator[None]:
    """Turn what the Hub answers to a write into a DatasetError that says which right is missing.

    Errors that it has no sentence for go on to the caller.
    """
    try:
        yield
    except (ImageNetHardError, MemoryError):
        raise
    except Exception as error:
        text = _refusal(error, repo, pull_request)
        if text is None:
            raise
        if secret:
            text = text.replace(secret, "***")
        # Without its causes: they may quote the token.
        raise DatasetError(text) from None


def _refusal(error: Exception, repo: str, pull_request: bool) -> str | None:
    if isinstance(error, JSONDecodeError):
        return f"the Hub, or a proxy on the way, answers with no JSON for {repo}: {LATER}"
    if isinstance(error, ValueError) and not hasattr(error, "response"):  # the client's check of the card
        return f"the upload to {repo} was stopped: {' '.join(str(error).split())}"
    message = next(filter(None, (getattr(e, "server_message", None) for e in causes(error))), "")
    said = f" It says: {' '.join(message.split())}" if message else ""
    status = status_of(error)
    owner = repo.partition("/")[0]
    if status == 401:
        return f"the Hub refused the token (401) for {repo}: get one with write access at {TOKENS}.{said}"
    if status == 403 and pull_request:
        return (
            f"the token may not open a pull request on {repo} (403). It needs the permission to open "
            f"discussions and pull requests: see {TOKENS}.{said}"
        )
    if status == 403:
        return (
            f"the token may not write to {repo} (403). It needs the role write, or, if it is fine-grained, "
            f"write access to the repositories of {owner}: see {TOKENS}. Without that right, propose the "
            f"data set with a pull request (--pr).{said}"
        )
    if status == 404:
        return (
            f"the Hub does not show {repo} to this token (404): check the name, and that the token's "
            f"account is a member of {owner}.{said}"
        )
    if status in CONFLICTS:
        return (
            f"{repo} changed at every attempt ({status}): run the same command again when nobody else "
            f"writes to it; what has been uploaded is kept.{said}"
        )
    if status is not None and (status == 429 or status >= 500):
        what = "asks to slow down" if status == 429 else "fails"
        return f"the Hub {what} ({status}) for {repo}: {LATER}.{said}"
    if status is not None:
        return f"the Hub did not accept the upload to {repo} ({status}).{said or f' {error}'}"
    if status is None and is_passing(error):
        last = list(causes(error))[-1]
        return (
            f"the Hub cannot be reached for {repo}: {type(last).__name__}: {last}. Check the network and the "
            "proxy, and run the same command again: what has been uploaded is kept"
        )
    return None


def _response(error: BaseException) -> Any:
    responses = (getattr(e, "response", None) for e in causes(error))
    return next((response for response in responses if response is not None), None)


def _headers(error: BaseException) -> Mapping[str, str]:
    response = _response(error)
    return {} if response is None else response.headers


def _what_failed(error: Exception) -> str:
    status = status_of(error)
    if status in CONFLICTS:
        return f"another commit came first ({status})"
    if status is not None:
        return f"the Hub answered {status}"
    return f"the connection failed ({type(list(causes(error))[-1]).__name__})"
