"""The hardness filter on a Ray cluster: each worker decides shards of images, this process keeps the books.

A worker runs the filter itself on its shard, with a store in its memory. What it learns on the way, how often
zooms solve and how far bfloat16 is off, comes back with the verdicts and goes out with the next shards; it
changes the time that is needed, never a verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imagenet_hard.base.errors import ImageError
from imagenet_hard.curation.records import FilterProgress, OpenSource
from imagenet_hard.curation.score.classifiers import ZoomClassifier
from imagenet_hard.curation.score.hardness import HardnessFilter
from imagenet_hard.curation.score.images import Place, UndecidedImages
from imagenet_hard.curation.score.screening import Tolerance, reopen
from imagenet_hard.curation.score.verdicts import CropQueues
from imagenet_hard.curation.store import CurationStore, ImageRecord
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.decode import too_large
from imagenet_hard.engine.prepare import overlapped
from imagenet_hard.engine.settings import RunSettings
from imagenet_hard.imagenet.zoom import Zoom

if TYPE_CHECKING:
    from imagenet_hard.engine.ray.pool import WorkerPool

LARGEST = {"cpu": 64, "cuda": 1024}
"""Images of a shard: most leave after a zoom or two, so it takes many to fill batches."""

LARGEST_EXHAUSTIVE = {"cpu": 4, "cuda": 64}
"""The same where every image sees every zoom."""

MOST_BYTES = 256 << 20
ROUNDS = 4
"""Shards that each worker gets at the least."""

Rates = Mapping[tuple[str, int], tuple[int, int]]


@dataclass
class Part:
    """Images of one source: as many ids and labels as files, or why a file could not be read."""

    source: OpenSource
    ids: list[str] = field(default_factory=list)
    labels: list[tuple[int, ...]] = field(default_factory=list)
    files: list[bytes | ImageError] = field(default_factory=list)

    def opened(self) -> OpenSource:
        """As a source of its own."""
        images = Benchmark(
            self.source.images.about, self.ids, self.labels, [self.source.spec.id] * len(self.ids), self._read
        )
        return replace(self.source, images=images)

    def _read(self, index: int) -> bytes:
        file = self.files[index]
        if isinstance(file, ImageError):
            raise file
        return file


@dataclass
class ImageShard:
    """Images by source, what is known of those that were begun, and what has been learnt so far."""

    rates: Rates
    tolerances: Mapping[str, str]
    parts: dict[str, Part] = field(default_factory=dict)
    begun: list[ImageRecord] = field(default_factory=list)
    n: int = 0
    n_bytes: int = 0

    def __str__(self) -> str:
        ids = [id for part in self.parts.values() for id in part.ids]
        return f"{len(ids)} images, {ids[0]!r} to {ids[-1]!r}"


@dataclass(frozen=True)
class Verdicts:
    """What came of a shard. ``rates``, ``tolerances``: as they are after it."""

    records: list[ImageRecord]
    rates: Rates
    tolerances: Mapping[str, Tolerance]
    n_crops: int


@dataclass(frozen=True)
class FilterTask:
    """What a worker needs besides images. ``screened``: ids of the classifiers that bfloat16 screens."""

    classifiers: Sequence[ZoomClassifier]
    settings: RunSettings
    screened: Sequence[str]
    exif: bool
    exhaustive: bool
    order: Sequence[Zoom]

    def begin(self, device: str, threads: int) -> Callable[[ImageShard], Verdicts]:
        """See ``Task``. The queues are made once, for all shards."""
        from threading import Lock

        settings = replace(self.settings, device=device, workers=threads)
        queues, lock = CropQueues(self.classifiers, settings, self.screened), Lock()

        def decide(shard: ImageShard) -> Verdicts:
            with lock:
                return self._decide(shard, settings, queues)

        return decide

    def _decide(self, shard: ImageShard, settings: RunSettings, queues: CropQueues) -> Verdicts:
        with CurationStore(None) as store:
            facts = {f"tolerance:{name}": text for name, text in shard.tolerances.items()}
            store.write(shard.begun, shard.rates, facts, keep_views=True)
            run = HardnessFilter(
                [part.opened() for part in shard.parts.values()],
                queues,
                store,
                settings,
                exif=self.exif,
                exhaustive=self.exhaustive,
                order=self.order,
            )
            crops = run.run().crops
            records = list(store.images())
            for record in records:
                record.views = store.views(record.id)
            return Verdicts(records, store.rates(), run.tolerances, crops)


class RayFilter:
    """As ``HardnessFilter``, on ``workers``; ``task`` says how."""

    def __init__(
        self,
        sources: Sequence[OpenSource],
        store: CurationStore,
        workers: WorkerPool,
        task: FilterTask,
        on_progress: Callable[[FilterProgress], None] = lambda progress: None,
    ) -> None:
        self._sources, self._store, self._workers, self._task = sources, store, workers, task
        self._on_progress = on_progress
        self._images = UndecidedImages(sources, store, exif=task.exif)
        self._rates = dict(store.rates())
        self._tolerances = {name: Tolerance.load(store.fact(f"tolerance:{name}")) for name in task.screened}
        self._crops, self._start = 0, time.perf_counter()

    def run(self) -> FilterProgress:
        """Decide every image; the last progress.

        Raises:
            ClusterError: the workers are lost; what they have decided is kept.
            ClassifierError, DatasetError, ResultError: as ``HardnessFilter``.
        """
        self._decide(self._images.places())
        while again := reopen(self._store, self._tolerances):
            self._images.reopened(again)
            wanted = {record.id for record in again}
            self._decide(place for place in self._images.places() if self._id(place) in wanted)
        self._store.remember(finished="yes")
        return self.progress()

    def progress(self) -> FilterProgress:
        """Where the run stands."""
        return self._images.progress(self._crops, self._start)

    def _decide(self, places: Iterator[Place]) -> None:
        with ThreadPoolExecutor(8, "read") as pool:
            try:
                for shard, verdicts in self._workers.map(self._task, self._shards(pool, places)):
                    self._keep(shard, verdicts)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _shards(self, pool: ThreadPoolExecutor, places: Iterator[Place]) -> Iterator[ImageShard]:
        device = self._workers.capacity.device
        largest = (LARGEST_EXHAUSTIVE if self._task.exhaustive else LARGEST)[device]
        size = max(1, min(largest, -(-self._images.total // (ROUNDS * self._workers.n))))
        shard = self._shard()
        for (number, row), file in overlapped(pool, self._read, places, 2 * size):
            source = self._sources[number]
            id = source.images.ids[row]
            # The listing stays here: a worker needs to know the shard's images only.
            bare = replace(source, images=Benchmark(source.images.about, (), (), (), bytes))
            part = shard.parts.setdefault(source.spec.id, Part(bare))
            part.ids.append(id)
            part.labels.append(source.images.labels[row])
            part.files.append(file)
            if (begun := self._images.begun(id)) is not None:
                shard.begun.append(begun)
            shard.n += 1
            shard.n_bytes += 0 if isinstance(file, ImageError) else len(file)
            if shard.n >= size or shard.n_bytes >= MOST_BYTES:
                yield shard
                shard = self._shard()
        if shard.n:
            yield shard

    def _shard(self) -> ImageShard:
        return ImageShard(dict(self._rates), {name: t.dump() for name, t in self._tolerances.items()})

    def _read(self, place: Place) -> tuple[Place, bytes | ImageError]:
        number, row = place
        try:
            return place, self._sources[number].images[row].image
        except ImageError as error:
            return place, ImageError(str(error))
        except MemoryError:
            return place, too_large(self._id(place))

    def _keep(self, shard: ImageShard, verdicts: Verdicts) -> None:
        """One transaction: what the shard has shown, added to what others have shown meanwhile."""
        changed = {}
        for key, (tried, solved) in verdicts.rates.items():
            tried_before, solved_before = shard.rates.get(key, (0, 0))
            mine = self._rates.get(key, (0, 0))
            self._rates[key] = (mine[0] + tried - tried_before, mine[1] + solved - solved_before)
            changed[key] = self._rates[key]
        for name, after in verdicts.tolerances.items():
            self._tolerances[name].add(after, since=Tolerance.load(shard.tolerances[name]))
        facts = {f"tolerance:{name}": t.dump() for name, t in self._tolerances.items()}
        self._store.write(verdicts.records, changed, facts, keep_views=self._task.exhaustive)
        for record in verdicts.records:
            self._images.finished(record)
        self._crops += verdicts.n_crops
        self._on_progress(self.progress())

    def _id(self, place: Place) -> str:
        return self._sources[place[0]].images.ids[place[1]]
