"""Replies and broken connections as the Hub's client raises them."""

from __future__ import annotations

from importlib import import_module

from huggingface_hub.errors import HfHubHTTPError

HTTP = import_module(HfHubHTTPError.__bases__[0].__module__.partition(".")[0])
"""What the installed client stands on: requests (huggingface_hub 0), httpx (1) or httpx2 (2)."""

XET = "Network error: Request error: HTTP status client error (403 Forbidden), domain: http://hub/x"
"""What hf_xet says in the one kind of error that it has."""


def answer(status: int, headers: dict[str, str] | None = None, said: str | None = None) -> HfHubHTTPError:
    """The client's error for a reply."""
    if HTTP.__name__ == "requests":
        response = HTTP.Response()
        response.status_code = status
        response.headers.update(headers or {})
    else:
        request = HTTP.Request("POST", "http://hub/api/datasets/a/b/commit/main")
        response = HTTP.Response(status, headers=headers, request=request)
    return HfHubHTTPError(f"status {status}", response=response, server_message=said)


def broken(kind: str, said: str = "") -> Exception:
    """The client's error for a connection that broke; ``kind`` is httpx's name, requests has one for all."""
    return HTTP.ConnectionError(said) if HTTP.__name__ == "requests" else getattr(HTTP, kind)(said)
