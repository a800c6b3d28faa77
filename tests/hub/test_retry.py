"""What is tried again, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import ImageNetHardError
from imagenet_hard.hub import retry as retry_module
from imagenet_hard.hub.retry import asked_wait, retry
from tests.hub.answers import answer, broken

NOW = datetime(2026, 1, 31, 23, 59, 50, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=100_000))
def test_retry_after_in_seconds_and_as_a_date_agree(seconds: int) -> None:
    """Both forms of RFC 9110 give the same wait."""
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked_wait(answer(429, {"retry-after": str(seconds)}), NOW) == seconds
    assert asked_wait(answer(503, {"retry-after": date}), NOW) == seconds


def test_retry_after_that_says_nothing() -> None:
    """A past date is no wait; nonsense and silence leave it to the caller."""
    assert asked_wait(answer(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), NOW) == 0
    assert asked_wait(answer(429, {"retry-after": "soon"}), NOW) is None
    assert asked_wait(answer(429, {"retry-after": "-5"}), NOW) is None
    assert asked_wait(answer(429, {}), NOW) is None


def test_the_rate_limit_is_read_where_it_is_the_reason() -> None:
    """It stands on every reply, but only a 429 is about it."""
    used_up = {"ratelimit": '"api";r=0;t=55'}
    assert asked_wait(answer(429, used_up), NOW) == 56
    assert asked_wait(answer(500, used_up), NOW) is None
    assert asked_wait(answer(429, {"ratelimit": '"api";r=3;t=55'}), NOW) is None
    assert asked_wait(answer(429, {"ratelimit": '"api";r=10;t=55'}), NOW) is None
    assert asked_wait(answer(429, {"ratelimit": '"api"; r=0; t=7'}), NOW) == 8
    assert asked_wait(answer(429, {"ratelimit": "none"}), NOW) is None


def failing(*errors: Exception):
    """A function that raises these, one each call, and then returns how often it was called."""
    left, calls = list(errors), []

    def attempt() -> int:
        calls.append(1)
        if left:
            raise left.pop(0)
        return len(calls)

    return attempt


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, none of them taken."""
    waits: list[float] = []
    monkeypatch.setattr(retry_module.time, "sleep", waits.append)
    return waits


def test_it_waits_as_told_or_as_planned(slept: list[float]) -> None:
    """Retry-After wins over the plan, a lost connection follows the plan, and each is said."""
    said: list[str] = []
    lost = broken("ReadError")
    attempt = failing(answer(500), answer(429, {"retry-after": "7"}), lost, answer(412))
    assert retry(attempt, (1, 2, 4, 8), said.append) == 5
    assert slept == [1, 7, 4, 8]
    assert said == [
        "the Hub answered 500; trying again in 1 s",
        "the Hub answered 429; trying again in 7 s",
        f"the connection failed ({type(lost).__name__}); trying again in 4 s",
        "another commit came first (412); trying again in 8 s",
    ]


def test_it_ends(slept: list[float]) -> None:
    """After the last wait the last error goes on; a refusal does so at once."""
    with pytest.raises(HfHubHTTPError, match="status 503"):
        retry(failing(*(answer(503) for _ in range(9))), (1, 2), print)
    assert slept == [1, 2]
    with pytest.raises(HfHubHTTPError, match="status 403"):
        retry(failing(answer(403)), (1, 2), print)
    assert slept == [1, 2]


def test_it_does_not_wait_for_hours(slept: list[float]) -> None:
    """A long pause is left to the user."""
    with pytest.raises(
        ImageNetHardError, match=r"asks to wait 3600 s \(429\): run the same command again then"
    ):
        retry(failing(answer(429, {"retry-after": "3600"})), (1, 2), print)
    assert slept == []
