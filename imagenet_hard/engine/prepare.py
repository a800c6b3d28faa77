"""The host's part of scoring: read, hash, decode once, and make each classifier's pixels, in threads.

On a CPU decoding and forward passes take turns, each on all cores: both are bound by the same
cores, and sharing them costs more (OpenMP threads wait for one another) than it hides. On an
accelerator the next images are decoded while it computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from imagenet_hard.base.errors import ClassifierError, ImageError
from imagenet_hard.base.types import Example
from imagenet_hard.dataset.decode import decode, too_large
from imagenet_hard.engine.store import Row

if TYPE_CHECKING:
    from PIL import Image

    from imagenet_hard.engine.forward import Predictor

CHUNK = 128
"""Images decoded ahead: enough that the last of them leaves no core idle for long."""

AHEAD = 1024
"""The same where the device computes meanwhile."""

KNOWN = object()
"""In place of pixels: the job has this row already."""

Task = Callable[[], Example]
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Prepared:
    """A decoded image. ``pixels``: for each job what its predictor takes, KNOWN, or what went wrong."""

    row: Row
    pixels: tuple[Any, ...]


Preparer = Callable[[Task], Prepared | str]


def preparer(predictors: Sequence[Predictor], known: Sequence[Mapping[str, Row]], *, exif: bool) -> Preparer:
    """What a decode thread does with one task; a text says why the image cannot be scored.

    ``known``: for each predictor the rows that need no second pass, if image and labels are the same still.
    """

    def prepare(task: Task) -> Prepared | str:
        try:
            example = task()
            row = Row.of(example)
            wanted = [rows.get(row.id) != row for rows in known]
            if not any(wanted):
                return Prepared(row, (KNOWN,) * len(known))
            image = _decoded(example, exif=exif)
        except (ImageError, OSError) as error:
            return str(error)
        pairs = zip(predictors, wanted, strict=True)
        return Prepared(row, tuple(_pixels(p, image, row) if want else KNOWN for p, want in pairs))

    return prepare


def _decoded(example: Example, *, exif: bool) -> Image.Image:
    try:
        return decode(example.image, id=example.id, exif=exif)
    except MemoryError:  # of several large ones at once, perhaps: the others go on
        raise too_large(example.id) from None


def _pixels(predictor: Predictor, image: Image.Image, row: Row) -> Any:
    try:
        return predictor.prepare(image, row.image_sha256)
    except ClassifierError as error:
        return ClassifierError(f"image {row.id!r}: {error}")
    except Exception as cause:
        wrong = ClassifierError(
            f"the transform failed on image {row.id!r} "
            f"({image.mode}, {image.width} x {image.height}): {type(cause).__name__}: {cause}"
        )
        wrong.__cause__ = cause
        return wrong


def in_turns(
    pool: ThreadPoolExecutor, prepare: Callable[[S], T], tasks: Iterator[S], limit: int | None = None
) -> Iterator[T]:
    """Decode a chunk on all cores, then hand it out while no decoder runs."""
    while chunk := list(islice(tasks, limit or CHUNK)):
        yield from list(pool.map(prepare, chunk))


def overlapped(
    pool: ThreadPoolExecutor, prepare: Callable[[S], T], tasks: Iterator[S], limit: int | None = None
) -> Iterator[T]:
    """Keep a bounded number of images decoding while the consumer computes; the first begin at once."""
    pending = deque(pool.submit(prepare, task) for task in islice(tasks, limit or AHEAD))

    def results() -> Iterator[T]:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(prepare, task) for task in islice(tasks, 1))
            yield result

    return results()
