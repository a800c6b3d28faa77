"""A connection to a server that is kept: a body goes out, and its reply comes back, bounded.

It goes by the proxy that the environment names and trusts what the system trusts. No redirect is followed: to
wherever the key and the images would be sent. What a status means is not known here.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import shorten

TIMEOUT = 300.0
"""Seconds for one answer."""

CONNECT_TIMEOUT = 15.0
"""Seconds until there is a connection."""

MAX_REPLY_BYTES = 2**20
_TOO_LONG = f"a reply of more than {MAX_REPLY_BYTES:,} bytes"


class TooLongError(Exception):
    """A reply of more bytes than an answer has, or compressed."""


@dataclass(frozen=True)
class Reply:
    """What came back. ``headers``: by their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Route:
    """The way to a server. ``host`` and ``port``: of it or of the proxy; ``path``: as the request names it;
    ``tls``: None for plain text; ``tunnel``: host and port behind the proxy; ``account``: for the proxy."""

    host: str
    port: int | None
    path: str
    tls: ssl.SSLContext | None = None
    tunnel: tuple[str, int | None] | None = None
    account: Mapping[str, str] | None = None

    @classmethod
    def to(cls, url: str) -> Route:
        """By the proxy that the environment names for it, if any.

        Raises:
            UsageError: that is none which can be gone by.
            ImportError: what is needed for https is not installed.
        """
        parts, proxy = urlsplit(url), _proxy(url)
        path, secure = quote(parts.path, safe="/%:@!$&'()*+,;=~"), parts.scheme == "https"
        if proxy is None:
            return cls(parts.hostname or "", parts.port, path, _tls() if secure else None)
        said = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()
        account = {"Proxy-Authorization": f"Basic {b64encode(said).decode()}"} if proxy.username else {}
        at = (proxy.hostname or "", proxy.port or (443 if proxy.scheme == "https" else 80))
        if secure:
            return cls(*at, path, _tls(), (parts.hostname or "", parts.port), account)
        whole = parts._replace(path=path).geturl()
        return cls(*at, whole, _tls() if proxy.scheme == "https" else None, account=account)


def _proxy(url: str) -> SplitResult | None:
    """What the environment names for ``url``.

    Raises:
        UsageError: it cannot be gone by.
    """
    parts, proxies = urlsplit(url), urllib.request.getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named or urllib.request.proxy_bypass(parts.netloc):
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        # Within TLS to a proxy there is no second one to the server.
        known = proxy.scheme == "http" or (proxy.scheme == "https" and parts.scheme == "http")
        if known and proxy.hostname and (proxy.port or 1) > 0:
            return proxy
    except ValueError:
        pass
    shown = shorten(named.rpartition("@")[2])  # its account is nobody's business
    raise UsageError(
        f"proxy {shown} of the environment, for {url}: expected one as http://proxy.example:3128 "
        "(or name the host in the variable no_proxy)"
    )


def _tls() -> ssl.SSLContext:
    """What the system trusts, as curl does."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connection:
    """One to a server, made when it is needed and again where it broke; for one thread."""

    def __init__(self, route: Route, headers: Mapping[str, str]) -> None:
        """``headers``: of every request."""
        at = (route.host, route.port)
        self._http = (
            http.client.HTTPSConnection(*at, timeout=CONNECT_TIMEOUT, context=route.tls)
            if route.tls
            else http.client.HTTPConnection(*at, timeout=CONNECT_TIMEOUT)
        )
        if route.tunnel:
            self._http.set_tunnel(*route.tunnel, headers=dict(route.account or {}))
        else:
            headers = {**headers, **(route.account or {})}
        self._head = _head(*(route.tunnel or at), route.path, headers)
        self._open = False

    def send(self, body: bytes) -> None:
        """Post it. Comes back once it is on its way.

        Raises:
            OSError: it is not.
            http.client.HTTPException: the proxy says what makes no sense.
        """
        try:
            if self._open and _speaks(self._http.sock):
                self.close()  # its end: nothing has been asked yet
            if not self._open:
                self._http.connect()
                self._http.sock.settimeout(TIMEOUT)
                self._open = True
            with suppress(BrokenPipeError):  # it has heard enough, and may say why
                # In one piece: ``request`` takes two, and a thread waits for the interpreter after each.
                self._http.sock.sendall(b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body))
        except BaseException:
            self.close()
            raise

    def receive(self) -> Reply:
        """The reply to what was sent.

        Raises:
            TooLongError: it has more than MAX_REPLY_BYTES, or is compressed, so that it may have.
            TimeoutError: nothing came for TIMEOUT.
            OSError: the connection broke.
            http.client.HTTPException: it is cut, or no HTTP.
        """
        try:
            with http.client.HTTPResponse(self._http.sock, method="POST") as reply:
                reply.begin()
                headers = {name.lower(): value for name, value in reply.headers.items()}
                if headers.get("content-encoding", "identity") != "identity":
                    raise TooLongError(_TOO_LONG)
                body = reply.read(MAX_REPLY_BYTES + 1)
            if len(body) > MAX_REPLY_BYTES:
                raise TooLongError(_TOO_LONG)
            if reply.length:  # of what was announced this is missing
                raise http.client.IncompleteRead(body, reply.length)
            if reply.will_close:
                self.close()
        except TimeoutError:
            self.close()
            raise TimeoutError(f"no answer within {TIMEOUT:g} s") from None
        except BaseException:
            self.close()
            raise
        return Reply(reply.status, reply.reason, headers, body)

    def close(self) -> None:
        """Close it, if it is open."""
        self._open = False
        self._http.close()


def _head(host: str, port: int | None, path: str, headers: Mapping[str, str]) -> bytes:
    """What a request begins with, as http.client makes it: all but the length of its body."""
    one = _Recorder(host, port)
    one.putrequest("POST", path, skip_accept_encoding=True)
    for name, value in headers.items():
        one.putheader(name, value)
    one.endheaders()
    return one.said.removesuffix(b"\r\n")


class _Recorder(http.client.HTTPConnection):
    """Keeps what it would send."""

    said = b""

    def send(self, data: Any) -> None:
        self.said += data


def _speaks(sock: socket.socket) -> bool:
    """Whether a server that was asked nothing has sent something, such as the connection's end."""
    if not hasattr(select, "poll"):  # Windows, where ``select`` takes sockets of any number
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
