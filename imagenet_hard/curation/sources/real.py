"""ImageNet-ReaL: the validation images under reassessed labels, alone or united with the original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.listing import Listing, file_of, folder_of, from_benchmark, stable_name
from imagenet_hard.dataset.label_files import read_label_file
from imagenet_hard.dataset.load import load_dataset


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
    original = {stable_name(f"{name}.x"): own for name, own in read_label_file(path).items()}
    original |= {stable_name(name): own for name, own in read_label_file(path).items()}
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
