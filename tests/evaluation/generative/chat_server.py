"""An OpenAI-compatible chat endpoint on the loopback, with all the faults that real ones have.

It knows images by the sha256 of their bytes, and counts for each what it answered with success.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(text: Any, **more: Any) -> dict[str, Any]:
    """The body of a good reply; ``more`` replaces its parts."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "toy-1",
        "choices": [choice],
        "usage": usage,
        **more,
    }


class Reply:
    """What goes out: a status, a body (JSON, or bytes as they are), headers, and how the stream ends."""

    def __init__(
        self,
        body: Any,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        cut: bool = False,
        drop: bool = False,
        wait: float = 0,
    ) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, {"Content-Type": "application/json", **(headers or {})}
        self.cut, self.drop, self.wait = cut, drop, wait
        self.good = False  # a fault, unless ``Chat`` says otherwise


class Chat:
    """``answers``: sha256 of an image -> text; ``fault(n, image, request)`` gives a ``Reply`` for the
    ``n``-th call about an image, or None for a good one. ``wait``: seconds a good answer takes."""

    def __init__(
        self,
        answers: Mapping[str, str] | None = None,
        fault: Callable[[int, str, dict[str, Any]], Reply | None] = lambda n, image, request: None,
        wait: float = 0.0,
    ) -> None:
        self.answers, self.fault, self.wait = answers, fault, wait
        self.calls: Counter[str] = Counter()
        self.good: dict[str, list[float]] = {}
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most = self.now = 0
        self.lock = threading.Lock()
        self.url = ""

    def reply(self, request: dict[str, Any]) -> tuple[str, Reply]:
        url = request["messages"][0]["content"][1]["image_url"]["url"]
        image = hashlib.sha256(base64.b64decode(url.partition("base64,")[2])).hexdigest()
        with self.lock:
            self.calls[image] += 1
            n = self.calls[image]
            self.requests.append(request)
        if (wrong := self.fault(n, image, request)) is not None:
            return image, wrong
        text = "tench" if self.answers is None else self.answers[image]
        reply = Reply(completion(text), wait=self.wait)
        reply.good = True
        return image, reply

    def repeated(self, before: float = float("inf")) -> dict[str, int]:
        """Images that were answered with success more than once; ``before``: counted once it was delivered
        by then."""
        return {
            image: len(times) for image, times in self.good.items() if len(times) > 1 and times[0] < before
        }


@contextmanager
def serving(chat: Chat) -> Iterator[Chat]:
    """``chat`` at ``chat.url`` for the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with chat.lock:
                chat.now += 1
                chat.most = max(chat.most, chat.now)
                chat.headers.append({name.lower(): value for name, value in self.headers.items()})
            try:
                self._answer(*chat.reply(request))
            except OSError:
                self.close_connection = True  # the client is gone
            finally:
                with chat.lock:
                    chat.now -= 1

        def _answer(self, image: str, reply: Reply) -> None:
            if self.path != "/v1/chat/completions":
                reply = Reply({"detail": "Not Found"}, 404)
            time.sleep(reply.wait)
            if reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
            self.wfile.flush()
            if reply.cut:
                self.close_connection = True
            elif reply.good:
                with chat.lock:
                    chat.good.setdefault(image, []).append(time.monotonic())

        def handle(self) -> None:
            with suppress(ConnectionError):  # of a client that was killed
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    chat.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
