"""Replies of the Hub as its clients raise them."""

from __future__ import annotations

import httpx2
from huggingface_hub.errors import HfHubHTTPError

XET = "Network error: Request error: HTTP status client error (403 Forbidden), domain: http://hub/x"
"""What hf_xet says in the one kind of error that it has."""


def answer(status: int, headers: dict[str, str] | None = None, said: str | None = None) -> HfHubHTTPError:
    """The client's error for a reply."""
    request = httpx2.Request("POST", "http://hub/api/datasets/a/b/commit/main")
    response = httpx2.Response(status, headers=headers, request=request)
    return HfHubHTTPError(f"status {status}", response=response, server_message=said)
