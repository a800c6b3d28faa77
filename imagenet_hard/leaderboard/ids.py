"""Ids of entries: ``ORG__MODEL`` on ImageNet-Hard, ``ORG__MODEL__BENCHMARK`` on another benchmark.

No part holds ``__`` or begins or ends with ``_``, so an id is taken apart in one way only. Its first two
parts name the model, which is one on all benchmarks (``ownership.py``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import shorten

MAIN = "imagenet-hard"
"""The benchmark whose entries have ids of two parts."""

MAX_SLUG = 90
MAX_BENCHMARK = 40
MAX_ID = 2 * MAX_SLUG + MAX_BENCHMARK + 4
"""Characters of an id; with what stands around it, it is a file's name (255)."""

_BENCHMARK = re.compile(rf"(?=.{{1,{MAX_BENCHMARK}}}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def entry_id(org: str, name: str, benchmark: str = "") -> str:
    """The folder of an entry, safe on every file system. ``benchmark``: as ``benchmark_part`` gives it.

    Raises:
        UsageError: nothing is left of org or name.

    >>> entry_id("Google Research", "ViT-B/32 (ours)", "imagenet-hard-4k")
    'Google-Research__ViT-B-32-ours__imagenet-hard-4k'
    """
    return "__".join(filter(None, (_slug(org, "org"), _slug(name, "name"), benchmark)))


def model_of(entry: str) -> str:
    """The model's part of an id.

    >>> model_of("Google__ViT__imagenet-hard-4k")
    'Google__ViT'
    """
    return "__".join(entry.split("__")[:2])


def benchmark_of(entry: str) -> str:
    """What an id says of its benchmark, "" where nothing.

    Raises:
        ValueError: it is no benchmark's name.
    """
    parts = entry.split("__")[2:]
    if parts and not _BENCHMARK.fullmatch(part := "__".join(parts)):
        raise ValueError(
            f"its third part is {shorten(part)}: expected a benchmark's name in small letters, digits and "
            f"single hyphens, at most {MAX_BENCHMARK} characters"
        )
    return "".join(parts)


def benchmark_parts(name: str, fingerprint: str) -> tuple[str, str, str]:
    """What ids may say of a benchmark: nothing, its name, or its name and 8 digits of its fingerprint."""
    short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "benchmark"
    digits = fingerprint[:8]
    return "", short[:MAX_BENCHMARK].strip("-"), f"{short[: MAX_BENCHMARK - 9].strip('-')}-{digits}"


def benchmark_part(fingerprint: str, known: Mapping[str, Any]) -> str:
    """What a new id says of its benchmark. ``known``: fingerprint -> ``GoldInfo`` of all of the board's.

    Two benchmarks of one name are told apart by their fingerprints.
    """
    nothing, short, long = benchmark_parts(known[fingerprint].name, fingerprint)
    uses = sum(benchmark_parts(about.name, digest)[1] == short for digest, about in known.items())
    if uses > 1:
        return long
    return nothing if short == MAIN else short


def _slug(text: str, what: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    # "__" parts the halves, and Windows drops a trailing dot.
    slug = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9._]+", "-", ascii_text)).strip("._-")
    if not slug or len(slug) > MAX_SLUG:
        raise UsageError(
            f"{what} {shorten(text)} makes no folder name: expected 1 to {MAX_SLUG} characters, among them "
            "letters a-z or digits"
        )
    return slug
