"""An image's views: which boxes, cut and resized in the decode threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import UsageError
from imagenet_hard.classifiers.transform import ImageTransform, Transform, to_rgb
from imagenet_hard.imagenet.zoom import Zoom, ZoomGrid
from imagenet_hard.imagenet.zoom_list import indices
from imagenet_hard.tta.augmix import augmix

if TYPE_CHECKING:
    from imagenet_hard.classifiers.base import Classifier
    from imagenet_hard.tta.settings import TtaSettings

AHEAD_BYTES = 512 * 2**20
"""Of views that wait for the model."""


@dataclass(frozen=True)
class ImageViews:
    """Views of one image. ``pixels``: each uint8 or float32 (H, W, 3) in 0..255, or what the classifier's own
    transform gives; ``boxes``: what each shows of the image, None for the standard view."""

    pixels: list[Any]
    boxes: list[Box] | None


Cut = Callable[[Image.Image, str], ImageViews]


def cutter(classifier: Classifier, settings: TtaSettings) -> tuple[Classifier, Cut]:
    """The classifier as it takes views, and how they are cut from a decoded image and its file's sha256.

    Raises:
        UsageError: the classifier's input size, mean or std are not known, or a list of zooms meets an
            input that is not square.
    """
    if settings.view == "standard":
        own = classifier.transform
        return classifier, lambda image, digest: ImageViews([own.pixels(image)], None)
    finish = view_transform(classifier)
    assert finish.crop is not None
    height, width = finish.crop
    viewing = replace(classifier, transform=finish)
    if settings.view == "zooms":
        assert settings.zooms is not None
        if height != width:
            raise UsageError(
                f"{classifier.spec.name} takes {height} x {width} pixels: --tta-zooms needs a square input"
            )
        zooms = [Zoom(*triple) for triple in settings.zooms]
        return viewing, lambda image, digest: _zoomed(to_rgb(image), zooms, width)
    if settings.view not in ("random-resized-crop", "augmix") or settings.seed is None:
        raise UsageError(f"--tta {settings.method} has the view {settings.view!r}, which it must cut itself")
    random_views = _mixed if settings.view == "augmix" else _cropped
    n, seed = settings.views, settings.seed
    return viewing, lambda image, digest: random_views(
        to_rgb(image), n, (width, height), generator(seed, digest)
    )


def view_transform(classifier: Classifier) -> Transform:
    """What is left to do with a view of the model's input size: scale, and normalise as the model wants.

    Raises:
        UsageError: size, mean or std can't be seen, as in a transform of one's own.
    """
    transform = classifier.transform
    described = transform.describe()
    mean, std, size = described.get("mean"), described.get("std"), _input_size(classifier)
    if mean is None or std is None or size is None:
        raise UsageError(
            f"{classifier.spec.name} brings a transform whose input size, mean and std can't be seen, which "
            "zoomed views need: pass an imagenet_hard Transform, or use --transform paper"
        )
    return Transform(None, size, "bicubic", (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def _input_size(classifier: Classifier) -> tuple[int, int] | None:
    """(height, width) of what the transform gives."""
    transform = classifier.transform
    if isinstance(transform, Transform):
        return transform.crop or (transform.resize if isinstance(transform.resize, tuple) else None)
    return classifier.spec.input_size


def ahead(settings: TtaSettings, transform: ImageTransform) -> int | None:
    """Images whose views may wait at a time; None, the engine's own number, for the standard view."""
    if not isinstance(transform, Transform) or transform.crop is None or settings.view == "standard":
        return None
    height, width = transform.crop
    channel_bytes = 4 if settings.view == "augmix" else 1
    return max(1, AHEAD_BYTES // (settings.views * height * width * 3 * channel_bytes))


def _cropped(image: Image.Image, n: int, size: tuple[int, int], random: np.random.Generator) -> ImageViews:
    """The paper's views: RandomResizedCrop, bicubic, no flip."""
    boxes = [random_box(image.size, random) for _ in range(n)]
    return ImageViews([np.asarray(cut(image, box, size, Image.Resampling.BICUBIC)) for box in boxes], boxes)


def _mixed(image: Image.Image, n: int, size: tuple[int, int], random: np.random.Generator) -> ImageViews:
    """MEMO's views: RandomResizedCrop (bilinear), a flip half of the time, AugMix."""
    pixels: list[NDArray[np.float32]] = []
    boxes = []
    for _ in range(n):
        boxes.append(random_box(image.size, random))
        view = cut(image, boxes[-1], size, Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels.append(augmix(view, random))
    return ImageViews(pixels, boxes)


def _zoomed(image: Image.Image, zooms: list[Zoom], size: int) -> ImageViews:
    """Zooms of the study, each scale resized once."""
    grid = ZoomGrid.for_size(size, [zoom.scale for zoom in zooms])
    numbers = indices(zooms, grid)
    crops = dict(grid.crops(image, numbers))  # a small input may make two zooms one
    boxes = [Box(*grid.shown(number, image.size)) for number in numbers]
    return ImageViews([crops[number] for number in numbers], boxes)


def cut(image: Image.Image, box: Box, size: tuple[int, int], interpolation: Image.Resampling) -> Image.Image:
    """The box of an image at ``size`` (width, height): cropped first, so nothing outside plays a part."""
    left, top = int(box.left), int(box.top)
    part = image.crop((left, top, left + int(box.width), top + int(box.height)))
    return part.resize(size, interpolation)


SCALE = (0.08, 1.0)
"""Share of the image's area that a box covers: torchvision's default, as in the paper."""

RATIO = (3 / 4, 4 / 3)
"""Width over height of a box."""

ATTEMPTS = 10
"""Boxes that are drawn before the largest central one of an allowed ratio is taken."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in its pixels."""

    left: float
    top: float
    width: float
    height: float


def generator(seed: int, digest: str) -> np.random.Generator:
    """Of one image: the same views whatever the order, the batch, or what was scored before.

    ``digest``: sha256 of the image's file, in hex.
    """
    return np.random.default_rng([seed, int(digest, 16)])


def random_box(size: tuple[int, int], random: np.random.Generator) -> Box:
    """One box inside an image of ``size`` (width, height), by the law of ``RandomResizedCrop.get_params``."""
    image_width, image_height = size
    for _ in range(ATTEMPTS):
        area = image_width * image_height * random.uniform(*SCALE)
        ratio = exp(random.uniform(log(RATIO[0]), log(RATIO[1])))
        width, height = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < width <= image_width and 0 < height <= image_height:
            left = int(random.integers(image_width - width + 1))
            top = int(random.integers(image_height - height + 1))
            return Box(left, top, width, height)
    return central_box(size)


def central_box(size: tuple[int, int]) -> Box:
    """The largest box in the middle whose ratio is allowed."""
    width, height = size
    if width / height < RATIO[0]:
        height = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        width = round(height * RATIO[1])
    return Box((size[0] - width) // 2, (size[1] - height) // 2, width, height)
