"""ObjectNet: 113 of its 313 classes map to ImageNet, some to several; a red frame is cut off.

The cropped images are the only ones whose bytes are not the source's own: the frame marks images
that must not be trained on, and is no part of the picture. They are encoded again as RGB PNG without loss.
"""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from imagenet_hard.base.errors import DatasetError, ImageError
from imagenet_hard.base.files import MAX_JSON_BYTES, read_bounded
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.listing import Listing, file_of, folder_of, images_of, recognise
from imagenet_hard.dataset.class_folders import check_depth, check_one_set, places
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.files import File, read_file, state
from imagenet_hard.imagenet.classes import objectnet_classes
from imagenet_hard.imagenet.variants import VARIANTS


def objectnet(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """Folders named as in the release (``alarm_clock/``), or a flat folder with ``labels``: a JSON
    file of ObjectNet's class numbers by file name. Images of unmapped classes are left out and counted.

    Raises:
        DatasetError: another variant, or no image of a mapped class.
    """
    folder = folder_of(spec, root)
    images, seen = images_of(folder)
    if spec.labels is not None:
        found = _by_number(images, file_of(spec.labels, root, "labels"))
    else:
        by_folder = {c.folder: c.indices for c in objectnet_classes()}
        outer = places(images, by_folder.__contains__)
        check_one_set(folder, outer)
        check_depth(folder, images, outer)
        found = {f.id: by_folder[f.parts[len(outer[f.id])]] for f in images if f.id in outer}
    kept = [file for file in images if file.id in found]
    if not kept:
        seems = recognise(images)
        raise DatasetError(
            f"{folder} has no image of the 113 ObjectNet classes that ImageNet knows. Expected "
            f"{VARIANTS[spec.variant].expected}, or `labels:` with ObjectNet's class numbers. It looks "
            f"like {seems}"
        )
    unmapped = len(images) - len(kept)
    notes = [f"{unmapped:,} images of classes that ImageNet does not know are left out"] if unmapped else []
    notes += seen
    paths = [file.path for file in kept]
    listing = Listing(
        str(folder),
        [f.id for f in kept],
        [found[f.id] for f in kept],
        lambda i: read_file(paths, i),
        state(kept),
        tuple(notes),
    )
    return unframed(listing, spec.border, exif)


def unframed(listing: Listing, border: int, exif: bool) -> Listing:
    """The images without their frame, which is said."""
    if border == 0:
        return listing
    return replace(
        listing,
        read=lambda i: without_border(listing.read(i), border, listing.names[i], exif=exif),
        notes=(*listing.notes, f"{border} pixels are cut off at each side"),
    )


def without_border(data: bytes, border: int, id: str = "", *, exif: bool = False) -> bytes:
    """An encoded image without ``border`` pixels at each side, as RGB PNG; 0 leaves the bytes alone.

    With ``exif`` it is turned first: the PNG has no orientation of its own.

    Raises:
        ImageError: nothing would be left, or the image cannot be decoded.
    """
    if border == 0:
        return data
    image = decode(data, id=id, exif=exif).convert("RGB")
    if min(image.size) <= 2 * border:
        raise ImageError(
            f"image {id!r} is {image.width} x {image.height}: nothing is left without {border} pixels at "
            "each side; change `border:` in the recipe"
        )
    out = BytesIO()
    box = (border, border, image.width - border, image.height - border)
    image.crop(box).save(out, "PNG", compress_level=6)
    return out.getvalue()


def _by_number(images: list[File], path: Path) -> dict[str, tuple[int, ...]]:
    """Labels of a flat folder from ObjectNet's class numbers; unmapped classes are left out."""
    try:
        table = json.loads(read_bounded(path, MAX_JSON_BYTES, error=DatasetError))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(table, dict) or not all(type(n) is int and 0 <= n < 313 for n in table.values()):
        raise DatasetError(
            f"{path}: expected a JSON object of file names and ObjectNet class numbers in 0..312"
        )
    by_number = {c.id: c.indices for c in objectnet_classes()}
    missing = [file.id for file in images if file.parts[-1] not in table]
    if missing:
        raise DatasetError(f"{path} lacks {len(missing)} of {len(images)} images (first {missing[0]})")
    return {f.id: by_number[n] for f in images if (n := table[f.parts[-1]]) in by_number}
