"""Whose code a model is, a known library's or somebody's, and a hash of the latter as far as it can be seen.

Weights and settings do not say what such code does, and it changes under one name. Seen are the source
files of classes and functions with what these files import of one's own, bytecode (for what was typed into a
notebook), and the values that the code reads: attributes, defaults, closures, globals, unregistered weights.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import imagenet_hard
from imagenet_hard.classifiers import backends
from imagenet_hard.classifiers.module_state import of_every_module
from imagenet_hard.classifiers.weights import tensors_sha256, weights_sha256

if TYPE_CHECKING:
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier

_ROOM = "imagenet_hard.classifiers"
AS_HASHED = {
    f"{_ROOM}.outputs.LogitsOf": f"{_ROOM}.wrap.LogitsOf",
    f"{_ROOM}.transform_policy.ZoomTransform": f"{_ROOM}.zoom_transform.ZoomTransform",
    f"{_ROOM}.zero_shot.head.HeadOptions": f"{_ROOM}.zero_shot_head.HeadOptions",
    f"{_ROOM}.zero_shot.module.ZeroShotModule": f"{_ROOM}.zero_shot.ZeroShotModule",
}
"""Classes of this package that have moved: hashes in results go on calling them by their first place."""

MOST = 200_000
"""Objects that are looked at; what lies beyond is left to the logits."""


def own_code_sha256(*roots: Any) -> str:
    """Hash of the code of modules, functions or transforms, and of the values that it reads.

    The weights of a module among ``roots`` are left out: they have a hash of their own.
    """
    look = _Look()
    for number, root in enumerate(roots):
        look.at(str(number), root, root=True)
    look.finish()
    return hashlib.sha256("\n".join(sorted(look.facts)).encode("utf-8", "surrogatepass")).hexdigest()


def holds_own_code(root: Any) -> bool:
    """Whether a function or transform is of one's own, or has a step that is."""
    look = _Look()
    look.at("", root)
    look.finish()
    return look.own


class _Look:
    """What has been found: ``facts``, each with its place; ``own``: whether any code was."""

    def __init__(self) -> None:
        self.facts: set[str] = set()
        self.own = False
        self._seen: dict[int, Any] = {}  # keeps what it has seen, so that no id is used again
        self._classes: set[type] = set()
        self._modules: set[str] = set()
        self._waiting: list[tuple[str, Any, bool]] = []

    def at(self, place: str, value: Any, *, root: bool = False) -> None:
        self._waiting.append((place, value, root))

    def finish(self) -> None:
        while self._waiting and len(self._seen) < MOST:
            self._take(*self._waiting.pop())

    def _take(self, place: str, value: Any, root: bool) -> None:
        from torch import Tensor, nn

        if value is None or isinstance(value, bool | int | float | complex | bytes | str | Enum):
            self.facts.add(f"{place} = {_without_addresses(repr(value))}")
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor | np.ndarray):
            self.facts.add(f"{place} = {_array_sha256(value)}")
        elif isinstance(value, dict):
            for key, each in list(value.items()):
                self.at(f"{place}[{_without_addresses(repr(key))[:80]}]", each)
        elif isinstance(value, list | tuple):
            for number, each in enumerate(value):
                self.at(f"{place}[{number}]", each)
        elif isinstance(value, set | frozenset):
            self.facts.add(f"{place} = {sorted(_without_addresses(repr(each)) for each in value)}")
        elif isinstance(value, ModuleType):
            self._files(value)
        elif isinstance(value, type):
            self._class(place, value)
        elif isinstance(value, FunctionType):
            self._function(place, value)
        elif isinstance(value, MethodType):
            self.at(f"{place}.self", value.__self__)
            self.at(f"{place}.function", value.__func__)
        elif isinstance(value, functools.partial):
            self.at(place, [value.func, value.args, value.keywords])
        elif isinstance(value, nn.Module):
            self._module(place, value, root)
        else:
            self._object(place, value)

    def _module(self, place: str, module: nn.Module, root: bool) -> None:
        if not root:
            self.facts.add(f"{place} weights {weights_sha256(module)}")
        for name, layer in module.named_modules():
            here = f"{place}.{name}"
            self._seen[id(layer)] = layer
            self._class(here, type(layer))
            for key, value in vars(layer).items():
                if key not in of_every_module():
                    self.at(f"{here}.{key}", value)
            for hooks in (layer._forward_pre_hooks, layer._forward_hooks):
                self.at(f"{here} hooks", list(hooks.values()))
            for key in layer._non_persistent_buffers_set:
                self.at(f"{here}.{key}", getattr(layer, key, None))

    def _object(self, place: str, value: Any) -> None:
        """One's own, or callable (a transform): its class and attributes. Of others (a logger) the type."""
        self._class(place, type(value))
        if isinstance(name := getattr(value, "__qualname__", None), str):  # of a function in C
            self.facts.add(f"{place}: {name}")
        if is_own(type(value)) or callable(value):
            for key, each in list(getattr(value, "__dict__", {}).items()):
                self.at(f"{place}.{key}", each)

    def _class(self, place: str, kind: type) -> None:
        name = f"{kind.__module__}.{kind.__qualname__}"
        self.facts.add(f"{place}: {AS_HASHED.get(name, name)}")
        for each in kind.__mro__:
            if each in self._classes or not is_own(each):
                continue
            self.own = True
            self._classes.add(each)
            self._files(sys.modules.get(each.__module__))
            for key, value in list(vars(each).items()):
                value = getattr(value, "__func__", getattr(value, "fget", value))  # static, class, property
                plain = isinstance(value, bool | int | float | str | list | tuple | dict)
                if isinstance(value, FunctionType) or (plain and not key.startswith("__")):
                    self.at(f"{each.__qualname__}.{key}", value)

    def _function(self, place: str, function: FunctionType) -> None:
        if not is_own(function):
            self.facts.add(f"{place}: {function.__module__}.{function.__qualname__}")
            for cell in function.__closure__ or ():
                self.at(f"{place} closure", _cell(cell))
            return
        self.own, code = True, function.__code__
        self.facts.add(f"{place} code {_code_sha256(code)}")
        self._files(sys.modules.get(function.__module__ or ""))
        self.at(f"{place} defaults", [function.__defaults__, function.__kwdefaults__])
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self.at(f"{place} {name}", _cell(cell))
        for name in _names(code):
            if name in function.__globals__:
                self.at(f"{place} {name}", function.__globals__[name])
        if wrapped := getattr(function, "__wrapped__", None):
            self.at(f"{place} wrapped", wrapped)

    def _files(self, module: ModuleType | None) -> None:
        """The source file of a module, and of the modules that it takes things from."""
        waiting = [module]
        while waiting:
            each = waiting.pop()
            if each is None or not is_own(each) or each.__name__ in self._modules:
                continue
            self._modules.add(each.__name__)
            self.facts.add(f"file {each.__name__} {_file_sha256(getattr(each, '__file__', None))}")
            for value in list(vars(each).values()):
                if isinstance(value, ModuleType):
                    waiting.append(value)
                elif isinstance(value, type | FunctionType):
                    waiting.append(sys.modules.get(value.__module__ or ""))


