"""The hardness filter: which images does no zoom of any classifier solve (paper, section 4).

Images that are still unsolved share batches, so that these stay full while most images leave after
a zoom or two. The verdicts equal those of the paper's protocol (each zoom of each image resized,
cropped and classified for itself) but for near-ties, and depend on no order (``verdicts.NEAR_TIE``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from imagenet_hard.curation.records import FilterProgress, OpenSource
from imagenet_hard.curation.score.crops import Candidate, CropMaker
from imagenet_hard.curation.score.images import UndecidedImages
from imagenet_hard.curation.score.order import ZoomOrder
from imagenet_hard.curation.score.screening import WORTH, reopen, tolerances_of
from imagenet_hard.curation.score.verdicts import CropQueue, CropQueues, Verdict
from imagenet_hard.curation.store import CurationStore, ImageRecord
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import Zoom

WINDOW = 8
"""Images at work at a time, in batches: enough for full batches, few enough for memory."""

MAX_PIXELS = 300_000_000
"""Of all images at work (0.9 GB): when they are huge, fewer are."""

QUEUED = 4
"""Batches that wait, besides a part of one in each queue; while there are more, no crops are made."""


class HardnessFilter:
    """One run over some sources; what the store knows already is not done again.

    ``queues``: of the classifiers, cheapest first; some may be screened in bfloat16 (``screening``), and they
    may serve other runs after this one. ``exhaustive``: try every zoom of every image, for the study.
    ``order``: zooms to try first; they change the time, never the verdicts.
    """

    def __init__(
        self,
        sources: Sequence[OpenSource],
        queues: CropQueues,
        store: CurationStore,
        settings: RunSettings,
        *,
        exif: bool = False,
        exhaustive: bool = False,
        order: Sequence[Zoom] = (),
        on_progress: Callable[[FilterProgress], None] = lambda progress: None,
    ) -> None:
        self._store, self._exhaustive, self._on_progress = store, exhaustive, on_progress
        self.queues = queues
        self._sizes = {name: len(grid) for name, grid in queues.grids.items()}
        self._order = ZoomOrder(queues.grids, store.rates(), order)
        self.tolerances = tolerances_of(store, queues.grids, queues.screens)
        self._crops_before = self.queues.n_crops
        self._images = UndecidedImages(sources, store, exif=exif)
        self._workers = settings.decode_workers()
        batch_size = self.queues.batch_size
        self._window = WINDOW * batch_size
        self._room = (QUEUED + len(list(self.queues))) * batch_size
        self._active: list[Candidate] = []
        self._dirty: dict[str, ImageRecord] = {}
        self._tallied: set[tuple[str, int]] = set()
        self._start = time.perf_counter()

    def run(self) -> FilterProgress:
        """Decide every image; the last progress.

        Raises:
            ClassifierError: a classifier that fails on several images alike.
            ResultError: the store cannot be written.
        """
        with keep_activations(), ThreadPoolExecutor(self._workers, "zoom") as pool:
            try:
                maker = CropMaker(pool)
                self._decide(maker, self._images.candidates(pool, self._steps))
                while again := reopen(self._store, self.tolerances):
                    self._images.reopened(again)
                    self._decide(maker, self._images.again(again, self._steps))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        self._store.remember(finished="yes")
        return self.progress()

    def progress(self) -> FilterProgress:
        """Where the run stands."""
        return self._images.progress(self.queues.n_crops - self._crops_before, self._start)

    def _steps(self) -> Iterator[tuple[str, list[int]]]:
        return self._order.everything() if self._exhaustive else self._order.steps()

    def _decide(self, maker: CropMaker, candidates: Iterator[Candidate | ImageRecord]) -> None:
        """Take images in, try block after block, until none is left."""
        exhausted = False
        while not exhausted or self._active:
            exhausted = exhausted or self._admit(candidates)
            self._make_crops(maker)
            idle = not any(queue.full for queue in self.queues)
            self._collect(maker, wait=idle or self.queues.device.type == "cpu")
            queues = [queue for queue in self.queues if queue.full]
            if not queues and not maker.busy:
                queues = self._fullest(maker)
            for queue in queues:
                self._apply(queue, queue.run())
                self._commit()
            self._retire()

    def _collect(self, maker: CropMaker, *, wait: bool) -> None:
        for name, crop in maker.made(wait=wait):
            self._queue_for(name, crop.zoom).waiting.append(crop)

    def _fullest(self, maker: CropMaker) -> list[CropQueue]:
        """Where every image waits for a batch that no other can fill up: the queue that has most.

        What is left of its batch goes to the next zooms of these images, which otherwise would be padding:
        a few of the crops may turn out not to have been needed.
        """
        while waiting := [queue for queue in self.queues if queue.waiting]:
            queue = max(waiting, key=lambda queue: len(queue.waiting))
            missing = queue.forward.batch_size - len(queue.waiting)
            before = self.queues.n_waiting
            for candidate in self._active:
                if missing > 0 and candidate.waiting and not candidate.decided:
                    missing -= self._submit(maker, candidate)
            self._collect(maker, wait=True)
            if queue.full or self.queues.n_waiting == before:
                return [queue]
        return []

    def _admit(self, candidates: Iterator[Candidate | ImageRecord]) -> bool:
        """Fill the window; whether there are no more."""
        pixels = sum(c.image.width * c.image.height for c in self._active)
        while len(self._active) < self._window and pixels < MAX_PIXELS:
            found = next(candidates, None)
            if found is None:
                return True
            if isinstance(found, ImageRecord):  # it cannot be read
                self._finish(found)
            else:
                self._active.append(found)
                pixels += found.image.width * found.image.height
        return False

    def _make_crops(self, maker: CropMaker) -> None:
        """Begin with the next crops of every image that waits for nothing."""
        room = self._room - self.queues.n_waiting
        for candidate in self._active:
            if room <= 0:
                return
            if candidate.waiting or candidate.decided:
                continue
            made = self._submit(maker, candidate)
            if not made:
                self._conclude(candidate)
            room -= made

    def _submit(self, maker: CropMaker, candidate: Candidate) -> int:
        """The candidate's next block of crops begun; the number of its crops, 0 when all have been tried."""
        block = candidate.next_block(self._sizes)
        if block is None:
            return 0
        maker.submit(candidate, self.queues.grids[block[0]], *block)
        return len(block[1])

    def _queue_for(self, name: str, zoom: int) -> CropQueue:
        if name not in self.queues.screens or self._order.rates(name)[zoom] > WORTH:
            return self.queues.exact[name]
        return self.queues.screens[name]

    def _apply(self, queue: CropQueue, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            crop, candidate = verdict.crop, verdict.crop.candidate
            if not queue.exact and (
                verdict.error is not None or self.tolerances[queue.name].needs_exact(verdict.deficit)
            ):
                # Still waiting, now for float32.
                screened = verdict.deficit if verdict.error is None else None
                self.queues.exact[queue.name].waiting.append(replace(crop, screened=screened))
                continue
            if verdict.error is not None:
                candidate.broken[queue.name] = verdict.error
            else:
                if crop.screened is not None:
                    self.tolerances[queue.name].compare(crop.screened, verdict.deficit)
                self._note(queue, verdict)
            candidate.waiting -= 1

    def _note(self, queue: CropQueue, verdict: Verdict) -> None:
        """Write a verdict down; an image is solved by its first right one, unless all are wanted."""
        candidate, zoom, name = verdict.crop.candidate, verdict.crop.zoom, queue.name
        if candidate.decided:
            return
        views = candidate.views(name, self._sizes[name])
        views.deficit[zoom], views.predicted[zoom] = verdict.deficit, verdict.predicted
        views.screened[zoom] = not queue.exact
        self._dirty[candidate.record.id] = candidate.record
        right = queue.exact and verdict.deficit < 0
        self._order.note(name, zoom, right)
        self._tallied.add((name, zoom))
        if right and candidate.record.classifier is None:
            candidate.record.classifier, candidate.record.zoom = name, zoom
        if right and not self._exhaustive:
            candidate.record.state = "solved"

    def _conclude(self, candidate: Candidate) -> None:
        """Every zoom has been tried."""
        record = candidate.record
        if record.classifier is not None:
            record.state = "solved"
        elif candidate.broken:
            record.state = "failed"
            record.error = "; ".join(f"{name}: {error}" for name, error in candidate.broken.items())
        else:
            record.state = "hard"
        self._dirty[record.id] = record

    def _retire(self) -> None:
        """Let go of the images that are decided and of which no crop is under way."""
        for candidate in self._active:
            if candidate.decided and not candidate.waiting:
                self._finish(candidate.record)
        self._active = [c for c in self._active if not c.decided or c.waiting]
        self._commit()

    def _finish(self, record: ImageRecord) -> None:
        self._dirty[record.id] = record
        self._images.finished(record)

    def _commit(self) -> None:
        """One transaction: what the last batch has shown."""
        if not self._dirty:
            return
        rates = {(name, zoom): self._order.counts(name, zoom) for name, zoom in self._tallied}
        facts = {f"tolerance:{name}": t.dump() for name, t in self.tolerances.items()}
        self._store.write(self._dirty.values(), rates, facts, keep_views=self._exhaustive)
        self._dirty.clear()
        self._tallied.clear()
        self._on_progress(self.progress())
