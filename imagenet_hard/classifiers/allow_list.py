"""What training scripts keep beside the weights, by the names that a pickle gives it.

Nothing here can be called with an effect. What Python or numpy would build from a stranger's bytes is
built by stand-ins instead: numpy's own ``__setstate__`` believes whatever the file says of a dtype.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = frozenset("bhilqBHILQefd?")
"""Codes of the numpy types that are read; arrays of others (texts, objects) come back as None."""


class Nothing:
    """What is named but not needed, such as the factory of a ``defaultdict``."""

    def __init__(self, *args: object) -> None:
        pass


class DType:
    """``numpy.dtype`` as a pickle builds it: a code such as ``f8``, then its byte order."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def numbers(self, data: object) -> NDArray[Any] | None:
        """The bytes as numbers, or None where they are something else."""
        dtype = np.dtype(self.code)
        if dtype.char not in NUMBERS:
            return None
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, dtype.newbyteorder(self.order)).copy()  # type: ignore[arg-type, call-overload, no-any-return]


class Array:
    """``numpy.ndarray``: ``values`` is set when its state arrives, None for what is no array of numbers."""

    values: NDArray[Any] | None = None

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_columns, data = state
        if isinstance(dtype, DType) and (flat := dtype.numbers(data)) is not None:
            self.values = flat.reshape(shape, order="F" if by_columns else "C")


def _array(*_: object) -> Array:
    return Array()


def _scalar(dtype: DType, data: object = b"") -> Any:
    found = dtype.numbers(data)
    return None if found is None else found[0].item()


def _mapping(*_: object) -> dict[Any, Any]:
    """A ``defaultdict`` without its factory: the pickle puts the entries in afterwards."""
    return {}


def _sequence(items: Iterable[Any] = (), *_: object) -> list[Any]:
    return list(items)


@cache
def allowed() -> tuple[tuple[Callable[..., Any], str], ...]:
    """Pairs for ``torch.serialization.safe_globals``: what is built, and the name in the pickle."""
    named: dict[str, Callable[..., Any]] = {
        "argparse.Namespace": argparse.Namespace,
        "collections.defaultdict": _mapping,
        "collections.deque": _sequence,
        "builtins.frozenset": frozenset,
        "numpy.dtype": DType,
        "numpy.ndarray": Array,
    }
    for factory in ("list", "dict", "tuple", "int", "float", "str", "bool"):
        named[f"builtins.{factory}"] = Nothing
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
        named |= {f"{core}._reconstruct": _array, f"{core}.scalar": _scalar}
    for module in ("pathlib", "pathlib._local"):  # Python 3.13 says the second
        for kind in ("", "Pure"):
            named[f"{module}.{kind}PosixPath"] = PurePosixPath
            named[f"{module}.{kind}WindowsPath"] = PureWindowsPath  # and no WindowsPath, which Linux lacks
        named[f"{module}.PurePath"] = named[f"{module}.Path"] = PurePosixPath
    for kind in ("datetime", "date", "time", "timedelta", "timezone"):
        named[f"datetime.{kind}"] = getattr(datetime, kind)
    return tuple((built, name) for name, built in named.items())
