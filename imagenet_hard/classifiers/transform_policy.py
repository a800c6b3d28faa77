"""``--transform``: the model's own, the paper's, the study's standard view, or an explicit one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imagenet_hard.base.errors import ClassifierError, UsageError
from imagenet_hard.classifiers.base import Classifier
from imagenet_hard.classifiers.outputs import check_shape
from imagenet_hard.classifiers.transform import (
    INTERPOLATIONS,
    ImageTransform,
    Transform,
    output_sha256,
    paper_transform,
    to_rgb,
)
from imagenet_hard.classifiers.trial import probe
from imagenet_hard.imagenet.zoom import PAPER_SIZE, ZoomGrid, resize

if TYPE_CHECKING:
    import torch

Triple = tuple[float, float, float]

KEYS = ("resize", "crop", "interpolation", "mean", "std", "rgb")


def with_policy(classifier: Classifier, transform: str | Mapping[str, Any]) -> Classifier:
    """``classifier`` under "native", "paper", "study", or a mapping such as ``{"resize": 800, "crop": 800}``.

    Mean and std stay the model's own. "paper" is 256/224 bilinear; for zero-shot models it is their own with
    images made RGB last, as in the paper. "study" is the standard view of the zoom study, for every model.

    Raises:
        UsageError: for another word or key, and where the model's mean and std are not known.
        ClassifierError: for a model that takes one input size only, and it is another.
    """
    if transform == "native":
        return classifier
    if transform == "paper" and classifier.spec.head is not None:
        own = classifier.transform
        return (
            classifier.with_transform(replace(own, rgb="last")) if isinstance(own, Transform) else classifier
        )
    mean, std = _mean_std(classifier.transform)
    found: Transform | ZoomTransform
    if isinstance(transform, Mapping):
        found = explicit_transform(transform, mean, std)
        size = found.crop or found.resize
        assert isinstance(size, tuple)
    elif transform in ("paper", "study"):
        mean, std = _known(classifier, mean, std)
        found = paper_transform(mean, std) if transform == "paper" else standard_view(mean, std)
        size = (PAPER_SIZE, PAPER_SIZE)
    else:
        raise UsageError(
            f"unknown transform {transform!r}: expected native, paper, study or a mapping with "
            f"{', '.join(KEYS)}"
        )
    name = classifier.spec.name
    if size != classifier.spec.input_size:
        try:
            check_shape(probe(classifier.module, found, name), name)
        except ClassifierError as error:
            native = classifier.spec.input_size
            raise ClassifierError(
                f"{name} cannot take {size[0]} x {size[1]} pixels"
                + (f", its own size is {native[0]} x {native[1]}" if native else "")
                + f": use --transform native. ({error})"
            ) from error
    changed = classifier.with_transform(found)
    return replace(changed, spec=changed.spec.model_copy(update={"input_size": size}))


def explicit_transform(settings: Mapping[str, Any], mean: Triple | None, std: Triple | None) -> Transform:
    """A mapping as a suite file has it; ``crop`` and ``resize`` are one number or (height, width).

    Raises:
        UsageError: for an unknown key, a value of another kind, or without mean and std.
    """
    if unknown := sorted(set(settings) - set(KEYS)):
        raise UsageError(f"unknown transform setting {', '.join(unknown)}: expected {', '.join(KEYS)}")
    mean, std = _triple(settings, "mean", mean), _triple(settings, "std", std)
    if mean is None or std is None:
        raise UsageError("the model's mean and std are not known: give both in the transform")
    resize = _size(settings, "resize")
    crop = _size(settings, "crop")
    interpolation = settings.get("interpolation", "bilinear")
    if interpolation not in INTERPOLATIONS:
        raise UsageError(f"unknown interpolation {interpolation!r}: expected {', '.join(INTERPOLATIONS)}")
    rgb = settings.get("rgb", "first")
    if rgb not in ("first", "last"):
        raise UsageError(f"transform rgb is {rgb!r}: expected first or last")
    return Transform(resize, (crop, crop) if isinstance(crop, int) else crop, interpolation, mean, std, rgb)


def _mean_std(transform: ImageTransform) -> tuple[Triple | None, Triple | None]:
    data = transform.describe()
    return _triple(data, "mean", None), _triple(data, "std", None)


def _known(classifier: Classifier, mean: Triple | None, std: Triple | None) -> tuple[Triple, Triple]:
    if mean is None or std is None:
        raise UsageError(
            f"{classifier.spec.name} brings a transform whose mean and std can't be seen, which "
            "--transform paper and study keep: pass an imagenet_hard Transform, or use --transform native"
        )
    return mean, std


def _triple(settings: Mapping[str, Any], key: str, default: Triple | None) -> Triple | None:
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise UsageError(f"transform {key} is {value!r}: expected three numbers in [0, 1]")
    return float(value[0]), float(value[1]), float(value[2])


def _size(settings: Mapping[str, Any], key: str) -> int | tuple[int, int] | None:
    value = settings.get(key)
    if value is None:
        return None
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) > 2 or not numbers or not all(type(n) is int and n > 0 for n in numbers):
        raise UsageError(f"transform {key} is {value!r}: expected pixels, or [height, width]")
    return (numbers[0], numbers[1]) if len(numbers) == 2 else numbers[0]


@dataclass(frozen=True)
class ZoomTransform:
    """The crop of zoom ``index`` of ``grid``, normalised with ``mean`` and ``std`` (paper, section 3).

    It differs from resize and centre crop by up to two pixels: the study's anchors are centres of
    thirds, rounded down.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    index: int
    grid: ZoomGrid = field(default_factory=ZoomGrid)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 (size, size, 3)."""
        return self.grid.crop(resize(to_rgb(image), self.grid.scale_of(self.index)), self.index)

    def batch(self, pixels: Sequence[NDArray[np.uint8]], device: torch.device | str) -> torch.Tensor:
        """float32 (n, 3, size, size), channels last."""
        size = (self.grid.size, self.grid.size)
        return Transform(None, size, "bicubic", self.mean, self.std).batch(pixels, device)

    def describe(self) -> dict[str, Any]:
        zoom = self.grid[self.index]
        return {
            "kind": "zoom",
            "scale": zoom.scale,
            "anchor": [zoom.row, zoom.column],
            "crop": [self.grid.size, self.grid.size],
            "interpolation": "bicubic",
            "mean": list(self.mean),
            "std": list(self.std),
            "rgb": "first",
        }

    def sha256(self) -> str:
        return output_sha256(self)


def standard_view(mean: tuple[float, float, float], std: tuple[float, float, float]) -> ZoomTransform:
    """The study's "1-crop": scale 256, the middle anchor, 224 pixels."""
    grid = ZoomGrid()
    return ZoomTransform(mean, std, grid.standard, grid)
