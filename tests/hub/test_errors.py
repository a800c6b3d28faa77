"""What the clients throw, in our words; the statuses are tested on the server in ``test_hub``."""

from __future__ import annotations

import errno
from json import JSONDecodeError

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from imagenet_hard.base.errors import DatasetError, UsageError, WeightsError
from imagenet_hard.hub.checks import check_token
from imagenet_hard.hub.errors import Action, is_transient, status_of, translated_errors
from tests.hub.answers import XET, answer, broken


def text_of(error: Exception, action: Action = "read", token: str | bool | None = False) -> str:
    """The message that ``error`` becomes."""
    with pytest.raises(DatasetError) as caught, translated_errors("lab/hard", action=action, token=token):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot be stored: No space left on device. Free some",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/c"),
            "cannot be stored: Read-only file system (/c). Move",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/c"),
            "Permission denied (/c). Make the folder readable",
        ),
        (
            TimeoutError("timed out"),
            "cannot be reached: TimeoutError: timed out. Check the network and the proxy",
        ),
        (KeyError("x"), "the data set lab/hard on the Hub cannot be read: KeyError: 'x'"),
    ],
)
def test_each_cause_has_its_words(error: Exception, text: str) -> None:
    """Disk, network, and what nobody expected."""
    assert text in text_of(error)


def test_our_own_errors_pass() -> None:
    """A message that says what to do is not wrapped in another."""
    with pytest.raises(UsageError, match="^mine$"), translated_errors("a/b", token=False):
        raise UsageError("mine")


def test_a_quoted_token_is_blotted_out() -> None:
    """From the message, and from the cause, which is not shown then."""
    with pytest.raises(DatasetError) as caught, translated_errors("a/b", token="hf_xyzzy"):
        raise ValueError("Illegal header value b'Bearer hf_xyzzy'")
    assert "Bearer ***" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "\u00e9", "a\x00"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    """Without repeating it."""
    with pytest.raises(UsageError, match="the Hub token is not valid"):
        check_token(token)


def test_a_token_may_be_absent() -> None:
    """None of one's own is fine."""
    check_token(False)
    check_token("hf_abc")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        *((answer(status), True) for status in (409, 412, 429, 500, 502, 503, 504)),
        *((answer(status), False) for status in (400, 401, 402, 403, 404, 413)),
        (broken("RemoteProtocolError", "gone"), True),
        (broken("ReadError", "gone"), True),
        (ConnectionError("Network error: dns"), True),
        (ConnectionError(XET), False),
        (ConnectionError(XET.replace("client error (403", "server error (503")), True),
        (ConnectionResetError(), True),
        (OfflineModeIsEnabled("offline"), False),
        (OSError(errno.ENOSPC, "full"), False),
        (KeyError("x"), False),
        (ValueError("bad card"), False),
        (UsageError("ours"), False),
    ],
)
def test_what_is_transient(error: Exception, passes: bool) -> None:
    """Busy servers, lost connections and other people's commits; never a refusal."""
    assert is_transient(error) is passes
    wrapped = RuntimeError("Error while uploading 'x'")
    wrapped.__cause__ = error
    if not isinstance(error, UsageError):
        assert is_transient(wrapped) is passes


def test_hf_xet_names_its_status_in_words() -> None:
    """Its one kind of error is read, others are not guessed at."""
    assert status_of(ConnectionError(XET)) == 403
    assert status_of(ConnectionError("refused (111)")) is None
    assert status_of(ValueError(XET)) is None
    assert status_of(OfflineModeIsEnabled("offline")) is None


@pytest.mark.parametrize(
    ("error", "action", "text"),
    [
        (answer(401), "write", "the Hub refused the token (401) for lab/hard: get one with write access at"),
        (
            answer(403),
            "write",
            "may not write to lab/hard (403). It needs the role write, or, if it is fine-",
        ),
        (answer(403), "write", "write access to the repositories of lab"),
        (answer(403), "write", "propose the data set with a pull request (--pr)"),
        (answer(403), "propose", "may not open a pull request on lab/hard (403)"),
        (answer(403, said="no\nway"), "propose", "It says: no way"),
        (
            answer(404),
            "write",
            "data set lab/hard on the Hub does not exist, or is private and the token has no access (404)",
        ),
        (answer(409), "write", "lab/hard changed at every attempt (409)"),
        (answer(429), "write", "asks to slow down (429) for lab/hard"),
        (answer(500), "write", "failed (500) for lab/hard: run the same command again later"),
        (
            answer(413, said="too large"),
            "write",
            "did not accept the upload to lab/hard (413). It says: too large",
        ),
        (answer(400), "write", "did not accept the upload to lab/hard (400). status 400"),
        (ConnectionError(XET), "write", "may not write to lab/hard (403)"),
        (
            broken("ConnectError", "refused"),
            "write",
            f"lab/hard on the Hub cannot be reached: {type(broken('ConnectError')).__name__}: refused. Check",
        ),
        (JSONDecodeError("x", "<html>", 0), "write", "answers with no JSON for lab/hard: run the same"),
        (KeyError("x"), "write", "the data set lab/hard on the Hub cannot be written: KeyError: 'x'"),
        (ValueError("Invalid metadata\n- x"), "write", "to lab/hard was stopped: Invalid metadata - x"),
    ],
)
def test_each_refusal_says_what_to_do(error: Exception, action: Action, text: str) -> None:
    """One sentence each, with the right that is missing."""
    assert text in text_of(error, action, "hf_secret")


@pytest.mark.parametrize("action", ["read", "write", "propose"])
def test_without_a_token_a_token_is_asked_for(action: Action) -> None:
    """Whatever was asked: a 401 to somebody without one is no refused token."""
    assert "the Hub wants a token for" in text_of(answer(401), action)
    assert "set HF_TOKEN or run `hf auth login`" in text_of(answer(401), action)


def test_a_token_that_the_server_quotes_is_not_shown() -> None:
    """Neither in the message nor among its causes."""
    with (
        pytest.raises(DatasetError) as caught,
        translated_errors("a/b", action="write", token="hf_secret"),
    ):
        raise answer(403, said="hf_secret may not")
    assert "*** may not" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_each_room_has_its_own_class_of_error() -> None:
    """The words are the Hub's, the class is the caller's."""
    with (
        pytest.raises(WeightsError, match="the model a/b on the Hub does not exist, or is private"),
        translated_errors("a/b", kind="model", token=False, action="write", error=WeightsError),
    ):
        raise answer(404)
