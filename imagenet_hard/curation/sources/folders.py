"""ImageNet, -V2, -A, -R and -Sketch: class folders, or a flat folder with a label file."""

from __future__ import annotations

from pathlib import Path

from imagenet_hard.base.errors import DatasetError
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.listing import Listing, file_of, folder_of, from_benchmark, images_of
from imagenet_hard.curation.sources.looks import Look, look_of
from imagenet_hard.dataset.built import is_built
from imagenet_hard.dataset.files import walk
from imagenet_hard.dataset.load import load_dataset


def imagenet(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """The validation images: wnid folders, a flat folder with its ground truth, or built Parquet.

    Raises:
        DatasetError: another variant, or labels that fit nothing.
    """
    folder = folder_of(spec, root)
    if spec.labels is None and not is_built(folder, walk(folder)):
        look = look_of(images_of(folder).files)
        # ImageNet-C is made of these images too, so the spec's own variant may be another.
        _expect("imagenet", folder, look, look.kind in ("wnids", "flat"))
        if look.kind == "flat":
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
    look = look_of(images_of(folder).files)
    _expect(
        spec.variant, folder, look, look.kind == ("numbers" if spec.variant == "imagenet-v2" else "wnids")
    )
    return from_benchmark(load_dataset(folder, exif=exif, quiet=True), str(folder))


def _expect(variant: str, folder: Path, look: Look, right_kind: bool) -> None:
    """The folder is of the right kind, and is not another variant as a whole."""
    if right_kind and (look.variant is None or look.variant == variant):
        return
    meant = (
        f": set `variant: {look.variant}`, or give another path" if look.variant else ": give another path"
    )
    raise DatasetError(
        f"{folder} does not look like {variant}, {EXPECTED[variant]}. It looks like {look}{meant}"
    )


EXPECTED = {
    "imagenet": "which has 1000 wnid folders or flat ILSVRC2012_val_*.JPEG files",
    "imagenet-v2": "which has folders 0 to 999",
    "imagenet-a": "which has 200 wnid folders",
    "imagenet-r": "which has 200 wnid folders of files such as art_0.jpg",
    "imagenet-sketch": "which has 1000 wnid folders of files sketch_*.JPEG",
}
