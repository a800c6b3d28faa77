"""What is tried again, when, and what is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from hypothesis import given
from hypothesis import strategies as st

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.hub import retry
from imagenet_hard.hub.retry import asked_wait, may_pass, patiently, refusals, status_of

NOW = datetime(2026, 1, 31, 23, 59, 50, tzinfo=UTC)
XET = "Network error: Request error: HTTP status client error (403 Forbidden), domain: http://hub/x"


def answer(status: int, headers: dict[str, str] | None = None, said: str | None = None) -> HfHubHTTPError:
    """The client's error for a reply."""
    request = httpx2.Request("POST", "http://hub/api/datasets/a/b/commit/main")
    response = httpx2.Response(status, headers=headers, request=request)
    return HfHubHTTPError(f"status {status}", response=response, server_message=said)


@given(st.integers(min_value=0, max_value=100_000))
def test_retry_after_in_seconds_and_as_a_date_agree(seconds: int) -> None:
    """Both forms of RFC 9110 give the same wait."""
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked_wait(429, {"retry-after": str(seconds)}, NOW) == seconds
    assert asked_wait(503, {"retry-after": date}, NOW) == seconds


def test_retry_after_that_says_nothing() -> None:
    """A past date is no wait; nonsense and silence leave it to the caller."""
    assert asked_wait(429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, NOW) == 0
    assert asked_wait(429, {"retry-after": "soon"}, NOW) is None
    assert asked_wait(429, {"retry-after": "-5"}, NOW) is None
    assert asked_wait(429, {}, NOW) is None


def test_the_rate_limit_is_read_where_it_is_the_reason() -> None:
    """It stands on every reply, but only a 429 is about it."""
    used_up = {"ratelimit": '"api";r=0;t=55'}
    assert asked_wait(429, used_up, NOW) == 56
    assert asked_wait(500, used_up, NOW) is None
    assert asked_wait(429, {"ratelimit": '"api";r=3;t=55'}, NOW) is None


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        *((answer(status), True) for status in (409, 412, 429, 500, 502, 503, 504)),
        *((answer(status), False) for status in (400, 401, 402, 403, 404, 413)),
        (httpx2.RemoteProtocolError("gone"), True),
        (httpx2.ReadError("gone"), True),
        (ConnectionError("Network error: dns"), True),
        (ConnectionError(XET), False),
        (ConnectionError(XET.replace("client error (403", "server error (503")), True),
        (ValueError("bad card"), False),
        (UsageError("ours"), False),
    ],
)
def test_what_may_pass(error: Exception, passes: bool) -> None:
    """Busy servers, lost connections and other people's commits; never a refusal."""
    assert may_pass(error) is passes
    wrapped = RuntimeError("Error while uploading 'x'")
    wrapped.__cause__ = error
    if not isinstance(error, UsageError):
        assert may_pass(wrapped) is passes


def test_hf_xet_names_its_status_in_words() -> None:
    """Its one kind of error is read, others are not guessed at."""
    assert status_of(ConnectionError(XET)) == 403
    assert status_of(ConnectionError("refused (111)")) is None
    assert status_of(ValueError(XET)) is None
    assert status_of(OfflineModeIsEnabled("offline")) is None


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
    monkeypatch.setattr(retry.time, "sleep", waits.append)
    return waits


def test_it_waits_as_told_or_as_planned(slept: list[float]) -> None:
    """Retry-After wins over the plan, a lost connection follows the plan, and each is said."""
    said: list[str] = []
    attempt = failing(answer(500), answer(429, {"retry-after": "7"}), httpx2.ReadError(""), answer(412))
    assert patiently(attempt, (1, 2, 4, 8), said.append) == 5
    assert slept == [1, 7, 4, 8]
    assert said == [
        "the Hub answered 500; trying again in 1 s",
        "the Hub answered 429; trying again in 7 s",
        "the connection failed (ReadError); trying again in 4 s",
        "another commit came first (412); trying again in 8 s",
    ]


def test_it_ends(slept: list[float]) -> None:
    """After the last wait the last error goes on; a refusal does so at once."""
    with pytest.raises(HfHubHTTPError, match="status 503"):
        patiently(failing(*(answer(503) for _ in range(9))), (1, 2), print)
    assert slept == [1, 2]
    with pytest.raises(HfHubHTTPError, match="status 403"):
        patiently(failing(answer(403)), (1, 2), print)
    assert slept == [1, 2]


def test_it_does_not_wait_for_hours(slept: list[float]) -> None:
    """A long pause is left to the user."""
    with pytest.raises(DatasetError, match=r"asks to wait 3600 s \(429\): run the same command again then"):
        patiently(failing(answer(429, {"retry-after": "3600"})), (1, 2), print)
    assert slept == []


@pytest.mark.parametrize(
    ("error", "pull_request", "text"),
    [
        (answer(401), False, "the Hub refused the token (401) for lab/hard: get one with write access at"),
        (answer(403), False, "may not write to lab/hard (403). It needs the role write, or, if it is fine-"),
        (answer(403), False, "write access to the repositories of lab"),
        (answer(403), False, "propose the data set with a pull request (--pr)"),
        (answer(403), True, "may not open a pull request on lab/hard (403)"),
        (answer(403, said="no\nway"), True, "It says: no way"),
        (answer(404), False, "does not show lab/hard to this token (404)"),
        (answer(409), False, "lab/hard changed at every attempt (409)"),
        (answer(429), False, "asks to slow down (429) for lab/hard"),
        (answer(500), False, "fails (500) for lab/hard: run the same command again later"),
        (
            answer(413, said="too large"),
            False,
            "did not accept the upload to lab/hard (413). It says: too large",
        ),
        (answer(400), False, "did not accept the upload to lab/hard (400). status 400"),
        (ConnectionError(XET), False, "may not write to lab/hard (403)"),
        (
            httpx2.ConnectError("refused"),
            False,
            "cannot be reached for lab/hard: ConnectError: refused. Check",
        ),
        (ValueError("Invalid metadata\n- x"), False, "to lab/hard was stopped: Invalid metadata - x"),
    ],
)
def test_each_refusal_says_what_to_do(error: Exception, pull_request: bool, text: str) -> None:
    """One sentence each, with the right that is missing."""
    with (
        pytest.raises(DatasetError) as caught,
        refusals("lab/hard", pull_request=pull_request, secret="hf_secret"),
    ):
        raise error
    assert text in str(caught.value)


def test_a_token_that_the_server_quotes_is_not_shown() -> None:
    """Neither in the message nor among its causes."""
    with pytest.raises(DatasetError) as caught, refusals("a/b", pull_request=False, secret="hf_secret"):
        raise answer(403, said="hf_secret may not")
    assert "*** may not" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_other_errors_go_on() -> None:
    """Ours unchanged, unknown ones to the next handler."""
    with pytest.raises(UsageError, match="ours"), refusals("a/b", pull_request=False, secret=None):
        raise UsageError("ours")
    with pytest.raises(KeyError), refusals("a/b", pull_request=False, secret=None):
        raise KeyError("x")
