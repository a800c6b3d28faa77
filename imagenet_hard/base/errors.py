"""What can go wrong: one base class and its few children.

Every message says what happened, where, what was got and expected, and what to do.
The command line prints the message alone and exits with ``exit_code``.
"""

from __future__ import annotations

from typing import Any


class ImageNetHardError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class UsageError(ImageNetHardError, ValueError):
    """A wrong argument or option: the caller has to change the call."""

    exit_code = 2


class DatasetError(ImageNetHardError):
    """A data set that is missing, empty, unlabelled or out of range."""


class ImageError(ImageNetHardError):
    """One image whose bytes cannot be decoded; the message names its id."""


class ClassifierError(ImageNetHardError):
    """A classifier that cannot be built, loaded or run."""


class UnknownModelError(ClassifierError, UsageError):
    """A model name that no backend has; the message lists the nearest names."""

    exit_code = 2


class WeightsError(ClassifierError):
    """Weights that are missing, unsafe, or of another architecture."""


class ClusterError(ImageNetHardError):
    """A cluster that cannot be reached, has no room, or has lost all its workers."""


class ClusterLostError(ClusterError):
    """All workers of a cluster are gone: nothing more can be done on it."""


class ResultError(ImageNetHardError):
    """A result, prediction file or store that is malformed or cannot be written."""


class MetricError(ImageNetHardError):
    """A metric of an installed package that failed. ``result``: the one it was asked of, without it."""

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result
