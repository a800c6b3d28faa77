"""Copies of images: equal bytes, and near-copies, which perceptual hashes find and pixels confirm.

A near-copy is the same picture: resized, compressed, made brighter, cropped by a tenth, mirrored, or in a
border. Pictures that merely look alike agree in their coarse shapes; a copy agrees in its detail, once both
are aligned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from imagenet_hard.base.text import counted, shorten_list
from imagenet_hard.dataset.benchmark import Benchmark
from imagenet_hard.dataset.perceptual import (
    BITS,
    CONTENT,
    FIRST_PART,
    HASH_BYTES,
    INSTALL,
    MIRRORED,
    VIEWS,
    WHOLE,
    Box,
    ImageHash,
    hash_images,
    reduced,
    view_box,
)

NEAR_BITS = 80
"""Most bits in which the hashes of a candidate differ; 128 are expected of two pictures."""

NEAR_LOW_BITS = 16
"""Most of the 64 lowest frequencies: looked at first, since few pairs pass."""

BY_HASH_BITS = 64
"""Most bits where no pixels are there to confirm it."""

SIMILAR = 0.7
"""Least correlation of detail: planted copies 0.81 or more, the 300 nearest others 0.46 or less."""

Relation = Literal["identical bytes", "near-copy", "near-copy by hash"]


class Copy(NamedTuple):
    """``similarity``: 1 for equal bytes; the correlation of detail of near-copies; by hash alone the share of
    equal bits."""

    a: str
    b: str
    relation: Relation
    similarity: float


@dataclass(frozen=True)
class HashedImages:
    """Hashes of images in their order; ``images`` is None where only a file of hashes is there."""

    rows: Sequence[ImageHash]
    images: Benchmark | None = None

    @property
    def unread(self) -> tuple[str, ...]:
        """Ids of images that could not be decoded: nothing but their bytes was compared."""
        return tuple(row.id for row in self.rows if not row.views)


def find_copies(
    a: HashedImages, b: HashedImages | None = None, on_progress: Callable[[int], object] = lambda n: None
) -> list[Copy]:
    """The pairs of an image of ``a`` and a copy of it in ``b``, or in ``a`` itself: identical ones, then most
    similar first.

    Images of equal bytes are compared with others once, under the id that comes first. ``on_progress`` is
    told of the images of ``a`` that were compared.

    Raises:
        ImageError: an image is no longer what was hashed.
    """
    found = _identical(a.rows, None if b is None else b.rows)
    ours, theirs = _distinct(a), None if b is None else _distinct(b)
    other = ours if theirs is None else theirs
    pictures = _pictures(a), _pictures(a if b is None else b)
    for near in candidates(ours.views, None if theirs is None else theirs.views, on_progress):
        pair = ours.rows[near.i], other.rows[near.j]
        ids = pair[0].id, pair[1].id
        if pair[0].sha256 == pair[1].sha256:
            continue
        if pictures[0] is None or pictures[1] is None:
            if near.bits <= BY_HASH_BITS:
                found.append(Copy(*ids, "near-copy by hash", 1 - near.bits / BITS))
            continue
        similarity = agreement(
            pictures[0](ours.places[near.i]), near.view_i, pictures[1](other.places[near.j]), near.view_j
        )
        if similarity >= SIMILAR:
            found.append(Copy(*ids, "near-copy", similarity))
    return sorted(found, key=lambda copy: (copy.relation != "identical bytes", -copy.similarity, copy))


def copies_within(
    images: Benchmark, on_progress: Callable[[int], object] = lambda n: None
) -> list[Copy] | None:
    """The copies within one set; None where ImageHash is not installed. ``on_progress`` is told of the images
    that were hashed.

    Raises:
        ImageError: an image is no longer what was hashed.
    """
    if find_spec("imagehash") is None:
        return None
    rows = []
    for row in hash_images(images, range(len(images))):
        rows.append(row)
        on_progress(1)
    return find_copies(HashedImages(rows, images))


def explain_copies(copies: Sequence[Copy] | None) -> str:
    """What was found within a set, as a warning; "" where there is nothing to say."""
    if copies is None:
        return f"near-copies were not looked for: {INSTALL}"
    pairs = [f"{copy.a} = {copy.b} ({copy.similarity:.2f})" for copy in copies]
    what = counted(len(pairs), "pair shows the same picture", "pairs show the same picture")
    return f"{what}: {shorten_list(pairs)}" if pairs else ""


def _identical(a: Sequence[ImageHash], b: Sequence[ImageHash] | None) -> list[Copy]:
    """Images of equal bytes; within one set, each later one beside the first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in a if b is None else b:
        if row.sha256:
            groups[row.sha256].append(row.id)
    if b is None:
        pairs = [(ids[0], id) for ids in groups.values() for id in ids[1:]]
    else:
        pairs = [(row.id, id) for row in a for id in groups.get(row.sha256, ())]
    return [Copy(*pair, "identical bytes", 1.0) for pair in pairs]


class _Distinct(NamedTuple):
    """Images that could be decoded, one for all of equal bytes. ``places``: their rows in the whole;
    ``views``: uint64 (n, VIEWS, words)."""

    rows: list[ImageHash]
    places: list[int]
    views: NDArray[np.uint64]


