"""Predictions as one definite string of bytes: what is hashed, and what passes between processes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from imagenet_hard.base.types import SCHEMA_VERSION, Predictions

_HEADER = f"imagenet-hard predictions {SCHEMA_VERSION}\n".encode()


def canonical(predictions: Predictions) -> Iterator[bytes]:
    """The values as bytes, little endian.

    The header ``imagenet-hard predictions 1\\n``; n as uint64; for each id in sorted order its length in
    bytes as uint32 and its UTF-8; then top5 as int16, logprob5 and margin as float32, each in C order.
    -0.0 is written as 0.0.
    """
    yield _HEADER
    yield len(predictions).to_bytes(8, "little")
    yield _ids(tuple(predictions.ids))
    yield np.ascontiguousarray(predictions.top5, "<i2").tobytes()
    for values in (predictions.logprob5, predictions.margin):
        yield np.ascontiguousarray(values + np.float32(0), "<f4").tobytes()


@lru_cache(maxsize=1)
def _ids(ids: tuple[str, ...]) -> bytes:
    """Kept, as the predictions of one benchmark all have the same ids."""
    encoded = [each.encode() for each in ids]
    return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def from_canonical(data: bytes) -> Predictions:
    """The inverse of ``canonical``.

    Raises:
        ValueError: other bytes.
    """
    at = len(_HEADER) + 8
    n = int.from_bytes(data[len(_HEADER) : at], "little")
    ids = []
    for _ in range(n):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        ids.append(data[at + 4 : end].decode())
        at = end
    if not data.startswith(_HEADER) or len(data) - at != n * (5 * 2 + 5 * 4 + 4):
        raise ValueError("not the canonical form of predictions")
    return Predictions(
        ids=tuple(ids),
        top5=np.frombuffer(data, "<i2", 5 * n, at).reshape(n, 5),
        logprob5=np.frombuffer(data, "<f4", 5 * n, at + 10 * n).reshape(n, 5),
        margin=np.frombuffer(data, "<f4", n, at + 30 * n),
    )
