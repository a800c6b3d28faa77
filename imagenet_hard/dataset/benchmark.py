"""A benchmark: labelled images in a fixed order, their bytes read on demand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.base.types import BenchmarkInfo, Example, Selection, part_name
from imagenet_hard.dataset.fingerprint import fingerprint


@dataclass(frozen=True)
class Source:
    """Where a benchmark comes from, and how its images are to be decoded.

    ``name``: what reports call it; ``source``: a Hub id, "folder" or "package", never a local
    path; ``revision``: the Hub commit; ``exif``: pass it to ``decode``; ``counts``: what was seen
    and left out, by kind (see ``left_out``); ``notes``: sentences on how it was read; ``state``: a
    string that changes whenever the files behind the benchmark do.
    """

    name: str
    source: str
    revision: str | None = None
    split: str | None = None
    exif: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    state: str = ""
    notes: tuple[str, ...] = ()


class Benchmark:
    """Random access to ``n`` examples: ``ids``, ``labels`` and ``origins`` are in memory, images are not.

    ``ids[i]`` is unique, ``labels[i]`` a sorted tuple of class indices in 0..999, ``origins[i]``
    the variant ("" where there is one only). ``limit`` is set where only the first examples of a
    larger benchmark are left, ``selection`` where only chosen ones are.
    """

    def __init__(
        self,
        about: Source,
        ids: Sequence[str],
        labels: Sequence[tuple[int, ...]],
        origins: Sequence[str],
        read: Callable[[int], bytes],
        limit: int | None = None,
        selection: Selection | None = None,
    ) -> None:
        self.about = about
        self.limit, self.selection = limit, selection
        self._ids, self._labels, self._origins = tuple(ids), tuple(labels), tuple(origins)
        self._read = read

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.about.name

    @property
    def source(self) -> str:
        """A Hub id, "folder" or "package"."""
        return self.about.source

    @property
    def exif(self) -> bool:
        """Whether ``decode`` is to turn the images by their EXIF orientation."""
        return self.about.exif

    @property
    def revision(self) -> str | None:
        """The Hub commit, where there is one."""
        return self.about.revision

    @property
    def split(self) -> str | None:
        """The split that was read, where there are splits."""
        return self.about.split

    @property
    def counts(self) -> Mapping[str, int]:
        """What was seen and left out when the benchmark was read."""
        return self.about.counts

    @property
    def part(self) -> str:
        """What of the whole it is, for names of files: "" for all of it."""
        return part_name(self.limit, self.selection)

    @property
    def ids(self) -> tuple[str, ...]:
        """Unique, in the order of iteration."""
        return self._ids

    @property
    def labels(self) -> tuple[tuple[int, ...], ...]:
        """Class indices in 0..999, sorted, one or more per example."""
        return self._labels

    @property
    def origins(self) -> tuple[str, ...]:
        """The variant that each image came from, or ""."""
        return self._origins

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Example:
        """Read one example.

        Raises:
            IndexError: there is no such example.
            ImageError: its bytes cannot be read.
        """
        index = range(len(self))[index]
        try:
            image = self._read(index)
        except OSError as error:
            reason = error.strerror or f"{type(error).__name__}: {error}"
            raise ImageError(f"image {self.ids[index]!r} of {self.name} cannot be read: {reason}") from error
        return Example(self.ids[index], image, self.labels[index], self.origins[index])

    def __iter__(self) -> Iterator[Example]:
        return (read() for read in self.tasks())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} from {self.source}>"

    def tasks(self) -> Iterator[Callable[[], Example]]:
        """One reader per example, in order, for worker threads."""
        for index in range(len(self.ids)):
            yield partial(self.__getitem__, index)

    def tasks_of_some(self, n: int) -> list[Callable[[], Example]]:
        """Readers of ``n`` examples from all over it, in its order.

        They are chosen by a hash of their ids, so that they stay the same when others come or go.
        """
        by_hash = sorted(
            range(len(self)), key=lambda i: hashlib.sha256(self.ids[i].encode(errors="replace")).digest()
        )
        return [partial(self.__getitem__, index) for index in sorted(by_hash[:n])]

    def take(self, n: int) -> Benchmark:
        """The first ``n`` examples; the benchmark itself where it has no more.

        Raises:
            UsageError: ``n`` is less than 1.
        """
        at_least_one(n)
        if n >= len(self):
            return self
        return self._rows(range(n), n, self.selection)

    def select(self, rows: Sequence[int], selection: Selection) -> Benchmark:
        """The examples ``rows``, in this order; the benchmark itself where that is all of it."""
        if list(rows) == list(range(len(self))):
            return self
        return self._rows(rows, self.limit, selection)

    def _rows(self, rows: Sequence[int], limit: int | None, selection: Selection | None) -> Benchmark:
        return Benchmark(
            self.about,
            [self.ids[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.origins[row] for row in rows],
            partial(_at, self._read, rows),
            limit,
            selection,
        )

    def identity(self) -> str:
        """A cheap sha256 that changes with ids, labels, revision, options or the files; reads no image."""
        about = self.about
        head: list[object] = [about.source, about.revision, about.split, self.limit, about.exif, about.state]
        if self.selection is not None:  # keys from before there were any stay theirs
            head.append(self.selection.model_dump(mode="json"))
        digest = hashlib.sha256(json.dumps(head).encode())
        for row in self._identity_rows():
            digest.update(json.dumps(row).encode() + b"\n")
        return digest.hexdigest()

    def _identity_rows(self) -> Iterable[object]:
        return zip(self.ids, self.labels, self.origins, strict=True)

    def fingerprint(self) -> str:
        """The sha256 of ids, labels and image bytes that results name; reads every image."""
        return fingerprint((e.id, e.labels, hashlib.sha256(e.image).hexdigest()) for e in self)

    def info(self, fingerprint: str) -> BenchmarkInfo:
        """The record of this benchmark for a result."""
        return BenchmarkInfo(
            name=self.name,
            source=self.source,
            revision=self.revision,
            split=self.split,
            n=len(self),
            limit=self.limit,
            selection=self.selection,
            fingerprint=fingerprint,
            left_out=dict(self.counts),
        )


def _at(read: Callable[[int], bytes], rows: Sequence[int], i: int) -> bytes:
    return read(rows[i])


def at_least_one(n: int) -> None:
    """Check the number of examples to keep.

    Raises:
        UsageError: it is less than 1.
    """
    if n < 1:
        raise UsageError(f"the limit is {n}: expected the number of examples to keep, 1 or more")


class StreamedError(DatasetError, TypeError):
    """What a stream cannot tell beforehand. A TypeError too, or ``list(stream)`` would stop at ``len``."""


class StreamingBenchmark(Benchmark):
    """The same examples as they arrive: nothing is stored, and only iteration is possible.

    ``stream`` starts one pass over the checked rows: an id, and what makes its example. ``size`` is
    their number where the publisher states it; after one whole pass it is known anyway.
    """

    def __init__(
        self,
        about: Source,
        stream: Callable[[], Iterator[tuple[str, Callable[[], Example]]]],
        size: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.about = about
        self.limit, self.selection = limit, None
        self._stream, self._size = stream, size

    @property
    def ids(self) -> tuple[str, ...]:
        raise self._unknown("ids")

    @property
    def labels(self) -> tuple[tuple[int, ...], ...]:
        raise self._unknown("labels")

    @property
    def origins(self) -> tuple[str, ...]:
        raise self._unknown("origins")

    def __len__(self) -> int:
        """The number of examples, where the publisher states it or a whole pass has counted them.

        Raises:
            StreamedError: neither is so yet.
        """
        if self._size is None:
            raise self._unknown("length")
        return self._size if self.limit is None else min(self._size, self.limit)

    def __getitem__(self, index: int) -> Example:
        raise self._unknown(f"example number {index}")

    def tasks(self) -> Iterator[Callable[[], Example]]:
        """As ``Benchmark.tasks``; the bytes arrive with the iteration, so the tasks only hand them over."""
        seen = 0
        for _, task in self._stream():
            seen += 1
            yield task
            if seen == self.limit:
                break
        if self._size is None or seen < (self.limit or self._size):
            self._size = seen

    def tasks_of_some(self, n: int) -> list[Callable[[], Example]]:
        """The first ``n``: what comes later is not known yet."""
        return list(islice(self.tasks(), n))

    def take(self, n: int) -> StreamingBenchmark:
        at_least_one(n)
        if self.limit is not None or self._size is not None:
            known = min(x for x in (self.limit, self._size) if x is not None)
            if n >= known:
                return self
        return StreamingBenchmark(self.about, self._stream, self._size, limit=n)

    def _identity_rows(self) -> Iterable[object]:
        return ()

    def _unknown(self, what: str) -> StreamedError:
        return StreamedError(
            f"the {what} of a streamed data set cannot be known before it is read: {self.name} was opened "
            "with streaming=True. Iterate over it, or load it without streaming."
        )
