"""How often each of the paper's zooms solves an image: measured chances (``data/zoom_prior.csv``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.tables import package_csv
from imagenet_hard.imagenet.zoom import ANCHORS, Zoom


@cache
def measured_chances() -> Mapping[int, Sequence[float]]:
    """Scale for crops of 224 -> chance of each of its 9 anchors, in [0, 1]."""
    rows = package_csv("imagenet_hard.imagenet", "zoom_prior.csv")
    return {int(row["scale"]): [float(row[f"anchor{i}"]) for i in range(len(ANCHORS))] for row in rows}


def likeliest_zooms(n: int) -> tuple[Zoom, ...]:
    """The ``n`` zooms of the largest chance, largest first.

    Not a cover: zooms that solve the same images stand side by side. A study's ``cover.csv`` is one.

    Raises:
        UsageError: ``n`` is not 1 to 324.
    """
    rated = [
        (-chance, scale, row, column)
        for scale, chances in measured_chances().items()
        for (row, column), chance in zip(ANCHORS, chances, strict=True)
    ]
    if not 1 <= n <= len(rated):
        raise UsageError(f"{n} zooms: expected 1 to {len(rated)}, the paper's grid")
    return tuple(Zoom(*place) for _, *place in sorted(rated)[:n])
