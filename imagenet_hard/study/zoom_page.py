"""The page of one image under every zoom: a map of right and wrong, the best zoom, what the model saw."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.runtime import __version__
from imagenet_hard.base.types import ModelSpec
from imagenet_hard.base.web import (
    Inline,
    data_url,
    inline_policy,
    json_text,
    static_text,
    style_with_font,
    templates,
)
from imagenet_hard.imagenet.classes import names as class_names
from imagenet_hard.imagenet.zoom import ANCHORS
from imagenet_hard.study.gallery import SIDE
from imagenet_hard.study.zoom_map import ZoomMap

_PACKAGE = "imagenet_hard.study"

SPRITE_SIDE = 112
"""Of a crop in the picture of all crops, in pixels: half of what most models see."""

STEPS = 10
"""Of confidence, in the colours of the map."""


def write_zoom_page(path: Path, found: ZoomMap, model: ModelSpec, name: str) -> None:
    """Write the page of the image ``name``, one file that loads nothing.

    Raises:
        ResultError: the disk is full or read-only.
    """
    write_atomically(path, render(found, model, name).encode("utf-8", "replace"))


def render(found: ZoomMap, model: ModelSpec, name: str) -> str:
    """The page as HTML; no inline code runs but that whose hash it names."""
    before = [Inline(static_text("js/theme.js"))]
    after = [Inline(static_text("zoom.js", _PACKAGE))]
    style = Inline(style_with_font() + static_text("study.css", _PACKAGE) + static_text("zoom.css", _PACKAGE))
    grid, spoken = found.grid, class_names()
    shown = [found.best, *([grid.standard] if grid.has_standard and grid.standard != found.best else [])]
    html: str = (
        templates(_PACKAGE)
        .get_template("zoom.html.jinja")
        .render(
            name=name,
            model=f"{model.name} ({model.tag})" if model.tag else model.name,
            version=__version__,
            csp=inline_policy(style, *before, *after),
            style=style.code,
            before=[each.code for each in before],
            after=[each.code for each in after],
            labels=[spoken[each] for each in found.labels],
            n_right=int(found.right.sum()),
            n_zooms=len(grid),
            scales=[(scale, [_cell(found, row * len(ANCHORS) + i) for i in range(len(ANCHORS))])
                    for row, scale in enumerate(grid.scales)],
            size=found.image.size,
            frame=_frame(found, shown),
            whole=data_url("image/jpeg", _jpeg(_small(found.image))),
            views=[
                {**_cell(found, zoom), "box": grid.shown(zoom, found.image.size),
                 "crop": data_url("image/png", _png(_crop(found, zoom)))}
                for zoom in shown
            ],
            standard=grid.standard if grid.has_standard else None,
            best=found.best,
            sprite=data_url("image/jpeg", _jpeg(_sprite(found))),
            data=json_text({"rows": len(grid.scales), "columns": len(ANCHORS), "start": found.best}),
        )
    )  # fmt: skip
    return html


def _cell(found: ZoomMap, zoom: int) -> dict[str, object]:
    """What the map says of one zoom."""
    confidence = float(found.confidence[zoom])
    return {
        "zoom": zoom,
        "text": str(found.grid[zoom]),
        "class": class_names()[found.predicted[zoom]],
        "percent": f"{100 * confidence:.1f}",
        "step": min(STEPS - 1, int(STEPS * confidence)),
        "right": bool(found.right[zoom]) if found.labels else None,
    }


def _frame(found: ZoomMap, zooms: list[int]) -> tuple[float, float, float, float]:
    """(left, top, width, height) in pixels of the image that hold it and what ``zooms`` show."""
    boxes = [(0, 0, *found.image.size), *(found.grid.shown(zoom, found.image.size) for zoom in zooms)]
    left, top = (min(box[i] for box in boxes) for i in (0, 1))
    right, bottom = (max(box[i] + box[i + 2] for box in boxes) for i in (0, 1))
    return left, top, right - left, bottom - top


def _crop(found: ZoomMap, zoom: int) -> Image.Image:
    ((_, pixels),) = found.grid.crops(found.image, [zoom])
    return Image.fromarray(pixels)


def _sprite(found: ZoomMap) -> Image.Image:
    """All crops, small: a row for each scale, a column for each anchor."""
    side, columns = SPRITE_SIDE, len(ANCHORS)
    sheet = Image.new("RGB", (side * columns, side * len(found.grid.scales)))
    for zoom, pixels in found.grid.crops(found.image, range(len(found.grid))):
        small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)
        sheet.paste(small, (zoom % columns * side, zoom // columns * side))
    return sheet


def _small(image: Image.Image) -> Image.Image:
    scale = min(1, 2 * SIDE / max(image.size))
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
