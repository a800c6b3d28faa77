"""Images into the hardness filter: read, hashed and decoded in threads, minus those decided before.

Also the guard against images that change under a run: what was scored must still be there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.classifiers.transform import to_rgb
from imagenet_hard.curation.records import FilterProgress, OpenSource
from imagenet_hard.curation.score.crops import Candidate
from imagenet_hard.curation.store import CurationStore, ImageRecord, listing
from imagenet_hard.dataset.decode import decode, too_large

CHUNK = 64
"""Images decoded ahead, at the most."""

CHUNK_PIXELS = 300_000_000
"""Of the images decoded ahead, if they are as large as those before them."""

Steps = Callable[[], Iterator[tuple[str, list[int]]]]
Place = tuple[int, int]
"""Number of the source, and of the image in it."""


class UndecidedImages:
    """The images of some sources that are not decided yet; ``counts`` of those that are, by state.

    Raises:
        DatasetError: a source is not what it was when the store was begun; the message says what changed.
    """

    def __init__(self, sources: Sequence[OpenSource], store: CurationStore, *, exif: bool) -> None:
        self._sources, self._store, self._exif = sources, store, exif
        self.total = sum(len(source.images) for source in sources)
        self._decided: set[str] = set()
        self._begun: dict[str, ImageRecord] = {}
        self.counts: Counter[str] = Counter()
        for record in store.images():
            if record.state in ("solved", "hard"):
                self._decided.add(record.id)
                self.counts[record.state] += 1
            else:
                self._begun[record.id] = record
        for source in sources:
            self._check(source)
        store.remember(sizes=json.dumps({source.spec.id: len(source.images) for source in sources}))

    def progress(self, crops: int, start: float) -> FilterProgress:
        """Where the run stands, after so many ``crops``, begun at ``start`` (``time.perf_counter``)."""
        decided = (self.counts["solved"], self.counts["hard"], self.counts["failed"])
        return FilterProgress(self.total, *decided, crops, time.perf_counter() - start)

    def places(self) -> Iterator[Place]:
        """Where the undecided images are, in the order of the sources."""
        return (
            (number, row)
            for number, source in enumerate(self._sources)
            for row, id in enumerate(source.images.ids)
            if id not in self._decided
        )

    def begun(self, id: str) -> ImageRecord | None:
        """What the store knows of an undecided image, with its views."""
        record = self._begun.get(id)
        return None if record is None else replace(record, views=self._store.views(id))

    def candidates(self, pool: ThreadPoolExecutor, steps: Steps) -> Iterator[Candidate | ImageRecord]:
        """Undecided images in the order of the sources; a record in place of one that cannot be read."""
        places, ahead = self.places(), CHUNK // 8
        while chunk := list(islice(places, ahead)):
            ready = list(pool.map(lambda place: self._prepare(place, steps), chunk))
            largest = max((_pixels(found) for found in ready), default=1)
            ahead = max(1, min(CHUNK, CHUNK_PIXELS // largest))
            yield from map(self._resumed, ready)

    def again(self, records: Sequence[ImageRecord], steps: Steps) -> Iterator[Candidate | ImageRecord]:
        """Some images once more, after ``reopened``."""
        wanted = {record.id for record in records}
        for number, source in enumerate(self._sources):
            for row, id in enumerate(source.images.ids):
                if id in wanted:
                    yield self._resumed(self._prepare((number, row), steps))

    def finished(self, record: ImageRecord) -> None:
        """Count an image that is decided now."""
        if record.state in ("solved", "hard"):
            self._decided.add(record.id)
        self.counts[record.state] += 1

    def reopened(self, records: Sequence[ImageRecord]) -> None:
        """Images that were hard are undecided again."""
        self.counts["hard"] -= len(records)
        self._decided -= {record.id for record in records}
        self._begun.update({record.id: record for record in records})

    def _prepare(self, place: Place, steps: Steps) -> Candidate | ImageRecord:
        """One image, in a thread of the pool: decoded, with what the store knows of it."""
        number, row = place
        source = self._sources[number]
        id, labels = source.images.ids[row], source.images.labels[row]
        before = self._begun.get(id)
        record = ImageRecord(id, source.spec.id, labels, "")
        try:
            data = source.images[row].image
            record.sha256 = hashlib.sha256(data).hexdigest()
            if before is not None and before.state == "open" and before.sha256 != record.sha256:
                raise changed(source, [id])
            image = to_rgb(decode(data, id=id, exif=self._exif))
        except (ImageError, OSError) as error:
            record.state, record.error = "failed", str(error)
            return record
        except MemoryError:
            record.state, record.error = "failed", str(too_large(id))
            return record
        return Candidate(record, source.mask, image, steps())

    def _resumed(self, found: Candidate | ImageRecord) -> Candidate | ImageRecord:
        """With what an earlier run found out of the same bytes."""
        if isinstance(found, Candidate):
            before = self._begun.get(found.record.id)
            if before is not None and before.sha256 == found.record.sha256:
                found.record.views = self._store.views(before.id)
                found.record.classifier, found.record.zoom = before.classifier, before.zoom
        return found

    def _check(self, source: OpenSource) -> None:
        """The source lists what it listed; if its files were touched, their content is hashed again."""
        name, images = source.spec.id, source.images
        now, before = listing(images.ids, images.labels), self._store.fact(f"listing:{name}")
        state = images.about.state
        if before is not None and before != now:
            raise _other_listing(source, {r.id: r.labels for r in self._store.images(source=name)})
        if before is not None and self._store.fact(f"state:{name}") != state:
            known = {r.id: r.sha256 for r in self._store.images(source=name) if r.state != "failed"}
            rows = [row for row, id in enumerate(images.ids) if id in known]
            with ThreadPoolExecutor(8, "hash") as pool:
                digests = pool.map(lambda row: hashlib.sha256(images[row].image).hexdigest(), rows)
                bad = [
                    images.ids[row]
                    for row, sha in zip(rows, digests, strict=True)
                    if sha != known[images.ids[row]]
                ]
            if bad:
                raise changed(source, bad)
        self._store.remember(**{f"listing:{name}": now, f"state:{name}": state})


def _pixels(found: Candidate | ImageRecord) -> int:
    return found.image.width * found.image.height if isinstance(found, Candidate) else 1


def changed(source: OpenSource, ids: Sequence[str]) -> DatasetError:
    """Images whose bytes are not those that were scored."""
    return DatasetError(
        f"the source {source.spec.id} has changed since it was scored: {len(ids)} images have other bytes "
        f"({shorten_list(ids, 5)}). Restore them, or score into another --work folder"
    )


def _other_listing(source: OpenSource, known: dict[str, tuple[int, ...]]) -> DatasetError:
    now = dict(zip(source.images.ids, source.images.labels, strict=True))
    gone = [id for id in known if id not in now]
    relabelled = [id for id in known if id in now and now[id] != known[id]]
    what = [f"{len(gone)} scored images are gone ({gone[0]}, ...)"] if gone else []
    what += [f"{len(relabelled)} have other labels ({relabelled[0]}, ...)"] if relabelled else []
    what += [] if what else ["images were added, left out or relabelled"]
    return DatasetError(
        f"the source {source.spec.id} has changed since scoring began: {'; '.join(what)}. Restore it, or "
        "score into another --work folder"
    )
