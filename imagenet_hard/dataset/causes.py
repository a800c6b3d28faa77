"""The causes behind an error that a library has wrapped in its own."""

from __future__ import annotations

import errno
from collections.abc import Iterator

_DISK = {
    errno.ENOSPC: "Free some space, or move the cache with HF_HOME",
    errno.EACCES: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EPERM: "Make the folder readable and writable, or move the cache with HF_HOME",
    errno.EROFS: "Move the cache to a writable place with HF_HOME",
}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def disk_trouble(error: BaseException) -> str | None:
    """What the disk refused and what to do, where the disk is the cause: full, read-only, forbidden."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in _DISK:
            where = f" ({cause.filename})" if cause.filename else ""
            return f"{cause.strerror}{where}. {_DISK[cause.errno]}"
    return None
