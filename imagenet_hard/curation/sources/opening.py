"""From a recipe's source to its labelled images: one reader per layout, one set of checks for all."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_hard.base.errors import DatasetError, ImageNetHardError
from imagenet_hard.base.text import shorten_list
from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.curation.recipe import Recipe, SourceSpec
from imagenet_hard.curation.records import OpenSource
from imagenet_hard.curation.sources import folders, imagenet_c, objectnet
from imagenet_hard.curation.sources.listing import Listing, hub_listing
from imagenet_hard.dataset.benchmark import Benchmark, Source
from imagenet_hard.imagenet.classes import wnids
from imagenet_hard.imagenet.variants import MASKS, Layout, mask

READERS: Mapping[Layout, Callable[[SourceSpec, Path, bool], Listing]] = {
    "validation": folders.imagenet,
    "relabelled": folders.imagenet_real,
    "wnids": folders.class_folders,
    "numbers": folders.class_folders,
    "corruptions": imagenet_c.imagenet_c,
    "objects": objectnet.objectnet,
}
"""Layout of a variant -> what reads its folder."""

SHOWN = 5


def open_source(spec: SourceSpec, root: Path, *, exif: bool = False) -> OpenSource:
    """List the images and labels of one source; no image is read.

    ``root``: what relative paths of ``spec`` are relative to. Every id is ``<spec.id>/<stable name>``,
    the same for all layouts of ImageNet's validation images.

    Raises:
        DatasetError: missing, empty, unlabelled, another variant than it claims to be, or with labels
            that its mask does not have; the message begins with the source's id.
    """
    try:
        if spec.hub is None:
            listing = READERS[spec.layout](spec, root, exif)
        elif spec.layout == "objects":
            listing = objectnet.unframed(hub_listing(spec, exif), spec.border, exif)
        else:
            listing = hub_listing(spec, exif)
        return _checked(spec, listing, exif)
    except ImageNetHardError as error:
        raise DatasetError(f"{spec.id}: {error}") from error


def open_sources(recipe: Recipe, root: Path) -> list[OpenSource]:
    """All sources of a recipe, in its order.

    Raises:
        DatasetError: one or more cannot be opened; all of them are named.
    """
    opened, problems = [], []
    for spec in recipe.sources:
        try:
            opened.append(open_source(spec, root, exif=recipe.exif))
        except DatasetError as error:
            problems.append(str(error))
    if len(problems) == 1:
        raise DatasetError(problems[0])
    if problems:
        raise DatasetError(
            f"{len(problems)} of {len(recipe.sources)} sources cannot be opened:\n  " + "\n  ".join(problems)
        )
    return opened


def _checked(spec: SourceSpec, listing: Listing, exif: bool) -> OpenSource:
    """The listing under its ids, with its mask, its notes and its limit."""
    if not listing.names:
        raise DatasetError(f"no labelled image in {listing.where}")
    _unique(listing.names, listing.where)
    rows = _within(spec.limit, listing)
    names = [listing.names[row] for row in rows]
    labels = [listing.labels[row] for row in rows]
    allowed = mask(spec.mask_name) if spec.mask_name != "none" else None
    if allowed is not None:
        _fits(spec, names, labels, allowed)
    notes = [*listing.notes, *_coverage(spec, labels)]
    if len(rows) < len(listing.names):
        notes.append(f"{len(rows):,} of {len(listing.names):,} images, spread over {_kinds(listing)} (limit)")
    images = Benchmark(
        Source(spec.id, listing.source, listing.revision, exif=exif, state=listing.state),
        [f"{spec.id}/{name}" for name in names],
        labels,
        [spec.id] * len(rows),
        lambda i: listing.read(rows[i]),
    )
    return OpenSource(spec, images, allowed, tuple(notes))


def _within(limit: int | None, listing: Listing) -> list[int]:
    """The rows that a limit takes."""
    n = len(listing.names)
    classes = [min(own) for own in listing.labels]
    return spread(listing.names, classes, listing.parts or [""] * n, n if limit is None else limit)


def _kinds(listing: Listing) -> str:
    return "classes, corruptions and severities" if listing.parts else "classes"


def _unique(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DatasetError(
                f"{where} has two images that are {name!r}: the same image twice in different folders? "
                "Remove one"
            )
        seen.add(name)


def _fits(
    spec: SourceSpec, names: list[str], labels: list[tuple[int, ...]], allowed: NDArray[np.bool_]
) -> None:
    """Every image has a label among the classes that are scored over."""
    bad = [i for i, own in enumerate(labels) if not allowed[list(own)].all()]
    if bad:
        wrong = sorted({wnids()[c] for i in bad for c in labels[i] if not allowed[c]})
        raise DatasetError(
            f"the mask {spec.mask_name} does not fit: {len(bad)} of {len(names)} images have labels outside "
            f"of its {int(allowed.sum())} classes ({shorten_list(wrong, SHOWN)}; first image "
            f"{names[bad[0]]}). Change `mask:` or `variant:` in the recipe"
        )


def _coverage(spec: SourceSpec, labels: list[tuple[int, ...]]) -> list[str]:
    """What a partial set lacks."""
    present = {c for own in labels for c in own}
    expected = set(MASKS[spec.mask_name]()) if spec.mask_name != "none" else set(range(N_CLASSES))
    missing = sorted(expected - present)
    if not missing:
        return []
    shown = shorten_list([wnids()[c] for c in missing], SHOWN)
    return [f"{len(expected) - len(missing)} of {len(expected)} classes have images; missing are {shown}"]


def spread(names: Sequence[str], classes: Sequence[int], parts: Sequence[str], limit: int) -> list[int]:
    """Rows of ``limit`` images, rising.

    ``parts[i]``: what a source is made of besides classes, such as ``fog/3``. Parts take turns; each takes
    an image of a class of which there are fewest so far. So parts differ by one image at most, and so do
    classes, until a part has no more images of one. Ties, and images within a class, are settled by hashes
    of names: the same files give the same rows in whatever order or place they lie.
    """
    if limit >= len(names):
        return list(range(len(names)))
    known = sorted(set(classes), key=lambda index: _hash(f"class {index}"))
    place = {index: number for number, index in enumerate(known)}
    piles: dict[str, dict[int, deque[int]]] = defaultdict(lambda: defaultdict(deque))
    for row in sorted(range(len(names)), key=lambda row: _hash(names[row])):
        piles[parts[row]][place[classes[row]]].append(row)
    left = {part: np.zeros(len(known), np.int64) for part in sorted(piles, key=_hash)}
    for part, pile in piles.items():
        for number, rows in pile.items():
            left[part][number] = len(rows)
    taken = np.zeros(len(known), np.int64)
    turns, chosen = deque(left), list[int]()
    while len(chosen) < limit:
        part = turns.popleft()
        number = int(np.where(left[part] > 0, taken, limit).argmin())
        chosen.append(piles[part][number].popleft())
        taken[number] += 1
        left[part][number] -= 1
        if left[part].any():
            turns.append(part)
    return sorted(chosen)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
