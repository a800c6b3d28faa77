"""The hardness filter: which images does no zoom of any classifier solve (paper, section 4).

Images that are still unsolved share batches, so that these stay full while most images leave after
a zoom or two. The verdicts equal those of the paper's protocol (each zoom of each image resized,
cropped and classified for itself) but for near-ties, and depend on no order (``judge.NEAR_TIE``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from imagenet_hard.curation.cutting import Cutter
from imagenet_hard.curation.intake import Intake
from imagenet_hard.curation.lane import Candidate, Lane, Verdict
from imagenet_hard.curation.lanes import Lanes
from imagenet_hard.curation.order import ZoomOrder
from imagenet_hard.curation.records import FilterProgress, OpenSource
from imagenet_hard.curation.screening import WORTH, reopen, tolerances_of
from imagenet_hard.curation.store import CurationStore, ImageRecord
from imagenet_hard.engine.allocator import keep_activations
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import Zoom

WINDOW = 8
"""Images at work at a time, in batches: enough for full batches, few enough for memory."""

MAX_PIXELS = 300_000_000
"""Of all images at work (0.9 GB): when they are huge, fewer are."""

QUEUED = 4
"""Batches that wait, besides a part of one in each lane; while there are more, no crops are made."""


class HardnessFilter:
    """One run over some sources; what the store knows already is not done again.

    ``lanes``: of the classifiers, cheapest first; some may be screened in bfloat16 (``screening``), and they
    may serve other runs after this one. ``exhaustive``: try every zoom of every image, for the study.
    ``order``: zooms to try first; they change the time, never the verdicts.
    """

    def __init__(
        self,
        sources: Sequence[OpenSource],
        lanes: Lanes,
        store: CurationStore,
        settings: RunSettings,
        *,
        exif: bool = False,
        exhaustive: bool = False,
        order: Sequence[Zoom] = (),
        on_progress: Callable[[FilterProgress], None] = lambda progress: None,
    ) -> None:
        self._store, self._exhaustive, self._on_progress = store, exhaustive, on_progress
        self.lanes = lanes
        self._sizes = {name: len(grid) for name, grid in lanes.grids.items()}
        self._order = ZoomOrder(lanes.grids, store.rates(), order)
        self.tolerances = tolerances_of(store, lanes.grids, lanes.screens)
        self._crops_before = self.lanes.n_crops
        self._intake = Intake(sources, store, exif=exif)
        self._workers = settings.decode_workers()
        batch_size = self.lanes.batch_size
        self._window = WINDOW * batch_size
        self._room = (QUEUED + len(list(self.lanes))) * batch_size
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
                cutter = Cutter(pool)
                self._decide(cutter, self._intake.candidates(pool, self._steps))
                while again := reopen(self._store, self.tolerances):
                    self._intake.reopened(again)
                    self._decide(cutter, self._intake.again(again, self._steps))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        self._store.remember(finished="yes")
        return self.progress()

    def progress(self) -> FilterProgress:
        """Where the run stands."""
        counts = self._intake.counts
        return FilterProgress(
            self._intake.total,
            counts["solved"],
            counts["hard"],
            counts["failed"],
            self.lanes.n_crops - self._crops_before,
            time.perf_counter() - self._start,
        )

    def _steps(self) -> Iterator[tuple[str, list[int]]]:
        return self._order.everything() if self._exhaustive else self._order.steps()

    def _decide(self, cutter: Cutter, candidates: Iterator[Candidate | ImageRecord]) -> None:
        """Take images in, try block after block, until none is left."""
        exhausted = False
        while not exhausted or self._active:
            exhausted = exhausted or self._admit(candidates)
            self._cut(cutter)
            idle = not any(lane.full for lane in self.lanes)
            self._collect(cutter, wait=idle or self.lanes.device.type == "cpu")
            lanes = [lane for lane in self.lanes if lane.full]
            if not lanes and not cutter.busy:
                lanes = self._fullest(cutter)
            for lane in lanes:
                self._apply(lane, lane.run())
                self._commit()
            self._retire()

    def _collect(self, cutter: Cutter, *, wait: bool) -> None:
        for name, crop in cutter.made(wait=wait):
            self._lane_for(name, crop.zoom).queue.append(crop)

    def _fullest(self, cutter: Cutter) -> list[Lane]:
        """Where every image waits for a batch that no other can fill up: the lane that has most.

        What is left of its batch goes to the next zooms of these images, which otherwise would be padding:
        a few of the crops may turn out not to have been needed.
        """
        while waiting := [lane for lane in self.lanes if lane.queue]:
            lane = max(waiting, key=lambda lane: len(lane.queue))
            missing = lane.forward.batch_size - len(lane.queue)
            before = self.lanes.n_waiting
            for candidate in self._active:
                if missing > 0 and candidate.waiting and not candidate.decided:
                    missing -= self._submit(cutter, candidate)
            self._collect(cutter, wait=True)
            if lane.full or self.lanes.n_waiting == before:
                return [lane]
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

    def _cut(self, cutter: Cutter) -> None:
        """Let the cutter make the next crops of every image that waits for nothing."""
        room = self._room - self.lanes.n_waiting
        for candidate in self._active:
            if room <= 0:
                return
            if candidate.waiting or candidate.decided:
                continue
            made = self._submit(cutter, candidate)
            if not made:
                self._conclude(candidate)
            room -= made

    def _submit(self, cutter: Cutter, candidate: Candidate) -> int:
        """The candidate's next block to the cutter; the number of its crops, 0 when all have been tried."""
        block = candidate.next_block(self._sizes)
        if block is None:
            return 0
        cutter.submit(candidate, self.lanes.grids[block[0]], *block)
        return len(block[1])

    def _lane_for(self, name: str, zoom: int) -> Lane:
        if name not in self.lanes.screens or self._order.rates(name)[zoom] > WORTH:
            return self.lanes.exact[name]
        return self.lanes.screens[name]

    def _apply(self, lane: Lane, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            crop, candidate = verdict.crop, verdict.crop.candidate
            if not lane.exact and (
                verdict.error is not None or self.tolerances[lane.name].needs_exact(verdict.deficit)
            ):
                # Still waiting, now for float32.
                screened = verdict.deficit if verdict.error is None else None
                self.lanes.exact[lane.name].queue.append(replace(crop, screened=screened))
                continue
            if verdict.error is not None:
                candidate.broken[lane.name] = verdict.error
            else:
                if crop.screened is not None:
                    self.tolerances[lane.name].compare(crop.screened, verdict.deficit)
                self._note(lane, verdict)
            candidate.waiting -= 1

    def _note(self, lane: Lane, verdict: Verdict) -> None:
        """Write a verdict down; an image is solved by its first right one, unless all are wanted."""
        candidate, zoom, name = verdict.crop.candidate, verdict.crop.zoom, lane.name
        if candidate.decided:
            return
        views = candidate.views(name, self._sizes[name])
        views.deficit[zoom], views.predicted[zoom] = verdict.deficit, verdict.predicted
        views.screened[zoom] = not lane.exact
        self._dirty[candidate.record.id] = candidate.record
        right = lane.exact and verdict.deficit < 0
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
        self._intake.finished(record)

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
