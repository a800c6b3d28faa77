"""One job of a pass: batches of pixels through its predictor. Its first exception ends it alone."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from imagenet_hard.base.errors import ClassifierError
from imagenet_hard.engine.forward import not_finite
from imagenet_hard.engine.store import Row
from imagenet_hard.engine.topk import Pending, Top5

if TYPE_CHECKING:
    from imagenet_hard.engine.forward import Predictor

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
        self._under_way: tuple[list[Row], Pending] | None = None
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
            self._end(error)

    def flush(self) -> None:
        """Run and keep what is left."""
        try:
            while self._batch and self.error is None:
                self._run()
            self._finish()
        except Exception as error:
            self._end(error)

    def _end(self, error: Exception) -> None:
        """Note the error, and let go of what it holds: a batch's activations may be most of the memory."""
        self.error = self.error or error
        self._batch, self._under_way = [], None
        cause: BaseException | None = error
        while cause is not None:
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__ or cause.__context__

    def _run(self) -> None:
        start = time.perf_counter()
        part = self._batch[: self.predictor.images]
        pending = self._launch([pixels for _, pixels in part], [row.id for row, _ in part])
        if pending is None:
            self._shrink()
        else:
            self._finish()
            self._under_way = [row for row, _ in part], pending
            del self._batch[: len(part)]
            if self.predictor.device.type == "cpu":
                self._finish()
        self.seconds += time.perf_counter() - start

    def _launch(self, pixels: list[Any], ids: list[str]) -> Pending | None:
        """None where memory ran out."""
        import torch

        try:
            return Pending(self.predictor.launch(pixels, ids))
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)
            return None

    def _shrink(self) -> None:
        """A smaller batch, with what is under way out of the way."""
        import torch

        self._finish()
        device, size = self.predictor.device, self.predictor.batch_size
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if not self.predictor.shrink():
            raise ClassifierError(
                f"out of memory on {device} at batch size {size}: give a smaller --batch-size, or "
                "--precision bf16"
            )

    def _finish(self) -> None:
        if self._under_way is not None:
            (rows, pending), self._under_way = self._under_way, None
            scores, finite = pending.wait()
            if not finite.all():
                raise not_finite(self.predictor, [rows[i].id for i in (~finite).nonzero()[0]])
            self._keep(rows, scores)