def _distinct(hashed: HashedImages) -> _Distinct:
    first: dict[str, int] = {}
    for place, row in enumerate(hashed.rows):
        if row.views:
            first.setdefault(row.sha256, place)
    rows = [hashed.rows[place] for place in first.values()]
    views = np.frombuffer(b"".join(row.views for row in rows), np.uint64)
    return _Distinct(rows, [*first.values()], views.reshape(-1, VIEWS, HASH_BYTES // 8))


def _pictures(hashed: HashedImages) -> Callable[[int], Image.Image] | None:
    """The reduced images by their place, the last ones kept."""
    images = hashed.images
    if images is None:
        return None

    @lru_cache(maxsize=512)
    def picture(place: int) -> Image.Image:
        example = images[place]
        return reduced(example.image, example.id)

    return picture


class NearPair(NamedTuple):
    """Image ``i`` is near to image ``j`` under these views, which differ in ``bits`` bits."""

    i: int
    j: int
    bits: int
    view_i: int
    view_j: int


_PARTS = range(FIRST_PART, VIEWS)
COMPARED = (
    *((WHOLE, WHOLE), (WHOLE, CONTENT), (CONTENT, WHOLE), (CONTENT, CONTENT)),
    *((MIRRORED, WHOLE), (MIRRORED, CONTENT), (CONTENT, MIRRORED)),
    *((view, part) for view in (WHOLE, MIRRORED) for part in _PARTS),
    *((part, view) for view in (WHOLE, MIRRORED) for part in _PARTS),
)
"""Views that are compared. A mirror image is compared with the other image once; two parts never are."""

ROWS, COLUMNS = 16, 8192
"""Of a block of pairs: what is worked out for it stays in a core's cache."""


def candidates(
    a: NDArray[np.uint64],
    b: NDArray[np.uint64] | None = None,
    on_progress: Callable[[int], object] = lambda n: None,
) -> Iterator[NearPair]:
    """Pairs whose hashes are near, each once, under its nearest views; within ``a`` where there is no ``b``.

    ``a``, ``b``: uint64 (n, VIEWS, words), the first word of each hash the lowest frequencies.
    """
    other = a if b is None else b
    low = np.ascontiguousarray(other[:, :, 0].T)
    for start in range(0, len(a), ROWS):
        some = a[start : start + ROWS]
        nearest: dict[tuple[int, int], NearPair] = {}
        for first in range(0 if b is not None else start - start % COLUMNS, len(other), COLUMNS):
            columns = slice(first, first + COLUMNS)
            for view_i, view_j in COMPARED:
                few = np.bitwise_count(some[:, view_i, :1] ^ low[view_j, columns]) <= NEAR_LOW_BITS
                rows, places = np.divmod(np.flatnonzero(few), few.shape[1])
                i, j = start + rows, first + places
                if b is None:
                    i, j = i[i < j], j[i < j]
                bits = np.bitwise_count(a[i, view_i] ^ other[j, view_j]).sum(axis=1, dtype=np.int64)
                for k in np.flatnonzero(bits <= NEAR_BITS).tolist():
                    near = NearPair(int(i[k]), int(j[k]), int(bits[k]), view_i, view_j)
                    nearest[near[:2]] = min(near, nearest.get(near[:2], near), key=lambda each: each.bits)
        yield from sorted(nearest.values())
        on_progress(len(some))


DETAIL = 64
"""Side, in pixels, of what is compared."""

MARGIN = 0.05
"""Left out on each side of the smaller picture: what a border or JPEG leaves there."""

STEPS = (0.04, 0.02, 0.01, 0.005)
_MOVES = ((1, 0, 1, 0), (0, 1, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


def agreement(a: Image.Image, view_a: int, b: Image.Image, view_b: int) -> float:
    """How well two reduced images agree in their detail, in [0, 1], once one is aligned with the other.

    The views say where to begin: a part of one image shows what the other shows. Moved and stretched is the
    box in the image that shows more, while the correlation of the two grows.
    """
    large, small = (a, view_a), (b, view_b)
    if view_b >= FIRST_PART:
        large, small = small, large
    pixels = partial(_pixels, mirrored=MIRRORED in (view_a, view_b))
    target = pixels(small[0], _without_margin(view_box(*small)))
    image, box = large[0], _without_margin(view_box(*large))
    best = _correlation(_pixels(image, box), target)
    for step in STEPS:
        for move in _MOVES:
            for way in (step, -step):
                while (moved := _moved(box, move, way, image)) is not None:
                    reached = _correlation(_pixels(image, moved), target)
                    if reached <= best:
                        break
                    box, best = moved, reached
    return max(0.0, _correlation(_detail(_pixels(image, box)), _detail(target)))


def _without_margin(box: Box) -> Box:
    left, top, right, bottom = box
    x, y = MARGIN * (right - left), MARGIN * (bottom - top)
    return (left + x, top + y, right - x, bottom - y)


def _moved(box: Box, move: Sequence[int], way: float, image: Image.Image) -> Box | None:
    """The box with the sides in ``move`` shifted by a share of its size; None where it leaves the image, or
    has less than a quarter of its width or height."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top, right, bottom = (
        side + way * length * chosen
        for side, length, chosen in zip(box, (width, height, width, height), move, strict=True)
    )
    inside = left >= 0 and top >= 0 and right <= image.width and bottom <= image.height
    large = right - left >= image.width / 4 and bottom - top >= image.height / 4
    return (left, top, right, bottom) if inside and large else None


def _pixels(image: Image.Image, box: Box, mirrored: bool = False) -> NDArray[np.float32]:
    seen = image.resize((DETAIL, DETAIL), Image.Resampling.BILINEAR, box)
    return np.asarray(ImageOps.mirror(seen) if mirrored else seen, np.float32)


def _detail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left without the mean of 9 x 9 pixels."""
    from scipy.ndimage import uniform_filter

    found: NDArray[np.float32] = pixels - uniform_filter(pixels, 9)
    return found


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Pearson's; 0 where one of the two is of one grey."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / norm if norm > 1e-3 else 0.0
