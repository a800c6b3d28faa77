"""A model behind an OpenAI-compatible chat endpoint: one image and one question, one answer.

An answer is text, also where a content filter left none. All else is a failure: one that passes
(``PassingError``), one of this image (``ImageError``), or one of all images (``ClassifierError``). What a
server says is untrusted: bounded, printable, and without the key.
"""

from __future__ import annotations

import email.utils
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from imagenet_hard.base.errors import ClassifierError, ImageError, UsageError
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.text import printable, shorten
from imagenet_hard.evaluation.generative.answers import MAX_FINISH_LENGTH
from imagenet_hard.evaluation.generative.connection import Connection, Reply, Route, TooLongError
from imagenet_hard.evaluation.generative.score import FILTERED

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY = "OPENAI_API_KEY"
NO_KEY = "none"
"""Sent where there is none: local servers want something."""

TRIES = 8
PATIENT_TRIES = 40
"""Where the endpoint only says that it is asked too much."""

MAX_WAIT = 600.0
"""Seconds that a server may ask to wait: longer is for another day."""

_FILTERS = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
_ACCOUNT = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
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
        UsageError: there is none where one is needed, is no key, or would go over the net in plain text.
    """
    its_own = (DEFAULT_URL, (environment.get("OPENAI_BASE_URL") or "").rstrip("/"))
    asked, name = name is not None, name or (DEFAULT_KEY if url in its_own else None)
    key = environment.get(name, "").strip() if name else ""
    if name and not key and (asked or url == DEFAULT_URL):
        raise UsageError(f"no key for {url}: set the environment variable {name} to it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key of {name} has characters that no key has, such as a line break")
    parts = urlsplit(url)
    if key and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(f"{url} is not encrypted, and the key of {name} would be sent to it: give https")
    return key or NO_KEY


class Endpoint:
    """``model`` at ``url``, asked with ``settings`` (fields of the request). Many threads may ask it, each by
    a connection of its own.

    Raises:
        UsageError: the extra ``api`` is not installed, or the environment names a proxy that makes no sense.
    """

    def __init__(self, model: str, url: str, key: str, settings: Mapping[str, Any]) -> None:
        try:
            self._route = Route.to(f"{url}/chat/completions")
        except ImportError as error:
            raise UsageError(
                f"api:{model} needs the extra: pip install 'imagenet-hard[api]' ({error})"
            ) from None
        self.model, self.url, self._key = model, url, key
        self._headers = _headers(url, key)
        # A request is its image and little else: JSON is made of the little alone.
        content = [{"type": "text", "text": "TEXT"}, {"type": "image_url", "image_url": {"url": "IMAGE"}}]
        body = json.dumps({"messages": [{"role": "user", "content": content}], "model": model, **settings})
        self._head, _, rest = body.partition('"TEXT"')
        self._between, _, self._tail = rest.partition("IMAGE")

    def connection(self) -> Connection:
        """A new one, for one thread."""
        return Connection(self._route, self._headers)

    def request(self, text: str, image: str) -> bytes:
        """What is sent to ask ``text`` about the image of a data URL."""
        return "".join((self._head, json.dumps(text), self._between, image, self._tail)).encode()

    def ask(
        self, connection: Connection, request: bytes, meanwhile: Callable[[], None] = lambda: None
    ) -> Answer:
        """The answer to a ``request``; ``meanwhile`` is called while it is on its way.

        Raises:
            PassingError: it may be asked again.
            ImageError: this image is refused.
            ClassifierError: all of them would be.
        """
        try:
            connection.send(request)
        except (HTTPException, OSError) as error:
            raise self._unconnected(error) from None
        meanwhile()
        try:
            reply = connection.receive()
        except TooLongError as error:
            raise PassingError(str(error)) from None
        except TimeoutError as error:
            raise PassingError(str(error), pushed_back=True, tries=3) from None
        except (HTTPException, OSError) as error:
            raise self._unconnected(error) from None
        if not 200 <= reply.status < 300:
            return self._status(reply)
        return self._read(reply.body)

    def _unconnected(self, error: Exception) -> PassingError:
        return PassingError(
            f"no connection: {self._said(error)}",
            advice="Is a server running there, and is --base-url its address?",
        )

    def _read(self, reply: bytes) -> Answer:
        """The answer in the body of a reply."""
        try:
            body = json.loads(reply)
            choice = body["choices"][0]
            message = choice["message"]
            refusal, text = message.get("refusal"), message.get("content")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise PassingError(f"a reply that is not a chat completion: {self._said(reply[:300])}") from None
        if isinstance(text, list):  # of parts
            text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
        if not isinstance(text := text or refusal or "", str):
            raise PassingError(f"an answer that is not text: {self._said(text)}")
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return Answer(
            _utf8(text),
            _word(choice.get("finish_reason"), MAX_FINISH_LENGTH) if not refusal else FILTERED,
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            _word(body.get("model"), 200),
        )

    def _status(self, reply: Reply) -> Answer:
        """What a reply means that is no success."""
        code, headers, body = reply.status, reply.headers, reply.body
        detail = _error_in(body)
        kind = str(detail.get("code") or detail.get("type") or "")
        said = f"{code}: {self._said(detail.get('message') or body or reply.reason)}"
        if code == 400 and (kind in _FILTERS or any(each in said for each in _FILTERS)):
            return Answer("", FILTERED)
        if 300 <= code < 400:
            raise ClassifierError(
                f"{self.url} sends on to {self._said(headers.get('location', '?'))}, which is not "
                "followed: give that as --base-url if you trust it"
            )
        if code in (401, 403):
            raise ClassifierError(
                f"{self.url} refuses the key, or has none ({said}): name the environment variable that holds "
                "it with --key-env"
            )
        if code in (404, 405):
            raise ClassifierError(
                f"{self.url} has no model {self.model!r}, or is not an OpenAI-compatible address, "
                f"which usually ends in /v1 ({said})"
            )
        if code == 402 or kind in _EMPTY_PURSE:
            raise ClassifierError(f"{self.url} wants to be paid ({said}). The answers so far are kept")
        if code in (408, 409, 425, 429) or code >= 500:
            wait = _wait(headers)
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


def _headers(url: str, key: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of every request; what the environment says of an account at OpenAI is for OpenAI alone."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "User-Agent": f"imagenet-hard/{__version__}",
    }
    if url == DEFAULT_URL:
        for name, variable in _ACCOUNT.items():
            if environment.get(variable):
                headers[name] = environment[variable]
    return headers


def _error_in(body: bytes) -> Mapping[str, Any]:
    """What a reply says is wrong, as OpenAI words it: the object "error", or all of it."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    said = said.get("error", said) if isinstance(said, dict) else {}
    return said if isinstance(said, dict) else {"message": said}


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
