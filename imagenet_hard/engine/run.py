"""Run a classifier over a benchmark: decode, transform, forward, keep.

On a CPU decoding and forward passes take turns, each on all cores: both are bound by the same
cores, and sharing them costs more (OpenMP threads wait for one another) than it hides. On an
accelerator the next images are decoded while it computes.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
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
    from PIL import Image

    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark
    from imagenet_hard.engine.predictor import Predictor

CHUNK = 128
"""Images decoded ahead: enough that the last of them leaves no core idle for long."""


@dataclass(frozen=True)
class Ready:
    """An image that is decoded and transformed."""

    row: Row
    pixels: Any


Prepared = Ready | Row | str
Prepare = Callable[[Callable[[], Example]], Prepared]


@dataclass(frozen=True)
class RunReport:
    """How a run went. ``seconds`` is wall time from first read to last write, resumed images apart."""

    seconds: float
    n_scored: int
    n_resumed: int
    device: str
    batch_size: int
    workers: int
    peak_memory_bytes: int | None
    optimizations: tuple[str, ...]


def score(
    classifier: Classifier,
    benchmark: Benchmark,
    settings: RunSettings,
    store: Store,
    on_progress: Callable[[int], None] = lambda n: None,
    predictor: Predictor | None = None,
) -> tuple[Scored, RunReport]:
    """Score every example that ``store`` doesn't hold yet; ``on_progress`` is told of each batch's size.

    ``predictor``: how an image becomes logits; by default one forward pass of the classifier's own view.
    A stored row counts if its image's bytes and labels are still the same; reading and hashing an
    image takes a hundredth of scoring it.

    Raises:
        ImageError: after all others are scored and kept, where images cannot be decoded; each is
            named, and a run after they are mended scores only these.
        ClassifierError: for logits of a wrong shape or that are not finite, or memory that ran out.
    """
    device = resolve_device(settings.device)
    forward = predictor or Forward(classifier, settings, device)
    known = store.rows()
    stale = set(known)
    prepare = _preparer(forward.prepare, benchmark.exif, known)
    failures: list[str] = []
    n_scored, n_resumed, start = 0, 0, time.perf_counter()
    with keep_activations(), ThreadPoolExecutor(settings.decode_workers(), "decode") as pool:
        ready = _overlapped if device.type != "cpu" else _in_turns
        batch: list[Ready] = []
        try:
            for item in ready(pool, prepare, benchmark.tasks(), forward.ahead):
                if isinstance(item, str):
                    failures.append(item)
                    continue
                if isinstance(item, Row):
                    stale.discard(item.id)
                    n_resumed += 1
                    continue
                if item.row.id in stale:  # the image was replaced since
                    store.remove([item.row.id])
                    stale.discard(item.row.id)
                batch.append(item)
                if len(batch) == forward.images:
                    n_scored += _score_batch(forward, batch, store, on_progress)
                    batch = []
            if batch:
                n_scored += _score_batch(forward, batch, store, on_progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    report = RunReport(
        seconds=time.perf_counter() - start,
        n_scored=n_scored,
        n_resumed=n_resumed,
        device=_device_name(device),
        batch_size=forward.batch_size,
        workers=settings.decode_workers(),
        peak_memory_bytes=_peak_memory(device),
        optimizations=tuple(forward.optimizations),
    )
    store.remove(stale)  # of images that are not in the benchmark any more
    if failures:
        shown = "\n  ".join(failures[:20]) + (f"\n  and {len(failures) - 20} more" if failures[20:] else "")
        raise ImageError(
            f"{len(failures)} of {n_scored + n_resumed + len(failures)} images of {benchmark.name} cannot be "
            f"scored, so there is no result:\n  {shown}\n"
            f"The other {n_scored + n_resumed} are kept: mend or remove these and run the same command again."
        )
    return store.read(), report


def _preparer(pixels: Callable[[Image.Image, str], Any], exif: bool, known: Mapping[str, Row]) -> Prepare:
    def prepare(read: Callable[[], Example]) -> Prepared:
        """One image, in a decode thread: ready, or its row if that is scored, or why it can't be."""
        try:
            example = read()
            digest = hashlib.sha256(example.image).hexdigest()
            row = Row(example.id, example.labels, example.origin, digest)
            if known.get(row.id) == row:
                return row
            image = decode(example.image, id=example.id, exif=exif)
        except (ImageError, OSError) as error:
            return str(error)
        try:
            data = pixels(image, digest)
        except ClassifierError:
            raise
        except Exception as error:
            raise ClassifierError(
                f"the transform failed on image {example.id!r} "
                f"({image.mode}, {image.width} x {image.height}): {type(error).__name__}: {error}"
            ) from error
        return Ready(row, data)

    return prepare


def _in_turns(
    pool: ThreadPoolExecutor,
    prepare: Prepare,
    tasks: Iterator[Callable[[], Example]],
    limit: int | None = None,
) -> Iterator[Prepared]:
    """Decode a chunk on all cores, then hand it out while no decoder runs."""
    while chunk := list(islice(tasks, limit or CHUNK)):
        yield from list(pool.map(prepare, chunk))


def _overlapped(
    pool: ThreadPoolExecutor,
    prepare: Prepare,
    tasks: Iterator[Callable[[], Example]],
    limit: int | None = None,
) -> Iterator[Prepared]:
    """Keep a bounded number of images decoding while the consumer computes."""
    pending: deque[Future[Prepared]] = deque()
    ahead = limit or max(2 * CHUNK, 1024)
    for task in tasks:
        pending.append(pool.submit(prepare, task))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _score_batch(
    forward: Predictor, batch: list[Ready], store: Store, on_progress: Callable[[int], None]
) -> int:
    import torch

    position = 0
    while position < len(batch):
        part = batch[position : position + forward.images]
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


def _peak_memory(device: torch.device) -> int | None:
    """Of the device for CUDA, else of the process (resident set), in bytes."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
