"""Keep large activations in the process on glibc, where eager CPU inference otherwise spends its time.

glibc gives every block above 32 MiB back to the kernel when it is freed, so each layer of a
convolutional network faults its activations in anew, page by page. Kept in the heap they are
reused. No environment variable is needed, and the defaults come back after the run.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# <malloc.h>; the defaults are glibc's own (malloc/malloc.c).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 << 20}
DEFAULTS = {M_MMAP_MAX: 65536, M_TRIM_THRESHOLD: 128 << 10, M_TOP_PAD: 0}


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    # musl has neither; a preloaded jemalloc or tcmalloc ignores the calls, which is harmless.
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version") else None


@contextmanager
def keep_activations() -> Iterator[bool]:
    """Reuse freed memory inside the block, return it to the kernel after it. Yields whether it could."""
    libc = _glibc()
    if libc is None:
        yield False
        return
    for option, value in KEEP.items():
        libc.mallopt(option, value)
    try:
        yield True
    finally:
        for option, value in DEFAULTS.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)
