"""A module that may be somebody's: what is done to it, and what trials make of it, is undone."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn


@contextmanager
def undisturbed(module: Any) -> Iterator[None]:
    """Calls of ``module`` inside the block leave no trace in it, so that the first image finds it as given.

    Buffers, and attributes of each layer, or of a callable, that are set anew or are lists, dicts, sets,
    tensors or arrays; and the random generators. Weights stay: no pass without gradients changes them. What a
    function keeps in its closure cannot be seen.
    """
    import torch

    undo = [*_generators(), *(step for owner in _owners(module) for step in _undo(owner))]
    try:
        yield
    finally:
        with torch.no_grad():
            for step in undo:
                step()


@contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Random numbers go on after the block as if it had not been."""
    undo = list(_generators())
    try:
        yield
    finally:
        for step in undo:
            step()


@contextmanager
def as_it_was(*modules: Any) -> Iterator[None]:
    """Modules come back with each layer in its mode, and each parameter and buffer the same object, on its
    device, with its strides and its flag for gradients. What is no module has nothing to come back.
    """
    from torch import nn

    with ExitStack() as stack:
        for module in modules:
            if isinstance(module, nn.Module):
                stack.callback(_giving_back(module))
        yield


def memory_back(module: nn.Module) -> Callable[[], None]:
    """What makes each parameter, its gradient and each buffer of ``module`` lie in memory as they do now."""
    import torch

    steps = [
        partial(_lay_back, tensor, tensor.device, tensor.stride(), tensor.data if _overlaps(tensor) else None)
        for parameter in module.parameters()
        for tensor in (parameter, parameter.grad)
        if tensor is not None and tensor.layout == torch.strided
    ]
    for layer in module.modules():
        steps += [partial(_put_back, layer, *named) for named in layer.named_buffers(recurse=False)]

    def back() -> None:
        with torch.inference_mode(False), torch.no_grad():
            for step in steps:
                step()

    return back


def _giving_back(module: nn.Module) -> Callable[[], None]:
    # A frozen TorchScript module has no mode.
    modes = [(layer, layer.training) for layer in module.modules() if hasattr(layer, "training")]
    flags = [(p, p.requires_grad) for p in module.parameters()]
    memory = memory_back(module)

    def back() -> None:
        memory()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        for layer, training in modes:
            layer.training = training

    return back


def _put_back(layer: nn.Module, name: str, buffer: torch.Tensor) -> None:
    """The very buffer, with the values that scoring may have left in a copy on another device."""
    import torch

    now = getattr(layer, name, None)
    if now is buffer or not isinstance(now, torch.Tensor):
        return
    if now.shape == buffer.shape and now.dtype == buffer.dtype and not _overlaps(buffer):
        buffer.copy_(now)
        setattr(layer, name, buffer)
    elif now.device != buffer.device:
        setattr(layer, name, now.to(buffer.device))


def _lay_back(
    tensor: torch.Tensor, device: torch.device, stride: tuple[int, ...], whole: torch.Tensor | None
) -> None:
    import torch

    if tensor.device == device and tensor.stride() == stride:
        return
    if whole is None:
        whole = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=device)
        whole.copy_(tensor.data)
    tensor.data = whole


def _overlaps(tensor: torch.Tensor) -> bool:
    """Whether elements share memory, as after ``expand``: such a tensor cannot be written to."""
    return any(n > 1 and step == 0 for n, step in zip(tensor.shape, tensor.stride(), strict=True))


def _generators() -> Iterator[Callable[[], object]]:
    """Steps that bring the global random generators back: Python's, NumPy's and torch's."""
    import torch

    yield partial(random.setstate, random.getstate())
    yield partial(np.random.set_state, np.random.get_state())
    yield partial(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _owners(module: Any) -> Iterator[Any]:
    """What may hold state: every layer, and a callable that is no module, or the object of a method."""
    from torch import nn

    from imagenet_hard.classifiers.outputs import LogitsOf

    if not isinstance(module, nn.Module):
        owner = getattr(module, "__self__", module)
        if isinstance(owner, nn.Module):
            yield from owner.modules()
        elif hasattr(owner, "__dict__") and not isinstance(owner, type):
            yield owner
        return
    for layer in module.modules():
        yield layer
        if isinstance(layer, LogitsOf) and not isinstance(layer.model, nn.Module):
            yield from _owners(layer.model)


def _undo(owner: Any) -> Iterator[Callable[[], object]]:
    """Steps that bring the state of one owner back, contents first."""
    import torch
    from torch import nn

    module = isinstance(owner, nn.Module)
    if module:
        for buffer in owner.buffers(recurse=False):
            if step := _contents(buffer):
                yield step
        if isinstance(owner._buffers, dict):  # that of TorchScript is no dict, and cannot be set anew
            yield partial(_rebind, owner._buffers, dict(owner._buffers), frozenset())
    if isinstance(owner, torch.jit.ScriptModule):
        return
    values, fixed = vars(owner), of_every_module() if module else frozenset[str]()
    for name, value in values.items():
        if name not in fixed and (step := _contents(value)):
            yield step
    yield partial(_rebind, values, dict(values), fixed)


@cache
def of_every_module() -> frozenset[str]:
    """Attributes that any module has: its mode, hooks, weights, buffers and layers."""
    from torch import nn

    return frozenset(vars(nn.Module()))


def _rebind(values: dict[str, Any], before: dict[str, Any], fixed: frozenset[str]) -> None:
    """``values`` under the names that it had; ``fixed``: names that are left alone."""
    for name in values.keys() - before.keys() - fixed:
        del values[name]
    for name, value in before.items():
        if name not in fixed and values.get(name, values) is not value:
            values[name] = value


def _contents(value: Any) -> Callable[[], object] | None:
    """What brings the contents of a mutable value back; None where it has none that can be kept."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or _overlaps(value):
            return None
        return partial(value.detach().copy_, value.detach().clone())
    if isinstance(value, np.ndarray):
        return partial(np.copyto, value, value.copy()) if value.flags.writeable else None
    kind = type(value)
    if kind in (list, deque):
        return partial(_refill, value, list(value), value.extend)
    if kind in (dict, set):
        return partial(_refill, value, value.copy(), value.update)
    return None


def _refill(value: Any, before: Any, fill: Callable[[Any], None]) -> None:
    value.clear()
    fill(before)
