"""What the clients throw, in our words; the statuses are tested on the server in ``test_hub``."""

from __future__ import annotations

import errno

import pytest

from imagenet_hard.base.errors import DatasetError, UsageError
from imagenet_hard.hub.errors import check_token, explained, is_passing

pytest.importorskip("huggingface_hub")


def text_of(error: Exception, token: str | bool | None = False) -> str:
    """The message that ``error`` becomes."""
    with pytest.raises(DatasetError) as caught, explained("a/b", None, token):
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
        (KeyError("x"), "the data set a/b on the Hub cannot be loaded: KeyError: 'x'"),
    ],
)
def test_each_cause_has_its_words(error: Exception, text: str) -> None:
    """Disk, network, and what nobody expected."""
    assert text in text_of(error)


def test_our_own_errors_pass() -> None:
    """A message that says what to do is not wrapped in another."""
    with pytest.raises(UsageError, match="^mine$"), explained("a/b", None, False):
        raise UsageError("mine")


def test_a_quoted_token_is_blotted_out() -> None:
    """From the message, and from the cause, which is not shown then."""
    with pytest.raises(DatasetError) as caught, explained("a/b", None, "hf_xyzzy"):
        raise ValueError("Illegal header value b'Bearer hf_xyzzy'")
    assert "Bearer ***" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "\u00e9", "a\x00"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    """Without repeating it."""
    with pytest.raises(UsageError, match="the Hub token is no token"):
        check_token(token)


def test_a_token_may_be_absent() -> None:
    """None of one's own is fine."""
    check_token(False)
    check_token("hf_abc")


def test_what_passes_is_tried_again() -> None:
    """A lost connection passes, a missing key does not."""
    assert is_passing(ConnectionResetError())
    assert not is_passing(KeyError("x"))
    assert not is_passing(OSError(errno.ENOSPC, "full"))
