"""A model behind an OpenAI-compatible chat endpoint: one image and one question, one answer.

An answer is text, also where a content filter left none. All else is a failure: one that passes
(``PassingError``), one of this image (``ImageError``), or one of all images (``ClassifierError``). What a
server says is untrusted: bounded, printable, and without the key.
"""

from __future__ import annotations

import email.utils
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imagenet_hard.base.errors import ClassifierError, ImageError, UsageError
from imagenet_hard.base.text import printable, shorten
from imagenet_hard.evaluation.generative.answers import MAX_FINISH_LENGTH
from imagenet_hard.evaluation.generative.score import FILTERED

if TYPE_CHECKING:
    import openai

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""Sent where there is none: local servers want something."""

TIMEOUT = 300.0
"""Seconds for one answer."""

TRIES = 8
PATIENT_TRIES = 40
"""Where the endpoint only says that it is asked too much."""

MAX_REPLY_BYTES = 2**20
MAX_WAIT = 600.0
"""Seconds that a server may ask to wait: longer is for another day."""

_FILTERS = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
_EMPTY_PURSE = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


class PassingError(Exception):
    """A call that may be made again. ``wait``: seconds, where the server says so; ``pushed_back``: it is
    asked too much; ``tries``: how many calls before the image is given up; ``advice``: what to look at
    where no call ever came through."""

    def __init__(
        self,
        said: str,
        wait: float | None = None,
        *,
        pushed_back: bool = False,
        tries: int = TRIES,
        advice: str | None = None,
    ) -> None:
        super().__init__(said)
        self.wait, self.pushed_back, self.tries, self.advice = wait, pushed_back, tries, advice


class _LongReply(Exception):
    """More bytes than an answer has."""


@dataclass(frozen=True)
class Answer:
    """What came. ``finish``: why it ended; tokens: None where the server does not count them; ``model``: what
    the server calls itself."""

    text: str
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    model: str = ""


def base_url(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The address, checked: that given, else that of ``OPENAI_BASE_URL``, else OpenAI's.

    Raises:
        UsageError: it is none, or has a password or a key in it.
    """
    url = (given or environment.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise UsageError(f"base URL {shorten(url)}: expected one as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"base URL of {parts.hostname}: it has a user, a query or a fragment, which a record would show. "
            "Keys come from the environment: --key-env NAME"
        )
    if url.endswith("/chat/completions"):
        raise UsageError(f"base URL {shorten(url)}: leave out /chat/completions, which is added to it")
    return url


def key_for(url: str, name: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The key from the environment; ``OPENAI_API_KEY`` goes nowhere but to OpenAI and ``OPENAI_BASE_URL``.

    Raises:
        UsageError: there is none where one is needed, or it would go over the net in plain text.
    """
    its_own = (DEFAULT_URL, (environment.get("OPENAI_BASE_URL") or "").rstrip("/"))
    asked, name = name is not None, name or (DEFAULT_KEY if url in its_own else None)
    key = environment.get(name, "").strip() if name else ""
    if name and not key and (asked or url == DEFAULT_URL):
        raise UsageError(f"no key for {url}: set the environment variable {name} to it")
    parts = urlsplit(url)
    if key and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(f"{url} is not encrypted, and the key of {name} would be sent to it: give https")
    return key or NO_KEY


class Endpoint:
    """``model`` at ``url``, asked with ``settings`` (fields of the request). May be asked from many threads.

    Raises:
        UsageError: the extra ``api`` is not installed.
    """

    def __init__(self, model: str, url: str, key: str, settings: Mapping[str, Any], *, calls: int) -> None:
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise UsageError(
                f"api:{model} needs the extra: pip install 'imagenet-hard[api]' ({error})"
            ) from None
        self.model, self.url, self._key, self._settings = model, url, key, dict(settings)
        self._turn = threading.local()
        self._client = openai.OpenAI(
            base_url=url,
            api_key=key,
            max_retries=0,  # ``asking`` knows how the other calls fare
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(
                timeout=httpx2.Timeout(TIMEOUT, connect=15),
                limits=httpx2.Limits(max_connections=calls, max_keepalive_connections=calls),
                follow_redirects=False,  # to wherever the key and the images would be sent
                event_hooks={"request": [self._ready], "response": [_bound]},
            ),
        )
        if url != DEFAULT_URL:  # what the environment says of an account there is for OpenAI alone
            self._client.organization = self._client.project = self._client.admin_api_key = None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _ready(self, request: Any) -> None:
        """A request is made, and only to be sent."""
        self._turn.wait()

    def ask(self, text: str, image: str, wait: Callable[[], None] = lambda: None) -> Answer:
        """The answer to ``text`` about the image of a data URL; ``wait`` comes back when it may be sent.

        Raises:
            PassingError: it may be asked again.
            ImageError: this image is refused.
            ClassifierError: all of them would be.
        """
        import httpx2
        import openai

        self._turn.wait = wait
        content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
        body: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        try:
            reply = self._client.post(
                "/chat/completions", body=body | self._settings, cast_to=httpx2.Response
            ).content
        except openai.APIStatusError as error:
            return self._status(error)
        except openai.APITimeoutError:
            raise PassingError(f"no answer within {TIMEOUT:g} s", pushed_back=True, tries=3) from None
        except openai.APIConnectionError as error:
            raise PassingError(
                f"no connection: {self._said(error.__cause__ or error)}",
                advice="Is a server running there, and is --base-url its address?",
            ) from None
        except _LongReply:
            raise PassingError(f"a reply of more than {MAX_REPLY_BYTES:,} bytes") from None
        return self._read(reply)

    def _read(self, reply: bytes) -> Answer:
        """The answer in the body of a reply."""
        try:
            body = json.loads(reply)
            choice = body["choices"][0]
            message = choice["message"]
            refusal, text = message.get("refusal"), message.get("content")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise PassingError(f"a reply that is no chat completion: {self._said(reply[:300])}") from None
        if isinstance(text, list):  # of parts
            text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
        if not isinstance(text := text or refusal or "", str):
            raise PassingError(f"an answer that is no text: {self._said(text)}")
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return Answer(
            _utf8(text),
            _word(choice.get("finish_reason"), MAX_FINISH_LENGTH) if not refusal else FILTERED,
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            _word(body.get("model"), 200),
        )

    def _status(self, error: openai.APIStatusError) -> Answer:
        code, response = error.status_code, error.response
        detail = error.body if isinstance(error.body, dict) else {}
        kind = str(detail.get("code") or detail.get("type") or "")
        said = f"{code}: {self._said(detail.get('message') or error.body or response.reason_phrase)}"
        if code == 400 and (kind in _FILTERS or any(each in said for each in _FILTERS)):
            return Answer("", FILTERED)
        if 300 <= code < 400:
            raise ClassifierError(
                f"{self.url} sends on to {self._said(response.headers.get('location', '?'))}, which is not "
                "followed: give that as --base-url if you trust it"
            )
        if code in (401, 403):
            raise ClassifierError(
                f"{self.url} refuses the key, or has none ({said}): name the environment variable that holds "
                "it with --key-env"
            )
        if code in (404, 405):
            raise ClassifierError(
                f"{self.url} has no model {self.model!r}, or is no OpenAI-compatible address, which most "
                f"often ends in /v1 ({said})"
            )
        if code == 402 or kind in _EMPTY_PURSE:
            raise ClassifierError(f"{self.url} wants to be paid ({said}). The answers so far are kept")
        if code in (408, 409, 425, 429) or code >= 500:
            wait = _wait(response.headers)
            if wait is not None and wait > MAX_WAIT:
                raise ClassifierError(
                    f"{self.url} asks to wait {wait / 60:.0f} minutes ({said}): run the same command again "
                    "then. The answers so far are kept"
                )
            busy = code in (408, 429, 503)
            raise PassingError(said, wait, pushed_back=busy, tries=PATIENT_TRIES if busy else TRIES)
        raise ImageError(said)

    def _said(self, value: object) -> str:
        """What a server says, for a message."""
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        if self._key != NO_KEY:
            text = text.replace(self._key, "(the key)")
        text = printable(" ".join(text[:2000].split()))
        return text if len(text) <= 200 else f"{text[:197]}..."


def _bound(response: Any) -> None:
    """No more of a body is read than an answer has, compressed or not."""
    import httpx2

    if response.headers.get("content-encoding", "identity") != "identity":
        raise _LongReply

    class Bounded(httpx2.SyncByteStream):  # type: ignore[misc] # httpx2 is not followed
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            left = MAX_REPLY_BYTES
            for chunk in self._stream:
                if (left := left - len(chunk)) < 0:
                    raise _LongReply
                yield chunk

        def close(self) -> None:
            self._stream.close()

    response.stream = Bounded(response.stream)


def _wait(headers: Any) -> float | None:
    """Seconds of ``Retry-After``, a number or a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if seconds < float("inf") else None
    when = email.utils.parsedate_tz(headers.get("retry-after", ""))
    try:
        return None if when is None else max(0.0, email.utils.mktime_tz(when) - time.time())
    except (ValueError, OverflowError):
        return None


def _utf8(text: str) -> str:
    """JSON can say half a character."""
    return text.encode(errors="replace").decode()


def _word(value: Any, longest: int) -> str:
    return printable(_utf8(value))[:longest] if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
