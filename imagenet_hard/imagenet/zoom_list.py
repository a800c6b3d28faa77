"""A list of zooms as a CSV file, best first: a cover that the study found, for whoever wants to look there.

Columns ``scale,row,column`` as in ``Zoom``, for crops of 224 pixels; any others are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from imagenet_hard.base.errors import UsageError
from imagenet_hard.base.tables import CsvRow, read_csv
from imagenet_hard.imagenet.zoom import ANCHORS, Zoom, ZoomGrid

COLUMNS = ("scale", "row", "column")

MAX_BYTES, MAX_ZOOMS, MAX_SCALE = 2**20, 10_000, 16_384
"""Bounds on a file that came from elsewhere."""


def read_zoom_list(path: Path) -> tuple[Zoom, ...]:
    """The zooms of a file in its order.

    Raises:
        UsageError: no such file, a missing column, a value out of range, a zoom twice, or none at all.
    """
    hint = "as in the cover.csv that `imagenet-hard study report` writes"
    _, rows = read_csv(path, COLUMNS, more=True, limit=MAX_BYTES, error=UsageError, hint=hint)
    zooms = [_zoom(row) for row in rows]
    if len(zooms) > MAX_ZOOMS:
        raise UsageError(f"{path} holds more than {MAX_ZOOMS:,} zooms")
    if not zooms:
        raise UsageError(f"{path} holds no zoom: expected a line for each under {','.join(COLUMNS)}")
    if twice := [zoom for zoom in zooms if zooms.count(zoom) > 1]:
        raise UsageError(f"{path} holds {twice[0]} twice")
    return tuple(zooms)


def indices(zooms: Iterable[Zoom], grid: ZoomGrid) -> list[int]:
    """The numbers of zooms in ``grid``, whose crop may be of another size than 224.

    Raises:
        UsageError: a zoom's scale is not one of the grid's.
    """
    found = []
    for zoom in zooms:
        scale = ZoomGrid.for_size(grid.size, [zoom.scale]).scales[0]
        if scale not in grid.scales:
            raise UsageError(f"{zoom} is not in the grid of scales {', '.join(map(str, grid.scales))}")
        found.append(grid.scales.index(scale) * len(ANCHORS) + ANCHORS.index((zoom.row, zoom.column)))
    return found


def _zoom(row: CsvRow) -> Zoom:
    try:
        zoom = Zoom(*map(int, row.cells))
    except ValueError:
        got = ", ".join(f"{name}={cell!r}" for name, cell in zip(COLUMNS, row.cells, strict=True))
        raise UsageError(f"{row.place}: got {got}, expected whole numbers") from None
    if not 1 <= zoom.scale <= MAX_SCALE or (zoom.row, zoom.column) not in ANCHORS:
        raise UsageError(
            f"{row.place}: got {zoom}, expected a scale of 1 to {MAX_SCALE} and a row and column of 0 to 2"
        )
    return zoom
