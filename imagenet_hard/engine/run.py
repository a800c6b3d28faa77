"""Run a classifier over a benchmark: decode, transform, forward, keep.

On a CPU decoding and forward passes take turns, each on all cores: both are bound by the same
cores, and sharing them costs more (OpenMP threads wait for one another) than it hides. On an
accelerator the next images are decoded while it computes.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.forward import Forward
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.engine.store import Row, Store
from imagenet_hard.engine.topk import top5
from imagenet_hard.errors import ClassifierError, ImageError
from imagenet_hard.types import Example, Scored

if TYPE_CHECKING:
    import torch

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark

CHUNK = 128
"""Images decoded ahead: enough that the last of them leaves no core idle for long."""


@dataclass(frozen=True)
class Ready:
    """An image that is decoded and transformed."""

    row: Row
    pixels: Any


@dataclass(frozen=True)
class RunReport:
    """How a run went. ``seconds`` is wall time from first read to last write, resumed images apart."""

    seconds: float
    n_scored: int
    n_resumed: int
    device: str
    batch_size: int
    workers: int
    peak_memory_bytes: int
    optimizations: tuple[str, ...]


def score(
    classifier: Classifier,
    benchmark: Benchmark,
    settings: RunSettings,
    store: Store,
    on_progress: Callable[[int], None] = lambda n: None,
) -> tuple[Scored, RunReport]:
    """Score every example that ``store`` doesn't hold yet; ``on_progress`` is told of each batch's size.

    Raises:
        ImageError: after all others are scored and kept, where images cannot be decoded; each is
            named, and a run after they are mended scores only these.
        ClassifierError: for logits of a wrong shape or that are not finite, or memory that ran out.
    """
    device = resolve_device(settings.device)
    forward = Forward(classifier, settings, device)
    done = store.ids()
    tasks = benchmark.tasks(skip=done)
    prepare = _preparer(classifier.transform.pixels, benchmark.exif)
    failures: list[str] = []
    n_scored, start = 0, time.perf_counter()
    with keep_activations(), ThreadPoolExecutor(settings.decode_workers(), "decode") as pool:
        ready = _overlapped if device.type != "cpu" else _in_turns
        batch: list[Ready] = []
        try:
            for item in ready(pool, prepare, tasks):
                if isinstance(item, str):
                    failures.append(item)
                    continue
                batch.append(item)
                if len(batch) == forward.batch_size:
                    n_scored += _score_batch(forward, batch, store, on_progress)
                    batch = []
            if batch:
                n_scored += _score_batch(forward, batch, store, on_progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    report = RunReport(
        seconds=time.perf_counter() - start,
        n_scored=n_scored,
        n_resumed=len(done),
        device=_device_name(device),
        batch_size=forward.batch_size,
        workers=settings.decode_workers(),
        peak_memory_bytes=_peak_memory(device),
        optimizations=tuple(forward.optimizations),
    )
    if failures:
        shown = "\n  ".join(failures[:20]) + (f"\n  and {len(failures) - 20} more" if failures[20:] else "")
        raise ImageError(
            f"{len(failures)} of {n_scored + len(done) + len(failures)} images of {benchmark.name} cannot be "
            f"scored, so there is no result:\n  {shown}\n"
            f"The other {n_scored + len(done)} are kept: mend or remove these and run the same command again."
        )
    return store.read(), report


def _preparer(pixels: Callable[[Any], Any], exif: bool) -> Callable[[Callable[[], Example]], Ready | str]:
    def prepare(read: Callable[[], Example]) -> Ready | str:
        """One image, in a decode thread; a text says why one can't be scored."""
        try:
            example = read()
            image = decode(example.image, id=example.id, exif=exif)
        except (ImageError, OSError) as error:
            return str(error)
        try:
            data = pixels(image)
        except ClassifierError:
            raise
        except Exception as error:
            raise ClassifierError(
                f"the transform failed on image {example.id!r} "
                f"({image.mode}, {image.width} x {image.height}): {type(error).__name__}: {error}"
            ) from error
        digest = hashlib.sha256(example.image).hexdigest()
        return Ready(Row(example.id, example.labels, example.origin, digest), data)

    return prepare


def _in_turns(
    pool: ThreadPoolExecutor,
    prepare: Callable[[Callable[[], Example]], Ready | str],
    tasks: Iterator[Callable[[], Example]],
) -> Iterator[Ready | str]:
    """Decode a chunk on all cores, then hand it out while no decoder runs."""
    while chunk := list(islice(tasks, CHUNK)):
        yield from list(pool.map(prepare, chunk))


def _overlapped(
    pool: ThreadPoolExecutor,
    prepare: Callable[[Callable[[], Example]], Ready | str],
    tasks: Iterator[Callable[[], Example]],
) -> Iterator[Ready | str]:
    """Keep a bounded number of images decoding while the consumer computes."""
    pending: deque[Future[Ready | str]] = deque()
    ahead = max(2 * CHUNK, 1024)
    for task in tasks:
        pending.append(pool.submit(prepare, task))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _score_batch(
    forward: Forward, batch: list[Ready], store: Store, on_progress: Callable[[int], None]
) -> int:
    import torch

    position = 0
    while position < len(batch):
        part = batch[position : position + forward.batch_size]
        try:
            logits = forward.logits([r.pixels for r in part], [r.row.id for r in part])
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if not forward.shrink():
                raise ClassifierError(
                    f"out of memory on {forward.device} at batch size {forward.batch_size}: give a smaller "
                    "--batch-size, or --precision bf16"
                ) from error
            continue
        store.add([r.row for r in part], *top5(logits))
        on_progress(len(part))
        position += len(part)
    return len(batch)


def _device_name(device: torch.device) -> str:
    import platform

    import torch

    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"


def _peak_memory(device: torch.device) -> int:
    """Of the device for CUDA, else of the process (resident set), in bytes."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
