"""Data as text that is safe inside HTML and JavaScript, and small.

A page from ``file://`` may not fetch JSON, so data travel as scripts that hand one JSON value over.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def json_text(value: Any) -> str:
    """Compact JSON without any character that could end a script or a string.

    >>> json_text({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # These occur inside JSON strings only, where an escape means the same character.
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode()


def script(key: str, value: Any) -> str:
    """A script that hands ``value`` to ``static/js/data.js`` under ``key``."""
    return f"window.imagenetHard.receive({json_text(key)},{json_text(value)});\n"


def bits(flags: NDArray[np.bool_]) -> str:
    """Booleans, 8 to a byte, the first in the highest bit, as base64."""
    return base64.b64encode(np.packbits(flags.ravel()).tobytes()).decode("ascii")


def numbers(values: NDArray[Any], dtype: str) -> str:
    """Numbers as little-endian ``dtype`` (``<i2``, ``i1``) in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
