"""ImageNet-C: as released (corruption/severity/wnid), or made on the fly from clean images."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_hard.base.errors import DatasetError, ImageError, UsageError
from imagenet_hard.base.text import reason
from imagenet_hard.classifiers.transform import Transform
from imagenet_hard.curation.recipe import SourceSpec
from imagenet_hard.curation.sources.folders import imagenet
from imagenet_hard.curation.sources.listing import Listing, folder_of, images_of, recognise, stable_name
from imagenet_hard.dataset.decode import decode
from imagenet_hard.dataset.files import read_file, state
from imagenet_hard.imagenet.classes import wnid_to_index
from imagenet_hard.imagenet.variants import VARIANTS

CLEAN = Transform(256, (224, 224), "bilinear")
"""What ImageNet-C does to an image before it corrupts it: resize to 256, crop the middle 224."""

JPEG_QUALITY = 85
"""At which ImageNet-C was saved."""

IMPULSE_AMOUNTS = (0.03, 0.06, 0.09, 0.17, 0.27)
"""Share of pixels that ImageNet-C's impulse noise replaces, by severity."""

_SEVERITY = re.compile(r"[1-5]")
# The corruptions draw from numpy's global generator: one at a time, or draws would mix.
_LOCK = threading.Lock()


def imagenet_c(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    """A tree of corruption/severity/wnid folders, of which ``corruptions`` and ``severities`` are taken.

    ``path`` may also be the folder of one corruption, or of one severity of it. With ``make`` it is a
    folder of clean validation images (any layout of ``imagenet``), which are corrupted when read.

    Raises:
        DatasetError: no such tree, or a corruption that is not in it.
        UsageError: an unknown corruption to make, or its package is missing.
    """
    return _made(spec, root, exif) if spec.make else _released(spec, root)


def _released(spec: SourceSpec, root: Path) -> Listing:
    folder = folder_of(spec, root).resolve()
    images, seen = images_of(folder)
    names, labels, files, parts_of = [], [], [], []
    present: set[str] = set()
    index = wnid_to_index()
    for file in images:
        parts = (*folder.parts[-2:], *file.parts)  # the path may begin inside of a corruption
        if len(parts) < 4 or parts[-2] not in index or not _SEVERITY.fullmatch(parts[-3]):
            continue
        corruption, severity, wnid, base = parts[-4:]
        present.add(corruption)
        if int(severity) in spec.severities and corruption in (spec.corruptions or (corruption,)):
            names.append(f"{corruption}/{severity}/{stable_name(f'{wnid}/{base}')}")
            labels.append((index[wnid],))
            files.append(file)
            parts_of.append(f"{corruption}/{severity}")
    if not present:
        raise DatasetError(
            f"{folder} does not look like {spec.variant}, which has {VARIANTS[spec.variant].expected}. It "
            f"looks like {recognise(images)}. To corrupt clean images on the fly, set `make: true`"
        )
    if lacking := sorted(set(spec.corruptions) - present):
        raise DatasetError(f"{folder} lacks {', '.join(lacking)}: it has {', '.join(sorted(present))}")
    left_out = len(images) - len(files)
    notes = [f"{left_out:,} images of other corruptions or severities are left out"] if left_out else []
    paths = [file.path for file in files]
    return Listing(
        str(folder),
        names,
        labels,
        lambda i: read_file(paths, i),
        state(files),
        (*notes, *seen),
        parts=parts_of,
    )


def _made(spec: SourceSpec, root: Path, exif: bool) -> Listing:
    known = corruptions()
    chosen = spec.corruptions or known
    if unknown := sorted(set(chosen) - set(known)):
        raise UsageError(f"unknown corruption {', '.join(unknown)}: expected some of {', '.join(known)}")
    clean = imagenet(spec, root, exif)
    rows = [
        (corruption, severity, i)
        for corruption in chosen
        for severity in spec.severities
        for i in range(len(clean.names))
    ]

    def read(row: int) -> bytes:
        corruption, severity, i = rows[row]
        return corrupt(clean.read(i), corruption, severity, f"{spec.seed}/{clean.names[i]}", exif=exif)

    return Listing(
        clean.where,
        [f"{corruption}/{severity}/{clean.names[i]}" for corruption, severity, i in rows],
        [clean.labels[i] for _, _, i in rows],
        read,
        clean.state,
        (*clean.notes, f"made from {len(clean.names):,} clean images"),
        parts=[f"{corruption}/{severity}" for corruption, severity, _ in rows],
    )


def corruptions() -> tuple[str, ...]:
    """The names of the corruptions that can be made.

    Raises:
        UsageError: the package that makes them is not installed.
    """
    try:
        import corrupt_tta
    except ImportError as error:
        raise UsageError(
            'ImageNet-C is made with the package corrupt-tta: pip install "imagenet-hard[corruptions]", '
            "or give a folder of the released images and no `make:`"
        ) from error
    return tuple(corrupt_tta.corruption_dict)


def corrupt(data: bytes, corruption: str, severity: int, key: str, *, exif: bool = False) -> bytes:
    """An encoded clean image as ImageNet-C would have it: JPEG of 224 x 224 pixels, quality 85.

    The same for the same ``key`` (image and seed), corruption and severity, in any order and thread.

    Raises:
        ImageError: the clean image cannot be decoded or corrupted.
    """
    import corrupt_tta

    pixels = CLEAN.pixels(decode(data, id=key, exif=exif))
    digest = hashlib.sha256(f"{corruption}/{severity}/{key}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    try:
        if corruption == "impulse_noise":
            found = _impulse_noise(pixels, severity, seed)
        else:
            with _seeded(seed):
                found = corrupt_tta.corrupt(pixels, severity=severity, corruption_name=corruption)
    except Exception as error:  # whatever the package and those below it raise is about this image
        raise ImageError(
            f"{corruption} of severity {severity} cannot be made of image {key!r}: {reason(error)}"
        ) from error
    out = BytesIO()
    Image.fromarray(np.asarray(found).astype(np.uint8)).save(
        out, "JPEG", quality=JPEG_QUALITY, optimize=False
    )
    return out.getvalue()


def _impulse_noise(pixels: np.ndarray, severity: int, seed: int) -> np.ndarray:
    """Salt and pepper. corrupt-tta's own draws from a generator that cannot be seeded."""
    from skimage.util import random_noise

    noisy = random_noise(pixels / 255.0, mode="s&p", amount=IMPULSE_AMOUNTS[severity - 1], rng=seed)
    return np.asarray(np.clip(noisy, 0, 1) * 255, np.float64)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """numpy's global generator at ``seed``, for this thread alone; afterwards as it was."""
    with _LOCK:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)
