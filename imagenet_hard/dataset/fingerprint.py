"""The fingerprint of a benchmark: which ids, labels and image bytes were scored.

Scores under different fingerprints are never ranked together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from imagenet_hard.base.errors import DatasetError


def fingerprint(rows: Iterable[tuple[str, Iterable[int], str]]) -> str:
    """sha256 (64 hex digits) over one line per example, sorted by id.

    ``rows``: (id, labels, sha256 of the image's bytes in hex), in any order. A line is the JSON
    ``[id,[labels, sorted],sha256]`` without blanks, in ASCII, and ends with a newline.

    Raises:
        DatasetError: two rows have one id, or there are no rows.

    >>> fingerprint([("b", [3, 1], "00"), ("a", [2], "ff")])[:12]
    '4d3d5d1e956f'
    >>> fingerprint([("a", [2], "ff"), ("b", [1, 3], "00")])[:12]
    '4d3d5d1e956f'
    """
    digest = hashlib.sha256()
    previous = None
    for id, labels, image_sha256 in sorted((id, sorted(map(int, labels)), sha) for id, labels, sha in rows):
        if id == previous:
            raise DatasetError(f"id {id!r} occurs twice: a fingerprint needs unique ids")
        previous = id
        line = json.dumps([id, labels, image_sha256], separators=(",", ":"), ensure_ascii=True)
        digest.update(line.encode() + b"\n")
    if previous is None:
        raise DatasetError("an empty data set has no fingerprint: got no rows, expected at least one")
    return digest.hexdigest()
