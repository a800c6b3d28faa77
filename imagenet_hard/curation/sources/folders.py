"""ImageNet, -ReaL, -V2, -A, -R and -Sketch: class folders, or a flat folder with a label file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.listing import (
    Listing,
    Recognised,
    file_of,
    folder_of,
    from_benchmark,
    images_of,
    recognise,
    stable_name,
)
from imagenet_hard.dataset.built import is_built
from imagenet_hard.dataset.files import walk
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.dataset.load import load_dataset
from imagenet_hard.imagenet.variants import VARIANTS


def imagenet(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """The validation images: wnid folders, a flat folder with its ground truth, or built Parquet.

    Raises:
        DatasetError: another variant, or labels that fit nothing.
    """
    folder = folder_of(spec, root)
    if spec.labels is None and not is_built(folder, walk(folder)):
        found = recognise(images_of(folder)[0])
        # ImageNet-C is made of these images too, so the spec's own variant may be another.
        _expect("imagenet", folder, found, found.kind in ("wnids", "flat"))
        if found.kind == "flat":
            raise DatasetError(
                f"{folder} is a flat folder of images: give their ground truth with `labels:` (val.txt, a "
                "CSV or a JSON file)"
            )
    labels = None if spec.labels is None else file_of(spec.labels, root, "labels")
    return from_benchmark(load_dataset(folder, labels=labels, exif=exif, quiet=True), str(folder))


def class_folders(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """ImageNet-A, -R and -Sketch by wnid; -V2 from folders 0 to 999, in the order of their numbers.

    Raises:
        DatasetError: folders of another variant.
    """
    folder = folder_of(spec, root)
    found = recognise(images_of(folder)[0])
    _expect(spec.variant, folder, found, found.kind == spec.layout)
    return from_benchmark(load_dataset(folder, exif=exif, quiet=True), str(folder))


def _expect(variant: str, folder: Path, found: Recognised, right_kind: bool) -> None:
    """The folder is of the right kind, and is not another variant as a whole."""
    if right_kind and (found.variant is None or found.variant == variant):
        return
    meant = (
        f": set `variant: {found.variant}`, or give another path" if found.variant else ": give another path"
    )
    raise DatasetError(
        f"{folder} does not look like {variant}, which has {VARIANTS[variant].expected}. It looks like "
        f"{found}{meant}"
    )


def imagenet_real(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """``labels``: real.json, a list by validation index as published, or any label file by name.

    Images whose list is empty are left out and counted, also from the union with
    ``original_labels`` (paper, section 3: a prediction is right if it is among either's labels).

    Raises:
        DatasetError: label files that do not fit the images.
    """
    assert spec.labels is not None
    folder = folder_of(spec, root)
    labels = file_of(spec.labels, root, "labels")
    listing = from_benchmark(load_dataset(folder, labels=labels, exif=exif, quiet=True), str(folder))
    if spec.original_labels is None:
        return listing
    path = file_of(spec.original_labels, root, "original_labels")
    table = read_label_file(path)
    original = {stable_name(f"{name}.x"): own for name, own in table.items()}
    original |= {stable_name(name): own for name, own in table.items()}
    missing = [name for name in listing.names if name not in original]
    if missing:
        raise DatasetError(
            f"{path} lacks the original label of {len(missing)} of {len(listing.names)} images "
            f"(first {missing[0]})"
        )
    united = [
        tuple(sorted({*own, *original[name]}))
        for name, own in zip(listing.names, listing.labels, strict=True)
    ]
    changed = sum(a != b for a, b in zip(united, listing.labels, strict=True))
    note = f"original labels were added to {changed:,} of {len(united):,} images"
    return replace(listing, labels=united, notes=(*listing.notes, note))
