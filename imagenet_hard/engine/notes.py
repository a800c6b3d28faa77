"""What a worker's log says, to be told where the command runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

Notes = list[tuple[int, str]]
"""Level and text."""


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.notes: Notes = []

    def emit(self, record: logging.LogRecord) -> None:
        self.notes.append((record.levelno, record.getMessage()))


@contextmanager
def noted() -> Iterator[Notes]:
    """Collect what the package logs inside the block, from INFO on."""
    logger, collector = logging.getLogger("imagenet_hard"), _Collector()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(collector)
    try:
        yield collector.notes
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
