"""A preview of the built site on this machine only."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from imagenet_hard.base.errors import UsageError

HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder, never cached, never listed, without a line per request."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404, "No such page")

    def log_message(self, format: str, *args: Any) -> None:
        return


def preview(folder: str | Path, port: int) -> ThreadingHTTPServer:
    """A server of ``folder`` on 127.0.0.1, not yet running; port 0 takes a free one.

    Raises:
        UsageError: the port is taken, or may not be used.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror or error}; choose another --port"
        ) from None
