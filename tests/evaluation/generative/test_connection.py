"""A kept connection: over proxies and TLS, where the server closes it, and where a reply has no end."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.evaluation.generative import connection
from imagenet_hard.evaluation.generative.connection import Connection, Reply, Route, TooLongError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ACCOUNT = "Basic " + base64.b64encode(b"me:p@ss").decode()


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is handled by ``answer``, one after another."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    try:
                        answer(peer)
                    except OSError:
                        continue  # the client is gone

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def heard(peer: socket.socket) -> bytes:
    """One request, as it came; empty at the end."""
    came = b""
    while b"\r\n\r\n" not in came:
        if not (part := peer.recv(2**16)):
            return came
        came += part
    head, _, body = came.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += peer.recv(2**16)
    return head


def post(url: str, body: bytes = b"{}", times: int = 1) -> Reply:
    with closing(Connection(Route.to(url), {"Authorization": "Bearer x"})) as one:
        for _ in range(times):
            one.send(body)
            reply = one.receive()
    return reply


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_it_is_kept_and_made_again_where_the_server_closed_it():
    """Also where the server did not say so before: no call fails by it."""
    connections, closed = list[int](), threading.Event()

    def twice(peer):
        connections.append(0)
        for _ in range(2):
            heard(peer)
            peer.sendall(OK)
        peer.shutdown(socket.SHUT_RDWR)
        closed.set()

    with server(twice) as port, closing(Connection(Route.to(f"http://127.0.0.1:{port}/"), {})) as one:
        for n in (1, 1, 2, 2, 3):
            one.send(b"{}")
            assert one.receive().body == b"ok"
            assert len(connections) == n
            if connections[-1]:
                assert closed.wait(10)
                closed.clear()
            connections[-1] += 1


def test_a_refusal_is_read_before_all_is_sent():
    """A server that takes no more of a large body says why, and closes."""

    def refuse(peer):
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(2**20):
            pass

    with server(refuse) as port:
        reply = post(f"http://127.0.0.1:{port}/", b"x" * 2**22)
    assert (reply.status, reply.reason, reply.body) == (413, "Too Large", b"large")
    assert reply.headers["connection"] == "close"


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (CHUNKS + b"0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (CHUNKS, "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "IncompleteRead.*2 bytes read, 7 more"),
        (b"SSH-2.0-x\r\n", "SSH-2.0-x"),
        (b"", "Remote end closed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**17 + b"\r\n\r\n", "got more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n", "got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (2**20 + 1), "a reply of more than 1,048,576 bytes"),
    ],
)
def test_how_a_reply_ends(said, expected):
    def answer(peer):
        heard(peer)
        peer.sendall(said)

    with server(answer) as port:
        url = f"http://127.0.0.1:{port}/"
        if isinstance(expected, bytes):
            assert post(url).body == expected
        else:
            with pytest.raises((connection.http.client.HTTPException, OSError, TooLongError), match=expected):
                post(url)


def test_a_server_that_takes_nothing(monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    with server(lambda peer: threading.Event().wait(0.5)) as port, pytest.raises(TimeoutError):
        post(f"http://127.0.0.1:{port}/", b"x" * 2**26)


def test_a_proxy_of_the_environment_is_taken(monkeypatch):
    """With its own account, and not for the addresses that the environment takes out."""
    assert Route.to("https://a.example/v1").tunnel is None
    monkeypatch.setenv("https_proxy", "http://me:p%40ss@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "b.example")
    through = Route.to("https://a.example/v1")
    assert (through.host, through.port, through.tunnel) == ("proxy.example", 3128, ("a.example", None))
    assert through.account == {"Proxy-Authorization": ACCOUNT}
    assert Route.to("https://b.example/v1").host == "b.example"
    assert Route.to("http://a.example/v1").host == "a.example"
    monkeypatch.setenv("all_proxy", "other.example")
    plain = Route.to("http://a.example/v1")
    assert (plain.host, plain.port, plain.path) == ("other.example", 80, "http://a.example/v1")


@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@x.example:1080", "https://me:secret@x.example", "http://x.example:port"]
)
def test_a_proxy_that_is_none(monkeypatch, proxy):
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(
        UsageError, match=r"proxy '.*x\.example.* expected one as http://proxy.example:3128"
    ) as told:
        Route.to("https://a.example/v1")
    assert "secret" not in str(told.value)


def test_a_plain_request_by_a_proxy(monkeypatch):
    came = []

    def proxy(peer):
        came.append(heard(peer).decode())
        peer.sendall(OK)

    with server(proxy) as port:
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
        assert post("http://a.example:81/v 1").body == b"ok"
    assert came[0].startswith("POST http://a.example:81/v%201 HTTP/1.1\r\n")
    assert {f"Proxy-Authorization: {ACCOUNT}", "Host: a.example:81"} <= set(came[0].split("\r\n"))


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("openssl"), reason="needs openssl, and its environment"
)
def test_what_the_system_trusts_is_trusted(monkeypatch, tmp_path):
    """Directly and by a proxy, which sees neither the key nor the body; nobody else is trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    came = []

    def answer(peer):
        with context.wrap_socket(peer, server_side=True) as safe:
            while head := heard(safe):
                assert b"Bearer x" in head
                safe.sendall(OK)

    def tunnel(peer):
        came.append(heard(peer).decode())
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        answer(peer)

    with server(answer) as port:
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://localhost:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post(f"https://localhost:{port}/", times=3).body == b"ok"
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://127.0.0.1:{port}/")
    with server(tunnel) as port:
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
        assert post("https://localhost:4433/", times=2).body == b"ok"
    (asked,) = came
    assert asked.startswith("CONNECT localhost:4433 HTTP/1.")
    assert f"Proxy-Authorization: {ACCOUNT}" in asked
    assert "Bearer" not in asked


def test_a_proxy_that_refuses(monkeypatch):
    def refuse(peer):
        heard(peer)
        peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with server(refuse) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(OSError, match="407"):
            post("https://a.example/")
