"""The methods of test-time augmentation, each with what it may be asked for and what runs it.

A method more is its module and its line in ``METHODS``; one of an installed package is an entry point of
the group ``imagenet_hard.tta`` that names a ``Method``. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.extensions import extensions

if TYPE_CHECKING:
    from imagenet_hard.engine.forward import Predictor

Make = Callable[..., "Predictor"]
"""What runs a method: it is given the ``Classifier``, ``TtaSettings``, ``RunSettings``, ``torch.device``, and
makes the engine's predictor."""

GROUP = "tta"


def _once(views: int) -> tuple[int, int]:
    return views, 0


def _adapting(views: int) -> tuple[int, int]:
    return views + 1, views


@dataclass(frozen=True)
class Method:
    """One method.

    ``make``: what runs it, or its "module:name", imported when it runs. ``views``: names of the views that it
    takes (``TtaSettings.view``), the usual one first. ``adapts``: whether it changes the model in a step,
    and so has one in its settings. ``passes``: of an image's number of views, how many go forward and
    backward through the model.
    """

    make: Make | str
    views: tuple[str, ...]
    adapts: bool = False
    passes: Callable[[int], tuple[int, int]] = _once

    def maker(self) -> Make:
        if not isinstance(self.make, str):
            return self.make
        module, _, name = self.make.partition(":")
        found: Make = getattr(import_module(module), name)
        return found


_ZOOM, _MEMO = "imagenet_hard.tta.zoomed:ZoomPredictor", "imagenet_hard.tta.memo:MemoPredictor"

METHODS: Mapping[str, Method] = {
    "zoom": Method(_ZOOM, ("random-resized-crop", "zooms", "standard")),
    "memo": Method(_MEMO, ("augmix",), adapts=True, passes=_adapting),
    "zoom-memo": Method(_MEMO, ("random-resized-crop",), adapts=True, passes=_adapting),
}


def find_method(name: str) -> tuple[Method, str | None]:
    """A method, and the package ("name version") that brings it where it is not the project's own.

    Raises:
        UsageError: there is none of that name, or its package does not give one.
    """
    if name in METHODS:
        return METHODS[name], None
    installed = extensions(GROUP, METHODS)
    if name not in installed:
        raise UsageError(
            f"unknown test-time augmentation {name!r}: expected {', '.join(['none', *METHODS, *installed])}"
        )
    found = installed[name].load()
    if not isinstance(found, Method):
        raise UsageError(
            f"{name!r} of the installed package {installed[name].origin} is a {type(found).__name__}: "
            f"expected a {Method.__module__}.Method"
        )
    return found, installed[name].origin
