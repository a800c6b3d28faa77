"""Data as scripts, small.

A page from ``file://`` may not fetch JSON, so data travel as scripts that hand one JSON value over.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.web import json_text


def script(key: str, value: Any) -> str:
    """A script that hands ``value`` to ``base/static/js/data.js`` under ``key``."""
    return f"window.imagenetHard.receive({json_text(key)},{json_text(value)});\n"


def bits(flags: NDArray[np.bool_]) -> str:
    """Booleans, 8 to a byte, the first in the highest bit, as base64."""
    return base64.b64encode(np.packbits(flags.ravel()).tobytes()).decode("ascii")


def numbers(values: NDArray[Any], dtype: str) -> str:
    """Numbers as little-endian ``dtype`` (``<i2``, ``i1``) in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode("ascii")
