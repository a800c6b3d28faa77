"""The ground truth of ImageNet's 50,000 validation images, as files that hold nothing but labels have it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from imagenet_hard.base.types import N_CLASSES
from imagenet_hard.imagenet.classes import devkit_order, wnid_to_index

N_VALIDATION = 50_000
VALIDATION = "ILSVRC2012_val_{:08d}"
"""Names of the validation images without their ending; they count from 1."""

_SHA256 = "98a8901d9451abefb286c3a7f2ac88321a17d691fa44809acbbf1e7f77187a7d"
"""Of the 50,000 class indices in the order of the images, one a line, without a last line end."""


def ground_truth(labels: Sequence[str]) -> list[int] | None:
    """The 50,000 class indices that bare labels in the order of the images stand for.

    They may be wnids, class indices, these counted from 1, or the development kit's ids (its
    ILSVRC2012_validation_ground_truth.txt): whichever gives the known ground truth, as a hash proves.
    None: they are not the ground truth, whatever they are.
    """
    if len(labels) != N_VALIDATION:
        return None
    for indices in _meanings(labels):
        if hashlib.sha256("\n".join(map(str, indices)).encode()).hexdigest() == _SHA256:
            return indices
    return None


def _meanings(labels: Sequence[str]) -> Iterator[list[int]]:
    index = wnid_to_index()
    if all(label.lower() in index for label in labels):
        yield [index[label.lower()] for label in labels]
    if all(re.fullmatch(r"\d{1,9}(\.0*)?", label) for label in labels):
        numbers = [int(label.partition(".")[0]) for label in labels]
        if max(numbers) < N_CLASSES:
            yield numbers
        elif min(numbers) > 0 and max(numbers) == N_CLASSES:
            yield [number - 1 for number in numbers]
            yield [devkit_order()[number - 1] for number in numbers]


def validation_number(name: str) -> int | None:
    """5 of ``ILSVRC2012_val_00000005``, whatever folder and ending it has."""
    match = re.search(r"ILSVRC2012_val_(\d{8})\b", name)
    return int(match[1]) if match else None
