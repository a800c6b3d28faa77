"""One job of a pass: batches of pixels through its predictor. Its first exception ends it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from imagenet_hard.engine.store import Row
from imagenet_hard.engine.topk import Top5, top5
from imagenet_hard.errors import ClassifierError

if TYPE_CHECKING:
    from imagenet_hard.engine.predictor import Predictor

Keep = Callable[[Sequence[Row], Top5], None]
Wants = Callable[[Row, Any], bool]


class Batches:
    """``keep`` is called with each batch that is scored, of the images that it ``wants``.

    ``error``: what ended the job, None while all is well. ``seconds``: time spent here so far. On an
    accelerator a batch is kept while the next one computes, so that neither waits for the other.
    """

    predictor: Predictor

    def __init__(self, build: Callable[[], Predictor], wants: Wants, keep: Keep) -> None:
        self._wants, self._keep = wants, keep
        self.seconds = 0.0
        self.error: Exception | None = None
        self._batch: list[tuple[Row, Any]] = []
        self._under_way: tuple[list[Row], Any] | None = None
        try:
            self.predictor = build()
        except Exception as error:
            self.error = error

    def take(self, row: Row, pixels: Any) -> None:
        """One more image, or what its transform raised; runs a batch when it is full."""
        if self.error is not None:
            return
        try:
            if self._wants(row, pixels):
                if isinstance(pixels, Exception):
                    raise pixels
                self._batch.append((row, pixels))
                if len(self._batch) >= self.predictor.images:
                    self._run()
        except Exception as error:
            self.error = error

    def flush(self) -> None:
        """Run and keep what is left."""
        try:
            while self._batch and self.error is None:
                self._run()
            self._finish()
        except Exception as error:
            self.error = self.error or error

    def _run(self) -> None:
        start = time.perf_counter()
        part = self._batch[: self.predictor.images]
        launched = self._launch([pixels for _, pixels in part])
        if launched is not None:
            self._finish()
            self._under_way = [row for row, _ in part], launched[0]
            del self._batch[: len(part)]
            if self.predictor.device.type == "cpu":
                self._finish()
        self.seconds += time.perf_counter() - start

    def _launch(self, pixels: list[Any]) -> tuple[Any] | None:
        """What the predictor gives; None where memory ran out and a smaller batch is to be tried."""
        import torch

        try:
            return (self.predictor.launch(pixels),)
        except torch.OutOfMemoryError as error:
            self._finish()  # of the size that it was launched with
            if self.predictor.device.type == "cuda":
                torch.cuda.empty_cache()
            if not self.predictor.shrink():
                size, device = self.predictor.batch_size, self.predictor.device
                raise ClassifierError(
                    f"out of memory on {device} at batch size {size}: give a smaller --batch-size, or "
                    "--precision bf16"
                ) from error
            return None

    def _finish(self) -> None:
        if self._under_way is not None:
            (rows, launched), self._under_way = self._under_way, None
            self._keep(rows, top5(self.predictor.finish(launched, [row.id for row in rows])))
