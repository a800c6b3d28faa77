"""Where test-time augmentation looked: one HTML page with the views' boxes on the images."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from imagenet_hard.base.errors import ImageError, UsageError
from imagenet_hard.base.files import write_atomically
from imagenet_hard.base.web import data_url, templates
from imagenet_hard.classifiers.module_state import undisturbed
from imagenet_hard.classifiers.transform import to_rgb
from imagenet_hard.dataset.decode import decode
from imagenet_hard.engine.settings import RunSettings, resolve_device
from imagenet_hard.imagenet import classes
from imagenet_hard.tta.settings import TtaSettings
from imagenet_hard.tta.views import Box

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.dataset.benchmark import Benchmark

log = logging.getLogger(__name__)

IMAGES = 24
"""On one page."""

SHOWN_SIDE = 420
"""Longer side of a picture, in pixels."""

MARGIN = 40
"""Around a picture, where zooms reach beyond the image, in pixels."""


@dataclass(frozen=True)
class ShownImage:
    """One image: its views' boxes, and what the unadapted model says of each view.

    ``confidence``: of the class that the mean of the views predicts, in [0, 1], one for each box.
    """

    id: str
    image: Image.Image
    labels: tuple[int, ...]
    boxes: tuple[Box, ...]
    predicted: int
    probability: float
    confidence: tuple[float, ...]
    agreeing: int


def check_showable(tta: TtaSettings | None) -> None:
    """Refuse what has no boxes.

    Raises:
        UsageError: no augmentation, or the standard view alone.
    """
    if tta is None or tta.view == "standard":
        raise UsageError("--tta-show shows zoomed views: give --tta zoom, memo or zoom-memo as well")


def shown_images(
    classifier: Classifier, benchmark: Benchmark, tta: TtaSettings, settings: RunSettings
) -> Iterator[ShownImage]:
    """The first images of the benchmark; those that cannot be decoded are left to the evaluation to name."""
    from imagenet_hard.tta.zoomed import ZoomPredictor, log_mean

    predictor = ZoomPredictor(classifier, tta, settings, resolve_device(settings.device))
    for task in islice(benchmark.tasks(), IMAGES):
        try:
            example = task()
            image = decode(example.image, id=example.id, exif=benchmark.exif)
        except (ImageError, OSError):
            continue
        views = predictor.prepare(image, hashlib.sha256(example.image).hexdigest())
        assert views.boxes is not None
        with undisturbed(classifier.module):
            (logits,) = predictor.view_logits([views], [example.id])
        mean = log_mean(logits)
        best = int(mean.argmax())
        each = logits.softmax(dim=1)
        yield ShownImage(
            id=example.id,
            image=to_rgb(image),
            labels=example.labels,
            boxes=tuple(views.boxes),
            predicted=best,
            probability=float(mean.softmax(dim=0)[best]),
            confidence=tuple(each[:, best].tolist()),
            agreeing=int((each.argmax(dim=1) == best).sum()),
        )


def write_page(
    folder: Path, classifier: Classifier, benchmark: Benchmark, tta: TtaSettings, settings: RunSettings
) -> Path:
    """``where-MODEL-TTA.html`` in ``folder``, self-contained; its path.

    Raises:
        ResultError: the folder cannot be written.
    """
    cards = [
        {
            "id": shown.id,
            "picture": data_url("image/jpeg", _jpeg(draw(shown))),
            "predicted": _name(shown.predicted),
            "percent": f"{100 * shown.probability:.1f}",
            "right": shown.predicted in shown.labels,
            "labels": ", ".join(_name(label) for label in shown.labels),
            "agreeing": shown.agreeing,
            "views": len(shown.boxes),
        }
        for shown in shown_images(classifier, benchmark, tta, settings)
    ]
    page = (
        templates("imagenet_hard.tta")
        .get_template("where.html.jinja")
        .render(cards=cards, model=classifier.spec.name, tta=tta, data=benchmark.name)
    )
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in classifier.spec.name)[:80]
    path = folder / f"where-{safe}-{tta.label}.html"
    write_atomically(path, page.encode(), option="--tta-show")
    log.info("%s: the page is %s", classifier.spec.name, path)
    return path


def draw(shown: ShownImage) -> Image.Image:
    """The image with its boxes, the most confident on top: the brighter, the surer of the prediction."""
    scale = SHOWN_SIDE / max(shown.image.size)
    size = (max(1, round(shown.image.width * scale)), max(1, round(shown.image.height * scale)))
    canvas = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN), (24, 24, 28))
    canvas.paste(shown.image.resize(size), (MARGIN, MARGIN))
    pen = ImageDraw.Draw(canvas, "RGBA")
    for sure, box in sorted(zip(shown.confidence, shown.boxes, strict=True), key=lambda pair: pair[0]):
        left, top = MARGIN + box.left * scale, MARGIN + box.top * scale
        corner = (left + box.width * scale, top + box.height * scale)
        colour = (255, round(90 + 165 * sure), round(60 * (1 - sure)), round(40 + 215 * sure))
        pen.rectangle((left, top, *corner), outline=colour, width=1 + round(2 * sure))
    return canvas


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def _name(index: int) -> str:
    return classes.names()[index]
