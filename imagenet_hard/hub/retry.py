"""A write that is tried again where it may pass: the clients retry what they read, and no commit."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.hub.errors import CONFLICTS, causes, is_transient, response_of, status_of

WAITS = (1, 2, 4, 8, 16, 32)
"""Seconds before each new attempt, where the Hub does not say how long."""

LONGEST_WAIT = 600
"""Seconds that a run waits when the Hub asks it to; its rate limits count windows of 300."""

_USED_UP = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})\b")

R = TypeVar("R")


def retry(attempt: Callable[[], R], waits: Sequence[float], on_progress: Callable[[str], None]) -> R:
    """Call ``attempt`` until it succeeds, at most ``len(waits) + 1`` times.

    It has to look first at what an earlier call has done: a lost reply says nothing about that.

    Raises:
        Exception: the attempt's last error, or at once one that will not pass (401, 403, 404, ...).
        ImageNetHardError: the Hub asks for a longer wait than ``LONGEST_WAIT``.
    """
    for wait in waits:
        try:
            return attempt()
        except Exception as error:
            if not is_transient(error):
                raise
            asked = asked_wait(error, datetime.now(UTC))
            seconds = wait if asked is None else asked
            if seconds > LONGEST_WAIT:
                raise ImageNetHardError(
                    f"the Hub asks to wait {math.ceil(seconds)} s ({status_of(error)}): run the same command "
                    "again then; what has been sent is kept"
                ) from None
            on_progress(f"{_what_failed(error)}; trying again in {seconds:g} s")
            time.sleep(seconds)
    return attempt()


def asked_wait(error: BaseException, now: datetime) -> float | None:
    """Seconds that a reply's ``Retry-After`` (seconds or an HTTP date) or rate limit asks for, if any.

    Sources: RFC 9110, section 10.2.3; the ``RateLimit`` header as the Hub sends it
    (draft-ietf-httpapi-ratelimit-headers-09).
    """
    response = response_of(error)
    headers: Mapping[str, str] = {} if response is None else response.headers
    value = (headers.get("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    if value:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
    # Every reply carries the rate limit; it is the reason of a 429 only.
    used_up = _USED_UP.search(headers.get("ratelimit") or "") if status_of(error) == 429 else None
    # One more second, as the Hub's counts are rounded.
    return int(used_up[1]) + 1.0 if used_up else None


def _what_failed(error: BaseException) -> str:
    status = status_of(error)
    if status in CONFLICTS:
        return f"another commit came first ({status})"
    if status is not None:
        return f"the Hub answered {status}"
    return f"the connection failed ({type(list(causes(error))[-1]).__name__})"
