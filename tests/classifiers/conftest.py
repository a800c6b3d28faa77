"""How the tests of this room make open_clip's tokenizers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_tokenizer() -> Iterator[None]:
    """Of each kind of open_clip's own: all are alike, and each takes half a second to make and to warm."""
    from open_clip import factory

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(factory, "SimpleTokenizer", cache(factory.SimpleTokenizer))
        yield
