"""Torchvision and timm without torch's compiler, whose import takes longer than theirs.

Each takes one name from it as it is imported, and calls it only where a model is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = ("torch._dynamo", "torch._dynamo.utils")


class _Later(ModuleType):
    """Stands for a module, and is it as soon as anything is asked for that it was not given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked of every module, by `inspect` and by the import itself
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Inside the block, libraries are imported without the compiler; it comes with its first use."""
    from torch import _compile

    later = getattr(_compile, "_disable_dynamo", None)  # torch's own way to mark what it does not compile
    if later is None or any(name in sys.modules for name in _COMPILER):
        yield
        return
    compiler, utils = map(_Later, _COMPILER)
    vars(compiler).update(
        utils=utils, disable=lambda fn=None, recursive=True, *, reason=None: later(fn, recursive)
    )
    vars(utils).update(is_compile_supported=lambda device: _real(utils.__name__).is_compile_supported(device))
    sys.modules.update({compiler.__name__: compiler, utils.__name__: utils})
    try:
        yield
    finally:
        _withdraw()


def _withdraw() -> None:
    for name in _COMPILER:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _real(name: str) -> Any:
    _withdraw()
    return import_module(name)
