"""OpenVINO in place of torch on a CPU: the graph of a network, exported by torch, in the same arithmetic.

A graph is what the code did once. What Python does beside it, or would do for other images, is lost. So only
modules of well-known layers are converted, and no graph that draws random numbers or keeps a state; and
``forward.Forward`` uses one only where it agrees with the module on the first real images.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.base.types import Precision
from imagenet_hard.classifiers.own_code import brings_own_code, of_known_layers
from imagenet_hard.engine.kept_graphs import KeptGraph

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.engine.settings import RunSettings

EXTRA = "pip install 'imagenet-hard[cpu]'"

HINTS = {"fp32": {"INFERENCE_PRECISION_HINT": "f32"}, "bf16": {"INFERENCE_PRECISION_HINT": "bf16"}}


WORTH = 0.9
"""Of torch's time, up to which ``auto`` takes it."""

PART = 4
"""Images that a thread computes: parts of a batch go beside each other, so no layer waits for all threads."""


class NotConvertible(Exception):
    """Why OpenVINO does not run a module, in a few words."""


@cache
def openvino_version() -> str | None:
    """Of the installed package, which is not imported; None where there is none.

    >>> openvino_version() is None or "." in openvino_version()
    True
    """
    try:
        return version("openvino").partition("-")[0]
    except PackageNotFoundError:
        return None


def may_convert(settings: RunSettings, device_type: str) -> bool:
    """Whether models are to be converted, where they can be.

    Raises:
        UsageError: that was asked for, and there is no OpenVINO for the device.
    """
    if settings.runtime == "torch" or settings.compile:
        return False
    why = None
    if device_type != "cpu":
        why = f"runs on a CPU, and the device is {device_type}: give --device cpu, or leave out --runtime"
    elif openvino_version() is None:
        why = f"is not installed: {EXTRA}"
    if why is not None and settings.runtime == "openvino":
        raise UsageError(f"the runtime openvino {why}")
    return why is None


class OpenVinoModule:
    """A compiled graph for batches of one ``shape``, in equal parts; called like the module it is made of.

    ``threads``: that it takes; ``kept``: the graph, if it is; ``how``: what runs it here.
    """

    def __init__(
        self, compiled: Any, shape: tuple[int, ...], parts: int, kept: KeptGraph | None, how: str
    ) -> None:
        self._requests = [compiled.create_infer_request() for _ in range(parts)]
        self.shape, self._kept = shape, kept
        self.threads: int = compiled.get_property("INFERENCE_NUM_THREADS")
        self._how = f"{how}, {self.threads} threads"

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """float32 (n, 3, H, W), read and not written -> float32 (n, classes), in memory of its own."""
        import torch

        pixels = batch.permute(0, 2, 3, 1).contiguous().numpy()  # no copy where they are channels last
        for request, part in zip(self._requests, np.split(pixels, len(self._requests)), strict=True):
            request.start_async([part], share_inputs=True)
        for request in self._requests:
            request.wait()
        return torch.from_numpy(
            np.concatenate([request.get_output_tensor().data for request in self._requests])
        )

    @property
    def has_agreed(self) -> bool:
        """Whether an earlier run has found on a whole batch that it computes what the module does."""
        return self._kept is not None and self._kept.has_agreed(self._how)

    def agrees(self) -> None:
        """This one has, for those to come."""
        if self._kept is not None:
            self._kept.agrees(self._how)

    def forget(self) -> None:
        """Export it anew next time."""
        if self._kept is not None:
            self._kept.remove()


def converted(classifier: Classifier, module: nn.Module, batch: torch.Tensor, precision: Precision) -> Any:
    """``module``, that of ``classifier`` or a rewriting, as an ``OpenVinoModule`` for batches like ``batch``.

    It takes as many threads as torch has here. A graph is kept in the cache folder if the classifier's record
    says all of it.

    Raises:
        NotConvertible: it cannot be exported or compiled, or might compute something else as a graph.
    """
    import torch

    _check(classifier, batch)
    openvino = _without_telemetry()
    core = openvino.Core()
    if precision not in HINTS:
        raise NotConvertible(f"it has no {precision} on a CPU")
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise NotConvertible("this CPU has no arithmetic for bfloat16")
    told = classifier.spec.weights_sha256 is not None and not brings_own_code(classifier)
    threads = torch.get_num_threads()
    part = batch[: part_of(len(batch), threads)]
    parts = len(batch) // len(part)
    kept = KeptGraph(classifier, module, part) if told else None
    try:
        graph = kept.read(core) if kept is not None else None
        if graph is None:
            graph = _exported(module, part)
            if kept is not None:
                kept.write(graph)
        graph.reshape(list(part.shape))  # the converter leaves every size open, which costs time
        compiled = core.compile_model(
            _channels_last(graph),
            "CPU",
            {
                **HINTS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": min(threads, parts),
                "ENABLE_HYPER_THREADING": True,  # or of two threads on one core it takes one
                "ENABLE_CPU_PINNING": False,  # or several workers would share a core
            },
        )
        how = f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, {precision}"
        return OpenVinoModule(compiled, tuple(batch.shape), parts, kept, how)
    except NotConvertible:
        raise
    except Exception as error:  # anything may go wrong in an exporter or a compiler
        raise NotConvertible(reason(error).splitlines()[0][:120]) from error