def _names(code: CodeType) -> Iterator[str]:
    """Globals and attributes that code names, with the code inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _code_sha256(code: CodeType) -> str:
    """Of the bytecode and its constants, whatever the lines that it stands on."""
    digest = hashlib.sha256(code.co_code + repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            digest.update(_code_sha256(constant).encode())
        elif isinstance(constant, frozenset):
            digest.update(repr(sorted(map(repr, constant))).encode())
        else:
            digest.update(repr(constant).encode())
    return digest.hexdigest()


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _array_sha256(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.is_quantized:
            return f"{value.dtype} {tuple(value.shape)}"
        return tensors_sha256({"": value})
    if value.dtype.hasobject:
        return f"array {value.shape}"
    return hashlib.sha256(
        f"{value.dtype} {value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    ).hexdigest()


def _file_sha256(file: str | None) -> str:
    try:
        return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()
    except OSError:
        return "not there"


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


LIBRARIES = frozenset(("torch", "transformers", "numpy", "PIL"))
"""Told by name, as those of the backends are, since they may be installed from a checkout; all else by where
it lies."""


@functools.cache
def familiar() -> frozenset[str]:
    """Libraries whose models are scored by name here, in the layout that is fastest."""
    return frozenset(("torch", *(name for each in backends.own().values() for name in each.libraries)))


def brings_own_code(classifier: Classifier) -> bool:
    """Whether the model of ``classifier`` may do what its spec does not say."""
    spec = classifier.spec
    return (
        spec.backend == "custom"
        or spec.package is not None
        or any(is_own(type(layer)) or "forward" in vars(layer) for layer in classifier.module.modules())
    )


def of_known_layers(module: nn.Module) -> bool:
    """Whether ``module`` is put together of the layers of torch and of the backends' libraries alone."""
    from torch import fx, jit

    return all(
        type(layer).__module__.partition(".")[0] in familiar()
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
    if name in LIBRARIES | familiar() or name == imagenet_hard.__name__:
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
