"""Keep large activations in the process on glibc, where eager CPU inference otherwise spends its time.

glibc gives every block above 32 MiB back to the kernel when it is freed, so each layer of a
convolutional network faults its activations in anew, page by page. Kept in the heap they are
reused. No environment variable is needed, and ordinary thresholds come back after the run.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
KEEP = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 << 20}
# Setting any of these ends glibc's own adjustment of the thresholds for the life of the process, so
# they are left where that adjustment ends after a large block has been freed (malloc/malloc.c),
# not at the 128 KiB where it begins: the caller's code would fault in every tensor anew.
AFTERWARDS = {
    M_MMAP_MAX: 65536,
    M_MMAP_THRESHOLD: 32 << 20,
    M_TRIM_THRESHOLD: 64 << 20,
    M_TOP_PAD: 128 << 10,
}


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
        for option, value in AFTERWARDS.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)