def part_of(n: int, threads: int) -> int:
    """Images of each part of a batch of ``n``: ``PART``, or half as many where that leaves threads idle.

    One that cannot be divided by them is computed whole, by all threads.

    >>> part_of(16, 2), part_of(16, 8), part_of(6, 2), part_of(1, 2), part_of(15, 2)
    (4, 2, 2, 1, 15)
    """
    fitting = [size for size in (PART, PART // 2) if n % size == 0]
    return next((size for size in fitting if n // size >= threads), fitting[-1] if fitting else n)


def faster(one: Callable[[Any], Any], other: Callable[[Any], Any], batch: torch.Tensor) -> bool:
    """Whether ``one`` takes a tenth less time for a batch than ``other``: the best of three, in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(4):  # the first is to warm up
        for module, own in zip((one, other), times, strict=True):
            copy = batch.clone()
            start = time.perf_counter()
            module(copy)
            own.append(time.perf_counter() - start)
    return min(times[0][1:]) <= WORTH * min(times[1][1:])


def _check(classifier: Classifier, batch: torch.Tensor) -> None:
    import torch
    from torch import nn

    from imagenet_hard.classifiers.outputs import bare

    inner = bare(classifier.module)
    if not isinstance(inner, nn.Module):
        raise NotConvertible("it is a function")
    if brings_own_code(classifier) and not of_known_layers(inner):
        raise NotConvertible("it has code of its own, which a graph might leave out")
    if batch.ndim != 4 or batch.dtype != torch.float32:
        raise NotConvertible(f"it takes {batch.dtype} {tuple(batch.shape)}")


def _exported(module: nn.Module, batch: torch.Tensor) -> Any:
    import torch

    openvino = _without_telemetry()
    with _quiet(), torch.no_grad(), torch.autocast("cpu", enabled=False):
        program = torch.export.export(module, (batch.clone(),))
        _only_a_function(program)
        return openvino.convert_model(program)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of the exporter's own, and logging as it was: the converter sets everybody's level."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _only_a_function(program: Any) -> None:
    """Of the batch alone, and into logits alone.

    Raises:
        NotConvertible: it is not.
    """
    import torch

    if len(program.graph_signature.user_outputs) != 1:
        raise NotConvertible("it gives more than logits")
    for node in program.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not _is_off(node):
            raise NotConvertible("it draws random numbers")
        arguments = node.target._schema.arguments if hasattr(node.target, "_schema") else ()
        for argument, value in zip(arguments, node.args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and _is_kept(value):
                raise NotConvertible("it writes into its buffers or its input")


def _is_off(node: Any) -> bool:
    """Whether a node that may draw random numbers, as dropout and attention may, draws none."""
    arguments = node.target._schema.arguments
    given = {each.name: each.default_value for each in arguments}
    given |= {**dict(zip(given, node.args, strict=False)), **node.kwargs}
    return given.get("train") is False or given.get("dropout_p") == 0 or given.get("p") == 0


def _is_kept(node: Any) -> bool:
    """Whether memory that a node gives is that of a buffer, a weight or the input."""
    while getattr(node, "op", None) == "call_function":
        returns = getattr(getattr(node.target, "_schema", None), "returns", ())
        # Dropout gives its very input where it drops nothing, and its schema does not say so.
        same = any(each.alias_info is not None for each in returns) or "dropout" in str(node.target)
        if not same:
            return False
        node = node.args[0]
    return True


def _channels_last(graph: Any) -> Any:
    """``graph`` for batches (n, H, W, 3), which lie in memory as torch's channels last."""
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(graph)
    steps.input().tensor().set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    return steps.build()


def _without_telemetry() -> Any:
    """The package, which otherwise reports to its makers that it is imported and what is converted."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
