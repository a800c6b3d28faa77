"""Whose code it is: a known library's, or somebody's whom neither a name nor a version tells of."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import imagenet_hard

if TYPE_CHECKING:
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier

FAMILIAR = frozenset(("torch", "torchvision", "timm", "open_clip"))
"""Libraries whose models are scored by name here, in the layout that is fastest."""

LIBRARIES = FAMILIAR | {"transformers", "numpy", "PIL"}
"""Told by name, as they may be installed from a checkout; all else by where it lies."""


def brings_own_code(classifier: Classifier) -> bool:
    """Whether the model of ``classifier`` may do what its spec does not say."""
    return classifier.spec.backend == "custom" or any(
        is_own(type(layer)) or "forward" in vars(layer) for layer in classifier.module.modules()
    )


def of_known_layers(module: nn.Module) -> bool:
    """Whether ``module`` is put together of torch's, torchvision's, timm's and open_clip's layers alone."""
    from torch import fx, jit

    return all(
        type(layer).__module__.partition(".")[0] in FAMILIAR
        and not isinstance(layer, jit.ScriptModule | fx.GraphModule)  # types of torch, code of anybody
        and "forward" not in vars(layer)
        and not (layer._forward_hooks or layer._forward_pre_hooks)
        for layer in module.modules()
    )


def is_own(value: Any) -> bool:
    """Whether a class, function or Python module is of no library; what lies in no file is."""
    module = (
        value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    )
    if module is None:
        return True
    name = module.__name__.partition(".")[0]
    if name in LIBRARIES or name == imagenet_hard.__name__:
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        return name not in sys.stdlib_module_names
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _standard_folders())


@functools.cache
def _standard_folders() -> tuple[Path, ...]:
    paths: Mapping[str, str] = sysconfig.get_paths()
    return tuple({Path(paths[key]).resolve() for key in ("stdlib", "platstdlib")})
